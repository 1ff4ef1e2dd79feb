//! Somebody else who fills the disk: to the last byte, or to the last inode, beside the server's data.
//!
//! It proves that the disk is full before it says so, and takes nothing of the server's away.

use crate::kit::mount::Mount;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// One file takes all free bytes.
    Bytes,
    /// Empty files take all free inodes.
    Inodes,
}

impl Filling {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Filling::Bytes => "a file",
            Filling::Inodes => "empty files",
        }
    }
}

/// More empty files than any of these disks has inodes.
const FILES_MAX: u64 = 100_000;
/// A disk that is not full after so many passes is being emptied by somebody.
const PASSES_MAX: u64 = 200;

/// Takes everything.
pub fn fill(disk: &Mount, filling: Filling) {
    fill_leaving(disk, filling, 0);
}

/// Takes everything but `left` bytes or inodes. May be called again, when something became free meanwhile.
pub fn fill_leaving(disk: &Mount, filling: Filling, left: u64) {
    let folder = folder(disk);
    match std::fs::create_dir(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => unreachable!("{}: {error}", folder.display()),
        _ => {}
    }
    match filling {
        Filling::Bytes if left == 0 => take_last_byte(disk, &folder),
        Filling::Bytes => take_bytes(&folder.join("file"), disk.room().bytes.saturating_sub(left)),
        Filling::Inodes => take_inodes(disk, &folder, left),
    }
}

/// Goes away with everything it took.
pub fn clear(disk: &Mount) {
    match std::fs::remove_dir_all(folder(disk)) {
        Err(error) if error.kind() != ErrorKind::NotFound => unreachable!("clear {}: {error}", folder(disk).display()),
        _ => {}
    }
}

fn folder(disk: &Mount) -> PathBuf {
    disk.path().join("foreign")
}

/// Until not even a new file of one byte finds room.
fn take_last_byte(disk: &Mount, folder: &Path) {
    for pass in 0..PASSES_MAX {
        take_bytes(&folder.join("file"), u64::MAX);
        let last = folder.join(format!("last-{pass}-{}", std::fs::read_dir(folder).expect("its folder").count()));
        let written = File::create(&last).and_then(|mut file| {
            file.write_all(b"x")?;
            file.sync_all()
        });
        match written {
            Err(error) if error.kind() == ErrorKind::StorageFull => return,
            Err(error) => unreachable!("{}: {error}", last.display()),
            Ok(()) => {}
        }
    }
    unreachable!("the disk is not full after {PASSES_MAX} passes: {:?}", disk.room());
}

/// Makes a file longer by as much as there is, at most `most`, in steps that get smaller.
fn take_bytes(path: &Path, most: u64) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the foreign file");
    let mut length = file.metadata().expect("its length").len();
    let mut left = most;
    let mut step: u64 = 16 << 20;
    while step >= 4096 && left >= 4096 {
        let take = step.min(left);
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), length, take) {
            Ok(()) => (length, left) = (length + take, left - take),
            Err(rustix::io::Errno::NOSPC) => step /= 2,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => unreachable!("fallocate: {error}"),
        }
    }
    // What remains of a last block: as much as it takes.
    while most == u64::MAX && file.write_all(&[b'x'; 64]).is_ok() {}
    match file.sync_all() {
        Err(error) if error.kind() != ErrorKind::StorageFull => unreachable!("{}: {error}", path.display()),
        _ => {}
    }
}

fn take_inodes(disk: &Mount, folder: &Path, left: u64) {
    let number = std::fs::read_dir(folder).expect("its folder").count() as u64;
    for number in number..FILES_MAX {
        if left > 0 && disk.room().inodes <= left {
            return;
        }
        match File::create(folder.join(format!("{number}"))) {
            Err(error) if error.kind() == ErrorKind::StorageFull => return,
            Err(error) => unreachable!("an empty file: {error}"),
            Ok(_) => {}
        }
    }
    unreachable!("{FILES_MAX} empty files and still inodes: {:?}", disk.room());
}
