//! Whether the data directory is still the one that was opened, and whether its disk still answers.
//!
//! Promise: nothing is written to a directory whose `FORMAT` is gone or was replaced, as when its disk was unmounted; and
//! whoever comes while a write hangs is told so instead of joining the queue. Never writes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::Error;

/// The data directory's identity.
#[derive(Debug)]
pub struct Home {
    marks: [(PathBuf, Option<(u64, u64)>); 2],
}

impl Home {
    /// The directory as it is now: `FORMAT` and `volumes` in it.
    pub fn at(dir: &Path) -> Self {
        Self { marks: [dir.join("FORMAT"), dir.join("volumes")].map(|path| (path.clone(), identity(&path))) }
    }

    /// Whether both are still the same.
    pub fn is_there(&self) -> bool {
        self.marks.iter().all(|(path, known)| known.is_some() && identity(path) == *known)
    }

    /// An error unless it is there.
    pub fn require(&self) -> Result<(), Error> {
        if self.is_there() { Ok(()) } else { Err(Error::Gone) }
    }
}

/// Device and inode of what is at `path`.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Knows since when the storage thread has been at the disk.
#[derive(Debug)]
pub struct Watch {
    bound: Duration,
    since: Mutex<Option<(Instant, bool)>>,
}

impl Watch {
    /// A watch that calls a write stuck when it takes longer than `bound`.
    pub fn new(bound: Duration) -> Self {
        Self { bound, since: Mutex::new(None) }
    }

    /// Runs `work` under the watch.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.set(Some((Instant::now(), false)));
        let done = work();
        self.set(None);
        done
    }

    /// An error while a write hangs.
    pub fn require(&self) -> Result<(), Error> {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = since.is_some_and(|(began, _)| began.elapsed() > self.bound);
        if stuck { Err(Error::Stuck) } else { Ok(()) }
    }

    /// Says in the log, once, that a write hangs.
    pub fn look(&self) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((began, said)) = since.as_mut().filter(|(began, said)| !said && began.elapsed() > self.bound) {
            *said = true;
            let seconds = began.elapsed().as_secs();
            tracing::error!(seconds, "the disk does not answer a write; changes are refused until it does");
        }
    }

    fn set(&self, to: Option<(Instant, bool)>) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some((began, true)), None) = (&*since, &to) {
            tracing::warn!(seconds = began.elapsed().as_secs(), "the disk answers again");
        }
        *since = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_was_moved_away_or_replaced_is_noticed() {
        let home = tempfile::tempdir().expect("a directory");
        let make = |dir: &Path| {
            fs::create_dir_all(dir.join("volumes")).expect("made");
            fs::write(dir.join("FORMAT"), "x").expect("written");
        };
        let (dir, away) = (home.path().join("data"), home.path().join("away"));
        make(&dir);
        let known = Home::at(&dir);
        assert!(known.is_there());
        fs::rename(&dir, &away).expect("moved");
        assert!(matches!(known.require(), Err(Error::Gone)));
        make(&dir);
        assert!(!known.is_there(), "another one in its place");
        fs::remove_dir_all(&dir).and_then(|()| fs::rename(&away, &dir)).expect("moved back");
        assert!(known.is_there());
    }

    #[test]
    fn a_write_is_stuck_only_while_it_hangs() {
        let watch = Watch::new(Duration::ZERO);
        assert!(watch.require().is_ok());
        watch.during(|| {
            std::thread::sleep(Duration::from_millis(2));
            watch.look();
            assert!(matches!(watch.require(), Err(Error::Stuck)));
        });
        assert!(watch.require().is_ok());
    }
}
