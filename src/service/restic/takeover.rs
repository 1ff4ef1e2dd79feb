//! Taking over the directory of a rest-server, of `rclone serve restic`, or of restic itself: all three have the same files.
//!
//! Promises: every object's content is compared with its name before it counts, and the configuration comes last, so that what was
//! interrupted is no repository yet; running it again goes on. Never: changes the directory, or takes a lock over.

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
    /// Files whose content is not what their name says, or that could not be read; each was told.
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
        if !config.is_file() {
            return Err(Error::NotRepository { dir: dir.to_owned() });
        }
        let mut takeover = Takeover::default();
        for kind in KINDS {
            for (name, path) in objects_in(&dir.join(kind.word()), kind).map_err(unreadable)? {
                self.take_object(access, name, &path, &mut takeover, refused)?;
            }
        }
        self.take_object(access, ObjectName::CONFIG, &config, &mut takeover, refused)?;
        Ok(takeover)
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
            Err(error @ (Error::NoSpace | Error::Unavailable | Error::Busy)) => return Err(error),
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

/// Files with an object's name, in this directory or one below: `data/ab/abcd…`. Anything else is none of restic's.
fn objects_in(dir: &Path, kind: ObjectKind) -> io::Result<Vec<(ObjectName, PathBuf)>> {
    let mut found = Vec::new();
    let mut open = vec![(dir.to_owned(), 0)];
    while let Some((dir, depth)) = open.pop() {
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let (path, about) = (entry.path(), entry.file_type()?);
            if about.is_dir() && depth == 0 {
                open.push((path, 1));
            } else if about.is_file()
                && let Some(name) = entry.file_name().to_str().and_then(|name| ObjectName::parse(kind, name))
            {
                found.push((name, path));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn unreadable(error: io::Error) -> Error {
    Error::Unreadable(error)
}
