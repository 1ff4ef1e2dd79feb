//! Four calls of the C library, defined anew for the whole program, because sled trusts them in ways that cost data.
//!
//! Promise: `sync_file_range` is a real sync; and a file that could once not be read is not written again by this process.
//! sled 0.34 asks Linux to flush with `sync_file_range`, which syncs neither metadata nor the disk's cache. And when it opens a
//! database it takes a read that fails for the end of its log, and overwrites what it could not read: zeros over whole
//! segments, then new data from there on. [`crate::store::durable::self_test`] proves at every start that sled reaches these.
//! Never: these calls never ignore an error.
//!
//! The linker takes the first definition of a symbol it sees; ours is part of the program, while the C library is searched
//! later. That holds for dynamic and for static builds. With musl the plain names carry the 64-bit calls.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use libc::{c_int, c_uint, c_void, off_t, off64_t, size_t, ssize_t};

static SYNCS: AtomicU64 = AtomicU64::new(0);
static READS: AtomicU64 = AtomicU64::new(0);
static ANY_UNREADABLE: AtomicBool = AtomicBool::new(false);
/// Device and inode of the files that could not be read, each with a descriptor that keeps its inode from being given to another.
static UNREADABLE: Mutex<Vec<Unreadable>> = Mutex::new(Vec::new());
/// More files than this do not fail on a disk that is of any use.
const UNREADABLE_MAX: usize = 256;

struct Unreadable {
    identity: (u64, u64),
    _held: OwnedFd,
}

/// How often sled asked for a sync since the program started.
pub fn syncs() -> u64 {
    SYNCS.load(Ordering::Relaxed)
}

/// How often anybody read from a position in a file since the program started.
pub fn reads() -> u64 {
    READS.load(Ordering::Relaxed)
}

/// Syncs the file, whatever part of it is asked for.
///
/// # Safety
///
/// Sound for any arguments: the only use of them is `fdatasync(fd)`, which answers a bad descriptor with `EBADF`.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sync_file_range(fd: c_int, _offset: off64_t, _bytes: off64_t, _flags: c_uint) -> c_int {
    SYNCS.fetch_add(1, Ordering::Relaxed);
    loop {
        // SAFETY: fdatasync takes any integer and touches no memory of ours.
        let result = unsafe { libc::fdatasync(fd) };
        if result == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return result;
        }
    }
}

/// Reads, and remembers the file when the disk does not give what is there.
///
/// # Safety
///
/// As for the C library's call: `buffer` must be valid for writes of `bytes` bytes.
#[allow(unsafe_code)]
#[cfg_attr(target_env = "musl", unsafe(export_name = "pread"))]
#[cfg_attr(not(target_env = "musl"), unsafe(no_mangle))]
pub unsafe extern "C" fn pread64(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off64_t) -> ssize_t {
    READS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the caller's promise is passed on as it came.
    let read = unsafe { read_at(fd, buffer, bytes, at) };
    if read < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EIO) {
        remember(fd);
        fail(libc::EIO);
    }
    read
}

/// Writes, unless the file could once not be read.
///
/// # Safety
///
/// As for the C library's call: `buffer` must be valid for reads of `bytes` bytes.
#[allow(unsafe_code)]
#[cfg_attr(target_env = "musl", unsafe(export_name = "pwrite"))]
#[cfg_attr(not(target_env = "musl"), unsafe(no_mangle))]
pub unsafe extern "C" fn pwrite64(fd: c_int, buffer: *const c_void, bytes: size_t, at: off64_t) -> ssize_t {
    if is_unreadable(fd) {
        return fail(libc::EIO);
    }
    // SAFETY: the caller's promise is passed on as it came.
    unsafe { write_at(fd, buffer, bytes, at) }
}

/// Changes a file's size, unless it could once not be read.
///
/// # Safety
///
/// Sound for any arguments, which the system verifies.
#[allow(unsafe_code)]
#[cfg_attr(target_env = "musl", unsafe(export_name = "ftruncate"))]
#[cfg_attr(not(target_env = "musl"), unsafe(no_mangle))]
pub unsafe extern "C" fn ftruncate64(fd: c_int, bytes: off64_t) -> c_int {
    if is_unreadable(fd) {
        return fail(libc::EIO) as c_int;
    }
    // SAFETY: the system verifies both arguments and touches no memory of ours.
    unsafe { set_len(fd, bytes) }
}

/// The C library's calls under the names that are not ours, so that whatever is preloaded still sees them.
#[cfg(not(target_env = "musl"))]
#[allow(unsafe_code)]
// Where the plain calls take 32 bits, an offset may not fit.
#[allow(irrefutable_let_patterns)]
mod underneath {
    use super::{c_int, c_void, fail, off_t, off64_t, size_t, ssize_t};

    /// # Safety
    ///
    /// `buffer` must be valid for writes of `bytes` bytes.
    pub unsafe fn read_at(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off64_t) -> ssize_t {
        let Ok(at) = off_t::try_from(at) else { return fail(libc::EOVERFLOW) };
        // SAFETY: the caller's promise.
        unsafe { libc::pread(fd, buffer, bytes, at) }
    }

    /// # Safety
    ///
    /// `buffer` must be valid for reads of `bytes` bytes.
    pub unsafe fn write_at(fd: c_int, buffer: *const c_void, bytes: size_t, at: off64_t) -> ssize_t {
        let Ok(at) = off_t::try_from(at) else { return fail(libc::EOVERFLOW) };
        // SAFETY: the caller's promise.
        unsafe { libc::pwrite(fd, buffer, bytes, at) }
    }

    /// # Safety
    ///
    /// Sound for any arguments.
    pub unsafe fn set_len(fd: c_int, bytes: off64_t) -> c_int {
        let Ok(bytes) = off_t::try_from(bytes) else { return fail(libc::EOVERFLOW) as c_int };
        // SAFETY: the system verifies both.
        unsafe { libc::ftruncate(fd, bytes) }
    }
}

/// Straight to the system: with musl the C library's names are ours.
#[cfg(target_env = "musl")]
#[allow(unsafe_code)]
mod underneath {
    use super::{c_int, c_void, off64_t, size_t, ssize_t};

    /// # Safety
    ///
    /// `buffer` must be valid for writes of `bytes` bytes.
    pub unsafe fn read_at(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off64_t) -> ssize_t {
        // SAFETY: the caller's promise.
        unsafe { libc::syscall(libc::SYS_pread64, fd, buffer, bytes, at) as ssize_t }
    }

    /// # Safety
    ///
    /// `buffer` must be valid for reads of `bytes` bytes.
    pub unsafe fn write_at(fd: c_int, buffer: *const c_void, bytes: size_t, at: off64_t) -> ssize_t {
        // SAFETY: the caller's promise.
        unsafe { libc::syscall(libc::SYS_pwrite64, fd, buffer, bytes, at) as ssize_t }
    }

    /// # Safety
    ///
    /// Sound for any arguments.
    pub unsafe fn set_len(fd: c_int, bytes: off64_t) -> c_int {
        // SAFETY: the system verifies both.
        unsafe { libc::syscall(libc::SYS_ftruncate, fd, bytes) as c_int }
    }
}

use underneath::{read_at, set_len, write_at};

/// Sets the calling thread's `errno` and gives what a failed call returns.
#[allow(unsafe_code)]
fn fail(error: c_int) -> ssize_t {
    // SAFETY: the C library's errno of this thread, always valid.
    unsafe { *libc::__errno_location() = error };
    -1
}

fn remember(fd: c_int) {
    if let Some(file) = identity(fd) {
        let mut unreadable = UNREADABLE.lock().unwrap_or_else(PoisonError::into_inner);
        if unreadable.iter().any(|known| known.identity == file) || unreadable.len() >= UNREADABLE_MAX {
            return;
        }
        if let Ok(held) = borrowed(fd).try_clone_to_owned() {
            unreadable.push(Unreadable { identity: file, _held: held });
            ANY_UNREADABLE.store(true, Ordering::Release);
        }
    }
}

fn is_unreadable(fd: c_int) -> bool {
    if !ANY_UNREADABLE.load(Ordering::Acquire) {
        return false;
    }
    let unreadable = UNREADABLE.lock().unwrap_or_else(PoisonError::into_inner);
    identity(fd).is_some_and(|file| unreadable.iter().any(|known| known.identity == file))
}

/// Device and inode of an open file.
fn identity(fd: c_int) -> Option<(u64, u64)> {
    rustix::fs::fstat(borrowed(fd)).ok().map(|file| (file.st_dev, file.st_ino))
}

#[allow(unsafe_code)]
fn borrowed<'a>(fd: c_int) -> BorrowedFd<'a> {
    // SAFETY: for calls of this file only, which whoever holds the descriptor waits for.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_file_that_could_not_be_read_is_not_written_and_others_are() {
        let (bad, good) = (tempfile::tempfile().expect("a file"), tempfile::tempfile().expect("a file"));
        bad.write_all_at(b"before", 0).expect("written");
        let before = reads();
        bad.read_exact_at(&mut [0; 6], 0).expect("read");
        assert!(reads() > before, "std reads through our call");
        remember(bad.as_raw_fd());
        let refused = bad.write_all_at(b"after", 0).expect_err("refused");
        assert_eq!(refused.raw_os_error(), Some(libc::EIO));
        assert_eq!(bad.set_len(0).expect_err("refused").raw_os_error(), Some(libc::EIO));
        good.write_all_at(b"after", 0).expect("written");
        let mut kept = [0; 6];
        bad.read_exact_at(&mut kept, 0).expect("read");
        assert_eq!(&kept, b"before");
    }
}
