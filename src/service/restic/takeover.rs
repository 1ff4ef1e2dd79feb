//! Taking over the directory of a rest-server, of `rclone serve restic`, or of restic itself: all three have the same files.
//!
//! Promises: every object's content is compared with its name before it counts, and the configuration comes last, so that what was
//! interrupted is no repository yet; running it again goes on. What is left out is told. Never: changes the directory, takes a lock
//! over, follows a link below the directory, or puts a repository into another one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{Proof, RepoAccess};
use crate::model::{ObjectKind, ObjectName, limits};
use crate::service::{Error, Services};

/// In this order: what an object needs comes before it.
const KINDS: [ObjectKind; 4] = [ObjectKind::Data, ObjectKind::Index, ObjectKind::Snapshots, ObjectKind::Keys];

/// What was taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Takeover {
    /// Objects, the configuration included.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files whose content is not what their name says or that could not be read, and what is no file; each was told.
    pub refused: u64,
}

impl Services {
    /// Copies a repository from a directory; what cannot be taken is told to `refused` and left out.
    pub fn take_over(
        &self,
        access: &RepoAccess,
        dir: &Path,
        refused: &mut dyn FnMut(&Path, &Error),
    ) -> Result<Takeover, Error> {
        let config = dir.join(ObjectKind::Config.word());
        if !is_regular(&config) || !is_directory(&dir.join(ObjectKind::Data.word())) {
            return Err(Error::NotRepository { dir: dir.to_owned() });
        }
        let found = KINDS.map(|kind| Found::of(&dir.join(kind.word()), kind));
        let found: Vec<Found> = found.into_iter().collect::<io::Result<_>>().map_err(unreadable)?;
        self.require_same_repo(access, &config, &found)?;
        let mut takeover = Takeover::default();
        for Found { objects, strange } in found {
            for path in strange {
                takeover.refused += 1;
                refused(&path, &Error::NotFile);
            }
            for (name, path) in objects {
                self.take_object(access, name, &path, &mut takeover, refused)?;
            }
        }
        self.take_object(access, ObjectName::CONFIG, &config, &mut takeover, refused)?;
        Ok(takeover)
    }

    /// Nobody could take two repositories apart again. The same configuration is the same repository. Without one, what is there
    /// must be what an interrupted import left: objects of this directory and no others.
    fn require_same_repo(&self, access: &RepoAccess, config: &Path, found: &[Found]) -> Result<(), Error> {
        if self.inner.object(access, ObjectName::CONFIG)?.is_some() {
            return match self.copy_in(access, ObjectName::CONFIG, config) {
                Ok(_) => Ok(()),
                Err(Error::ObjectExists) => Err(Error::OtherRepo),
                Err(error) => Err(error),
            };
        }
        for (kind, found) in KINDS.into_iter().zip(found) {
            for object in self.list_objects(access, kind)? {
                let (name, _) = object?;
                if found.objects.binary_search_by(|(other, _)| other.cmp(&name)).is_err() {
                    return Err(Error::OtherRepo);
                }
            }
        }
        Ok(())
    }

    fn take_object(
        &self,
        access: &RepoAccess,
        name: ObjectName,
        path: &Path,
        takeover: &mut Takeover,
        refused: &mut dyn FnMut(&Path, &Error),
    ) -> Result<(), Error> {
        match self.copy_in(access, name, path) {
            Ok(bytes) => {
                takeover.objects += 1;
                takeover.bytes += bytes;
            }
            Err(error @ (Error::NoSpace | Error::QuotaReached { .. } | Error::Unavailable | Error::Busy)) => {
                return Err(error);
            }
            Err(error) => {
                takeover.refused += 1;
                refused(path, &error);
            }
        }
        Ok(())
    }

    fn copy_in(&self, access: &RepoAccess, name: ObjectName, path: &Path) -> Result<u64, Error> {
        let mut file = File::open(path).map_err(unreadable)?;
        let mut intake = self.receive_object(access, name, None, Proof::Name)?;
        let (mut piece, mut bytes) = (vec![0; limits::BODY_PIECE_BYTES], 0);
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => {
                    bytes += read as u64;
                    intake.push(Bytes::copy_from_slice(&piece[..read]))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
        intake.finish()?;
        Ok(bytes)
    }
}

/// What there is of one kind.
#[derive(Default)]
struct Found {
    /// Files with an object's name, in its order.
    objects: Vec<(ObjectName, PathBuf)>,
    /// Links and the like: what they lead to may be an object, and may be anything else on the machine.
    strange: Vec<PathBuf>,
}

impl Found {
    /// Looks in this directory and in those in it: `data/ab/abcd…`. Files with other names are none of restic's.
    fn of(dir: &Path, kind: ObjectKind) -> io::Result<Self> {
        let mut found = Self::default();
        match fs::symlink_metadata(dir) {
            Ok(about) if about.is_dir() => found.look(dir, kind, true)?,
            Ok(_) => found.strange.push(dir.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        found.objects.sort();
        found.strange.sort();
        Ok(found)
    }

    fn look(&mut self, dir: &Path, kind: ObjectKind, is_top: bool) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let (path, about) = (entry.path(), entry.file_type()?);
            let name = entry.file_name().to_str().and_then(|name| ObjectName::parse(kind, name));
            match name {
                _ if about.is_dir() && is_top => self.look(&path, kind, false)?,
                Some(name) if about.is_file() => self.objects.push((name, path)),
                None if about.is_file() || about.is_dir() => {}
                _ => self.strange.push(path),
            }
        }
        Ok(())
    }
}

fn is_regular(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_file())
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_dir())
}

fn unreadable(error: io::Error) -> Error {
    Error::Unreadable(error)
}
