//! Makes sled's idea of "stable" true, and syncs what sled forgets.
//!
//! Promise: when `sled::Db::flush` returns without an error, what it wrote is on the disk. sled 0.34 asks Linux for that with
//! `sync_file_range` and then writes the belief into segment headers, so that a sync of our own afterwards comes too late:
//! that call is therefore [`super::interposed`]. [`self_test`] proves at every start that sled really reaches it.
//! Never: this file never ignores an error of a sync.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::catch_unwind;
use std::path::Path;

pub use super::interposed::syncs;

use super::interposed::reads;
use super::panics;

/// The scratch database of [`self_test`], below the data directory.
pub const SELF_TEST: &str = "selftest";

/// Flushes a scratch database below `dir`, and says whether that reached our sync, and a read of its file our read: sled
/// reads as everybody does, through the standard library.
pub fn self_test(dir: &Path) -> io::Result<bool> {
    let scratch = dir.join(SELF_TEST);
    let _ = fs::remove_dir_all(&scratch);
    let before = Reached::now();
    let write = || {
        let db = sled::Config::new().path(&scratch).segment_size(1 << 16).flush_every_ms(None).open()?;
        db.insert(b"probe", b"written")?;
        db.flush()?;
        Ok(File::open(scratch.join("db"))?.read_at(&mut [0; 8], 0)?)
    };
    // sled's destructor panics when it cannot write.
    let written = catch_unwind(write);
    let removed = if scratch.exists() { fs::remove_dir_all(&scratch) } else { Ok(()) };
    match written {
        Ok(Ok(_)) => removed.map(|()| Reached::now().is_beyond(&before)),
        Ok(Err(sled::Error::Io(error))) => Err(error),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(panic) => {
            Err(panics::system_error(&*panic).unwrap_or_else(|| io::Error::other("sled panicked in the self-test")))
        }
    }
}

/// How often sled reached our calls.
#[derive(Debug, Clone, Copy)]
struct Reached {
    syncs: u64,
    reads: u64,
}

impl Reached {
    fn now() -> Self {
        Self { syncs: syncs(), reads: reads() }
    }

    /// One that stands still was not reached: another function of that name was linked.
    fn is_beyond(&self, before: &Self) -> bool {
        self.syncs > before.syncs && self.reads > before.reads
    }
}

/// Syncs a file's content and size.
pub fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Syncs a directory, that is, the names in it.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a small file so that after a crash it has the old content or the new one, never something between. What lies in the way is
/// replaced: nothing is written through a link.
pub fn write_whole(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let fresh = dir.join(format!("{name}.new"));
    let _ = fs::remove_file(&fresh);
    let mut file = File::create_new(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, dir.join(name))?;
    sync_dir(dir)
}

/// Removes a file and makes the removal durable; a file that is not there is fine.
pub fn remove(dir: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_dir(dir),
    }
}

/// A crash while sled writes a snapshot leaves one under a temporary name, which makes every later open fail.
pub fn remove_half_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Planted: a build in which the one, the other or neither of our calls is the one that sled reaches.
    #[test]
    fn a_count_that_stands_still_was_not_reached() {
        let before = Reached { syncs: 4, reads: 6 };
        let reached = |syncs, reads| Reached { syncs, reads }.is_beyond(&before);
        assert!(reached(5, 7));
        assert!(!reached(4, 7) && !reached(5, 6) && !reached(4, 6));
    }

    #[test]
    fn sled_reaches_our_calls_in_this_build() {
        let place = tempfile::tempdir().expect("a directory");
        assert!(self_test(place.path()).expect("it runs"));
        assert!(!place.path().join(SELF_TEST).exists(), "it leaves nothing");
    }
}
