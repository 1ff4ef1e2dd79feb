//! What is remembered of data directories outside of them: which store was found at a path the last time.
//!
//! Promise: a path that held a store and holds none now, or another one, is refused: a disk that is not mounted must never
//! look like a first start. Never: failing to remember stops nobody; it is said in the log.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::durable;
use super::error::Error;
use super::format_file;

/// A memory of data directories: a directory with a small file for each.
#[derive(Debug)]
pub struct Known {
    dir: Option<PathBuf>,
}

impl Known {
    /// The memory in `dir`; without one nothing is remembered.
    pub fn at(dir: Option<PathBuf>) -> Self {
        Self { dir }
    }

    /// An error when `data` is not what it was the last time. `parent_needed` says that somebody named the directory, so
    /// that at least its parent should be there.
    pub fn require(&self, data: &Path, parent_needed: bool) -> Result<(), Error> {
        let refused = |reason: &str| Err(Error::Foreign { dir: data.to_owned(), reason: reason.to_owned() });
        let found = format_file::store_id(data);
        match (self.remembered(data), found) {
            // It is a store; opening it says what is wrong.
            (_, None) if format_file::is_damaged(data) => Ok(()),
            (Some(_), None) => {
                refused("a store was here and is gone; is its disk mounted? To start afresh: rbackup serve --new-store")
            }
            (Some(before), Some(now)) if before != now => {
                refused("it holds another store than the last time; to accept it: rbackup serve --new-store")
            }
            (None, None) if parent_needed && !has_parent(data) => refused(
                "the directory above it is not there; is a disk not mounted? To make it: rbackup serve --new-store",
            ),
            _ => Ok(()),
        }
    }

    /// Remembers what `data` holds.
    pub fn remember(&self, data: &Path) {
        let Some(id) = format_file::store_id(data).filter(|id| self.remembered(data).as_ref() != Some(id)) else {
            return;
        };
        let written = match (&self.dir, self.file(data)) {
            (Some(dir), Some(file)) => write(dir, &file, &format!("{id}\n{}\n", data.display())),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        if let Err(error) = written {
            tracing::warn!(
                %error,
                "cannot remember this data directory: if its disk is not mounted at the next start, an empty store is made; \
                 set RBACKUP_STATE_DIR to a directory on the system's own disk"
            );
        }
    }

    fn remembered(&self, data: &Path) -> Option<String> {
        let text = fs::read_to_string(self.dir.as_ref()?.join(self.file(data)?)).ok()?;
        text.lines().next().map(str::to_owned)
    }

    /// Named after the path, which may be longer than a name may be.
    fn file(&self, data: &Path) -> Option<String> {
        let path = std::path::absolute(data).ok()?;
        Some(blake3::hash(path.as_os_str().as_bytes()).to_hex()[..32].to_owned())
    }
}

fn has_parent(data: &Path) -> bool {
    let absolute = std::path::absolute(data).ok();
    absolute.as_deref().and_then(Path::parent).is_none_or(Path::is_dir)
}

fn write(dir: &Path, file: &str, text: &str) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(dir)?;
    durable::write_whole(dir, file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Store};
    use super::*;

    #[test]
    fn a_store_that_is_gone_or_another_one_is_refused() {
        let home = tempfile::tempdir().expect("a directory");
        let (data, other) = (home.path().join("data"), home.path().join("other"));
        let known = Known::at(Some(home.path().join("known")));
        assert!(known.require(&data, true).is_ok(), "a first start");
        assert!(known.require(&home.path().join("not mounted/data"), true).is_err());
        assert!(known.require(&home.path().join("not mounted/data"), false).is_ok(), "the default may be deep");
        for dir in [&data, &other] {
            drop(Store::open(dir, Options { ballast_bytes: Some(0), ..Options::DEFAULT }).expect("made"));
            known.remember(dir);
            assert!(known.require(dir, true).is_ok());
        }
        fs::rename(&data, home.path().join("away")).expect("moved");
        assert!(known.require(&data, true).is_err(), "gone");
        fs::create_dir(&data).expect("made");
        assert!(known.require(&data, true).is_err(), "empty");
        fs::remove_dir(&data).and_then(|()| fs::rename(&other, &data)).expect("moved");
        assert!(known.require(&data, true).is_err(), "another one");
        known.remember(&data);
        assert!(known.require(&data, true).is_ok(), "accepted");
        assert!(Known::at(None).require(&other, true).is_ok());
    }
}
