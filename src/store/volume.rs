//! One sled database as a container of blocks, used so that each tree is written exactly once.
//!
//! Promise: a block is inserted once and never changed or removed; what [`Volume::flush`] returned for is durable; memory
//! stays bounded, because the database is closed and opened again after [`RECYCLE_BYTES`] went through it.
//! Never: no batch, no transaction, no `flush_async`, no `len`; no tree is opened for reading unless it has blocks,
//! because opening creates it.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::durable;
use super::error::Error;
use super::place::Address;
use super::raw;

/// A leaf is rewritten when its tenth fragment arrives; a tree that ends at nine never is.
const BLOCKS_PER_TREE: u32 = 9;
/// Four blocks of 255 KiB to a segment: larger values would become files that sled never syncs.
const SEGMENT_BYTES: usize = 1 << 20;
/// sled's own bound on its cache does not hold; closing and opening does.
pub const RECYCLE_BYTES: u64 = 10 << 20;
/// sled gives its lock back a moment after the last handle went.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const DB_FILE: &str = "db";
/// The copy of `db` that is made before sled touches a volume which a crash has seen.
const COPY_FILE: &str = "db.before-recovery";

/// A volume's database. Shared by all readers and the writer.
#[derive(Debug)]
pub struct Volume {
    number: u32,
    dir: PathBuf,
    db: RwLock<Option<sled::Db>>,
    traffic_bytes: AtomicU64,
}

/// The directory of volume `number` below `volumes`.
pub fn directory(volumes: &Path, number: u32) -> PathBuf {
    volumes.join(format!("{number:08}"))
}

impl Volume {
    /// Makes an empty volume and its name durable.
    pub fn create(volumes: &Path, number: u32) -> Result<Self, Error> {
        let volume = Self::at(volumes, number);
        let dir = &volume.dir;
        fs::DirBuilder::new().mode(0o700).create(dir).map_err(|e| Error::io(dir, e))?;
        *volume.db.write().unwrap_or_else(PoisonError::into_inner) = Some(volume.open()?);
        for file in ["conf", DB_FILE] {
            let path = dir.join(file);
            durable::sync_file(&path).map_err(|e| Error::io(&path, e))?;
        }
        durable::sync_dir(dir).and_then(|()| durable::sync_dir(volumes)).map_err(|e| Error::io(dir, e))?;
        Ok(volume)
    }

    /// A volume that exists; it is opened when it is first used.
    pub fn at(volumes: &Path, number: u32) -> Self {
        Self { number, dir: directory(volumes, number), db: RwLock::new(None), traffic_bytes: AtomicU64::new(0) }
    }

    /// The volume's number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Inserts block `number`.
    pub fn put(&self, number: u32, block: &[u8]) -> Result<(), Error> {
        self.traffic_bytes.fetch_add(block.len() as u64, Ordering::Relaxed);
        self.with(|db| db.open_tree(tree_name(number))?.insert(number.to_be_bytes(), block).map(drop))
    }

    /// Reads block `number`, which the caller knows to lie below the volume's last one.
    pub fn get(&self, number: u32) -> Result<Option<sled::IVec>, Error> {
        let block = self.with(|db| db.open_tree(tree_name(number))?.get(number.to_be_bytes()))?;
        self.traffic_bytes.fetch_add(block.as_ref().map_or(0, |b| b.len() as u64), Ordering::Relaxed);
        Ok(block)
    }

    /// The number of the last block, if there is any. Looks at the trees' names, so it creates none. A kill between the
    /// making of a tree and its first block leaves an empty one at the end.
    pub fn last_block(&self) -> Result<Option<u32>, Error> {
        self.with(|db| {
            let mut trees: Vec<u32> = db.tree_names().iter().filter_map(|name| number_of(name)).collect();
            trees.sort_unstable();
            for tree in trees.into_iter().rev() {
                match db.open_tree(tree.to_be_bytes())?.last() {
                    Ok(Some((key, _))) => return Ok(number_of(&key)),
                    Ok(None) => {}
                    // Its blocks are damaged; that they are there is known all the same.
                    Err(sled::Error::Corruption { .. }) => return Ok(Some((tree + 1) * BLOCKS_PER_TREE - 1)),
                    Err(error) => return Err(error),
                }
            }
            Ok(None)
        })
    }

    /// Makes all inserted blocks durable.
    pub fn flush(&self) -> Result<(), Error> {
        self.with(|db| db.flush().map(drop))
    }

    /// Whether so much went through the open database that it is time for [`Volume::close`].
    pub fn is_due(&self) -> bool {
        self.traffic_bytes() > RECYCLE_BYTES
    }

    /// Bytes that went through the open database, which sled may still hold.
    pub fn traffic_bytes(&self) -> u64 {
        self.traffic_bytes.load(Ordering::Relaxed)
    }

    /// Closes the database; the next use opens it again. The writer flushes before.
    pub fn close(&self) {
        let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
        self.traffic_bytes.store(0, Ordering::Relaxed);
        let db = slot.take();
        // sled syncs in its destructor and panics when that fails; what matters was flushed before.
        if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            tracing::warn!(volume = self.number, "closing a volume failed");
        }
    }

    /// Ends a volume's life as the one that is written: only opening writes sled's snapshot, and a volume with one
    /// answers a damaged block with an error, while one without may lose blocks silently.
    pub fn settle(&self) -> Result<(), Error> {
        self.flush()?;
        self.close();
        self.with(|_| Ok(()))?;
        self.close();
        durable::sync_dir(&self.dir).map_err(|e| Error::io(&self.dir, e))
    }

    /// Whether sled ever wrote it; a crash while it was created may have left an empty directory.
    pub fn has_database(&self) -> bool {
        self.dir.join(DB_FILE).exists()
    }

    /// Copies `db` aside before sled touches it. An older copy is kept: it is nearer to the crash.
    pub fn copy_before_recovery(&self) -> Result<(), Error> {
        let copy = self.dir.join(COPY_FILE);
        if copy.exists() {
            return Ok(());
        }
        let fresh = copy.with_extension("new");
        let copied = fs::copy(self.dir.join(DB_FILE), &fresh)
            .and_then(|_| durable::sync_file(&fresh))
            .and_then(|()| fs::rename(&fresh, &copy));
        copied.map_err(|e| Error::io(&copy, e))
    }

    /// The furthest end that any block calls acknowledged, read without sled from the copy made before recovery, or from `db`.
    pub fn raw_acknowledged(&self) -> Result<Address, Error> {
        let copy = self.dir.join(COPY_FILE);
        let path = if copy.exists() { copy } else { self.dir.join(DB_FILE) };
        raw::acknowledged(&path, self.number).map_err(|e| Error::io(&path, e))
    }

    /// Makes what was found after a crash durable: after a kill it may still be in the page cache only.
    pub fn sync(&self) -> Result<(), Error> {
        let db = self.dir.join(DB_FILE);
        durable::sync_file(&db).map_err(|e| Error::io(&db, e))
    }

    /// Removes the copy made before recovery; everything acknowledged was found and is durable.
    pub fn settle_recovery(&self) -> Result<(), Error> {
        durable::remove(&self.dir, COPY_FILE).map_err(|e| Error::io(&self.dir, e))
    }

    /// Runs `work` on the open database, opening it when it is closed and closing it first when it is due.
    fn with<T>(&self, work: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Error> {
        let slot = self.open_slot()?;
        let Some(db) = slot.as_ref() else {
            return Err(Error::Closed);
        };
        catch_unwind(AssertUnwindSafe(|| work(db)))
            .map_err(|_| self.damaged("its database panicked"))?
            .map_err(|e| Error::sled(self.number, e))
    }

    fn open_slot(&self) -> Result<RwLockReadGuard<'_, Option<sled::Db>>, Error> {
        loop {
            let slot = self.db.read().unwrap_or_else(PoisonError::into_inner);
            if slot.is_some() {
                return Ok(slot);
            }
            drop(slot);
            let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
            if slot.is_none() {
                // sled would make a new one, and the volume would look empty.
                if !self.has_database() {
                    return Err(self.damaged("its database is not there"));
                }
                *slot = Some(self.open()?);
            }
        }
    }

    fn open(&self) -> Result<sled::Db, Error> {
        remove_half_snapshots(&self.dir).map_err(|e| Error::io(&self.dir, e))?;
        let config = sled::Config::new()
            .path(&self.dir)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(1 << 20)
            .flush_every_ms(None);
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            match catch_unwind(AssertUnwindSafe(|| config.open())) {
                Ok(Ok(db)) => return Ok(db),
                Ok(Err(sled::Error::Io(error))) if is_lock(&error) && Instant::now() < deadline => {
                    sleep(Duration::from_millis(2));
                }
                Ok(Err(error)) => return Err(Error::sled(self.number, error)),
                Err(_) => return Err(self.damaged("its database panicked while opening")),
            }
        }
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::Damaged { volume: self.number, reason: reason.to_owned() }
    }
}

impl Drop for Volume {
    /// Not left to sled's own destructor, which may panic.
    fn drop(&mut self) {
        self.close();
    }
}

fn tree_name(block: u32) -> [u8; 4] {
    (block / BLOCKS_PER_TREE).to_be_bytes()
}

fn number_of(name: &[u8]) -> Option<u32> {
    name.try_into().ok().map(u32::from_be_bytes)
}

/// sled words its lock error itself, with the kind `Other`.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("lock")
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
    use super::super::block::BLOCK_BYTES_MAX;
    use super::*;

    #[test]
    fn blocks_survive_closing_and_are_written_once() {
        let home = tempfile::tempdir().expect("a directory");
        let volume = Volume::create(home.path(), 1).expect("created");
        assert_eq!(volume.last_block().expect("empty"), None);
        let block = vec![0xA5; BLOCK_BYTES_MAX];
        for number in 0..200 {
            volume.put(number, &block).expect("put");
        }
        volume.flush().expect("flushed");
        volume.settle().expect("settled");
        assert_eq!(volume.last_block().expect("read"), Some(199));
        assert_eq!(volume.get(150).expect("read").as_deref(), Some(&block[..]));
        let on_disk = fs::metadata(home.path().join("00000001/db")).expect("db").len();
        assert!(on_disk < 200 * BLOCK_BYTES_MAX as u64 * 104 / 100, "{on_disk} bytes on disk");
        assert!(!home.path().join("00000001/blobs").read_dir().is_ok_and(|mut d| d.next().is_some()), "blob files");
    }
}
