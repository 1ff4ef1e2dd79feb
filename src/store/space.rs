//! Room on the disk: when new data is refused, and the ballast that keeps everything else going on a full one.
//!
//! Promise: new data stops at the low water, while there is still room for records; when others fill the disk, the ballast is
//! given up in steps, and made again as soon as there is room. Never: it is asked before data comes, not instead of checking
//! for errors; a disk can fill at any moment.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::model::random::random;

/// Below the data directory.
const BALLAST: &str = "ballast";
/// Several files, since a disk can also run out of inodes.
const FILES: u32 = 16;
/// Files given up at once for something that has failed and is done again from its beginning.
const STEP_FILES: usize = 4;
/// A hundredth of the disk, within these bounds.
const BALLAST_BYTES_MIN: u64 = 4 << 20;
const BALLAST_BYTES_MAX: u64 = 64 << 20;
/// With fewer free inodes new data is refused.
const INODES_LOW: u64 = 64;
/// What a commit to an open volume may need: the file grows by a segment, and something small.
const SEGMENT_BYTES: u64 = (1 << 20) + (256 << 10);
/// … and no new names but a snapshot's.
const SEGMENT_INODES: u64 = 3;
/// What a commit may need: a new volume is two segments and some small files …
const COMMIT_BYTES: u64 = 3 << 20;
/// … in a directory of its own.
const COMMIT_INODES: u64 = 12;

/// The disk of a data directory.
#[derive(Debug)]
pub struct Space {
    dir: PathBuf,
    ballast_bytes: u64,
}

/// What an upload may use of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// What lies above the low water.
    AboveLowWater,
    /// Also a quarter of what is kept free for records: for what must be stored before much can be removed.
    QuarterOfReserve,
    /// Also half of it: for the little without which nothing is removed at all.
    HalfOfReserve,
}

/// What is free.
struct Free {
    bytes: u64,
    inodes: u64,
}

impl Space {
    /// The disk of the data directory `dir`; `ballast_bytes` as the owner wants it, if he does.
    pub fn of(dir: &Path, ballast_bytes: Option<u64>) -> Result<Self, Error> {
        let of_disk = |disk: rustix::fs::StatVfs| {
            (disk.f_blocks.saturating_mul(disk.f_frsize) / 100).clamp(BALLAST_BYTES_MIN, BALLAST_BYTES_MAX)
        };
        let ballast_bytes = match ballast_bytes {
            Some(bytes) => bytes,
            None => rustix::fs::statvfs(dir).map(of_disk).map_err(|e| Error::io(dir, e.into()))?,
        };
        Ok(Self { dir: dir.to_owned(), ballast_bytes })
    }

    /// Whether there is such room beside `coming` bytes that are on their way to the disk. For data as much as the ballast takes must
    /// stay free; what may use the reserve leaves enough of it, free or as ballast, for records.
    pub fn admits(&self, room: Room, coming: u64) -> bool {
        if self.ballast_bytes == 0 {
            return room != Room::AboveLowWater || self.free().is_none_or(|free| free.inodes >= INODES_LOW);
        }
        let Some(free) = self.free() else { return true };
        let left = |bytes: u64| free.bytes.saturating_add(self.held_bytes()) >= bytes.saturating_add(coming);
        match room {
            Room::AboveLowWater => free.bytes >= self.ballast_bytes + coming && free.inodes >= INODES_LOW,
            Room::QuarterOfReserve => left(self.ballast_bytes / 4 * 3),
            Room::HalfOfReserve => left(self.ballast_bytes / 2),
        }
    }

    /// What is left of the ballast.
    fn held_bytes(&self) -> u64 {
        let files = (0..FILES).filter(|number| self.file(*number).exists()).count() as u64;
        files * (self.ballast_bytes / u64::from(FILES))
    }

    /// Gives up ballast, a file at a time, until a commit has room, or nothing is left of it. One to a volume that is `open` needs
    /// less; should that not do after all, the commit is done again behind a volume that is begun.
    pub fn make_room(&self, open: bool) {
        let (bytes, inodes) = if open { (SEGMENT_BYTES, SEGMENT_INODES) } else { (COMMIT_BYTES, COMMIT_INODES) };
        while self.is_below(bytes, inodes) && self.give_up(1) {}
    }

    /// Whether `bytes` more can be written beside what a commit needs, without a word of the ballast.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        !self.is_below(COMMIT_BYTES.saturating_add(bytes), COMMIT_INODES)
    }

    /// Does `work`; when it fails for want of room, gives up ballast and does it again. sled words such failures in many
    /// ways, and panics on some, so the disk itself is asked too.
    pub fn with_room<T>(&self, mut work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        loop {
            let error = match work() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let full = matches!(error, Error::NoSpace) || self.is_below(COMMIT_BYTES / 2, COMMIT_INODES / 2);
            if !full {
                return Err(error);
            }
            if !self.give_up(STEP_FILES) {
                tracing::error!(error = &error as &dyn std::error::Error, "the disk is full and no ballast is left");
                return Err(Error::NoSpace);
            }
        }
    }

    /// Makes a few of the missing files of the ballast, if there is room beside the low water. Called now and then.
    pub fn tend(&self) {
        let share = self.ballast_bytes / u64::from(FILES);
        if share == 0 {
            return;
        }
        let missing = (0..FILES).map(|number| self.file(number)).filter(|path| !path.exists());
        for path in missing.take(2) {
            if self.is_below(2 * self.ballast_bytes + share, 2 * INODES_LOW) {
                return;
            }
            if let Err(error) = self.fill(&path, share) {
                tracing::warn!(%error, "the ballast cannot be made");
                let _ = fs::remove_file(&path);
                return;
            }
        }
    }

    fn give_up(&self, files: usize) -> bool {
        let held = (0..FILES).map(|number| self.file(number));
        let given = held.filter(|path| fs::remove_file(path).is_ok()).take(files).count();
        if given > 0 {
            tracing::warn!(files = given, "the disk is full: a part of the ballast is given up");
        }
        given > 0
    }

    fn file(&self, number: u32) -> PathBuf {
        self.dir.join(BALLAST).join(format!("{number:02}"))
    }

    /// Random bytes: a file system that compresses would keep nothing free for others.
    fn fill(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let dir = self.dir.join(BALLAST);
        if !dir.exists() {
            fs::DirBuilder::new().mode(0o700).create(&dir)?;
        }
        let mut stream = blake3::Hasher::new().update(&random::<32>()?).finalize_xof();
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        let mut piece = vec![0; 64 << 10];
        let mut left = bytes;
        while left > 0 {
            let some = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            stream.fill(&mut piece[..some]);
            file.write_all(&piece[..some])?;
            left -= some as u64;
        }
        file.sync_all()
    }

    fn is_below(&self, bytes: u64, inodes: u64) -> bool {
        self.free().is_some_and(|free| free.bytes < bytes || free.inodes < inodes)
    }

    /// `None` when the disk does not say; some file systems count no inodes.
    fn free(&self) -> Option<Free> {
        let disk = rustix::fs::statvfs(&self.dir).ok()?;
        let inodes = if disk.f_files == 0 { u64::MAX } else { disk.f_favail };
        Some(Free { bytes: disk.f_bavail.saturating_mul(disk.f_frsize), inodes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(dir: &Path) -> usize {
        dir.join(BALLAST).read_dir().map_or(0, Iterator::count)
    }

    #[test]
    fn the_ballast_is_made_piece_by_piece_and_given_up_in_steps() {
        let home = tempfile::tempdir().expect("a directory");
        let space = Space::of(home.path(), Some(16 << 12)).expect("a disk");
        (0..FILES).for_each(|_| space.tend());
        assert_eq!(held(home.path()), FILES as usize);
        assert!(home.path().join("ballast/03").metadata().is_ok_and(|file| file.len() == 1 << 12));
        let mut tries = 0;
        let result = space.with_room(|| {
            tries += 1;
            if tries < 3 { Err(Error::NoSpace) } else { Ok(tries) }
        });
        assert_eq!((result.ok(), held(home.path())), (Some(3), FILES as usize - 2 * STEP_FILES));
        let never: Result<(), Error> = space.with_room(|| Err(Error::NoSpace));
        assert!(matches!(never, Err(Error::NoSpace)) && held(home.path()) == 0);
        assert!(matches!(space.with_room(|| Err::<(), _>(Error::Closed)), Err(Error::Closed)), "not for want of room");
    }

    #[test]
    fn a_commit_takes_no_more_than_it_needs() {
        let home = tempfile::tempdir().expect("a directory");
        let space = Space::of(home.path(), Some(16 << 12)).expect("a disk");
        (0..FILES).for_each(|_| space.tend());
        space.make_room(true);
        assert_eq!(held(home.path()), FILES as usize, "there is room");
        assert!(space.give_up(1) && held(home.path()) == FILES as usize - 1);
        assert!(space.has_room_for(0) && !space.has_room_for(u64::MAX));
    }

    #[test]
    fn no_ballast_is_no_low_water() {
        let home = tempfile::tempdir().expect("a directory");
        let space = Space::of(home.path(), Some(0)).expect("a disk");
        space.tend();
        assert!(space.admits(Room::AboveLowWater, 1 << 60) && held(home.path()) == 0);
    }
}
