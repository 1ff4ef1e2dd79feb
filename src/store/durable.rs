//! Makes sled's idea of "stable" true, and syncs what sled forgets.
//!
//! Promise: when `sled::Db::flush` returns without an error, what it wrote is on the disk. sled 0.34 asks Linux for that
//! with `sync_file_range`, which syncs neither metadata nor the disk's cache, and then writes the belief into segment
//! headers, so that a sync of our own afterwards comes too late. This file therefore defines that C symbol for the whole
//! program as `fdatasync`. [`self_test`] proves at every start that sled really reaches it.
//! Never: this file never ignores an error of a sync.

use std::fs::{self, File};
use std::io;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::panics;

/// The scratch database of [`self_test`], below the data directory.
pub const SELF_TEST: &str = "selftest";

static SYNCS: AtomicU64 = AtomicU64::new(0);

/// Replaces libc's `sync_file_range`: the linker takes the first definition it sees, and ours is part of the program
/// while libc's lies in a library searched later; that holds for dynamic and for static builds.
///
/// # Safety
///
/// Sound for any arguments: the only use of them is `fdatasync(fd)`, which answers a bad descriptor with `EBADF`.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sync_file_range(
    fd: libc::c_int,
    _offset: libc::off64_t,
    _bytes: libc::off64_t,
    _flags: libc::c_uint,
) -> libc::c_int {
    SYNCS.fetch_add(1, Ordering::Relaxed);
    loop {
        // SAFETY: fdatasync takes any integer and touches no memory of ours.
        let result = unsafe { libc::fdatasync(fd) };
        if result == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return result;
        }
    }
}

/// How often sled asked for a sync since the program started.
pub fn syncs() -> u64 {
    SYNCS.load(Ordering::Relaxed)
}

/// Flushes a scratch database below `dir` and says whether that reached a real sync.
pub fn self_test(dir: &Path) -> io::Result<bool> {
    let scratch = dir.join(SELF_TEST);
    let _ = fs::remove_dir_all(&scratch);
    let before = syncs();
    let write = || {
        let db = sled::Config::new().path(&scratch).segment_size(1 << 16).flush_every_ms(None).open()?;
        db.insert(b"probe", b"written")?;
        db.flush()
    };
    // sled's destructor panics when it cannot write.
    let written = catch_unwind(write);
    let removed = if scratch.exists() { fs::remove_dir_all(&scratch) } else { Ok(()) };
    match written {
        Ok(Ok(_)) => removed.map(|()| syncs() > before),
        Ok(Err(sled::Error::Io(error))) => Err(error),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(panic) => {
            Err(panics::system_error(&*panic).unwrap_or_else(|| io::Error::other("sled panicked in the self-test")))
        }
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

/// Writes a small file so that after a crash it has the old content or the new one, never something between.
pub fn write_whole(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let fresh = dir.join(format!("{name}.new"));
    let mut file = File::create(&fresh)?;
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
