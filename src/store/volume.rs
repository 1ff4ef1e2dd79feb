//! One sled database as a container of blocks, used so that each tree is written exactly once.
//!
//! Promise: a block is inserted once and never changed or removed; what [`Volume::flush`] returned for is durable; memory
//! stays bounded, because the database is closed and opened again after [`RECYCLE_BYTES`] went through it. Where sled refuses,
//! for damage or for want of room, blocks are read from the file's bytes; a volume that a crash has seen is only ever read so.
//! Never: no batch, no transaction, no `flush_async`, no `len`; no tree is opened for reading unless it has blocks,
//! because opening creates it.

use std::any::Any;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::durable;
use super::error::Error;
use super::home::identity;
use super::panics;
use super::raw::{self, Blocks};
use super::shape::Shape;
use super::trees::{last_in, tree_name};

/// sled's own bound on its cache does not hold; closing and opening does.
pub const RECYCLE_BYTES: u64 = 10 << 20;
/// sled gives its lock back a moment after the last handle went.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const DB_FILE: &str = "db";
/// The name that keeps sled from ever opening what a crash has seen: its recovery could cut at the wrong place.
const CRASHED_FILE: &str = "db.crashed";

/// A volume's database. Shared by all readers and the writer.
#[derive(Debug)]
pub struct Volume {
    number: u32,
    dir: PathBuf,
    shape: Shape,
    slot: RwLock<Option<Backing>>,
    traffic_bytes: AtomicU64,
    complained: AtomicBool,
    refused: AtomicBool,
    opened: OnceLock<Option<(u64, u64)>>,
}

/// How the blocks are reached.
#[derive(Debug)]
enum Backing {
    /// Through sled; the blocks in the file's bytes are looked for when it refuses one.
    Sled(sled::Db, OnceLock<Blocks>),
    /// Without it.
    Raw(Blocks),
}

/// The directory of volume `number` below `volumes`.
pub fn directory(volumes: &Path, number: u32) -> PathBuf {
    volumes.join(format!("{number:08}"))
}

impl Volume {
    /// Makes an empty volume and its name durable.
    pub fn create(volumes: &Path, number: u32, shape: Shape) -> Result<Self, Error> {
        let volume = Self::at(volumes, number, shape);
        let dir = &volume.dir;
        fs::DirBuilder::new().mode(0o700).create(dir).map_err(|e| Error::io(dir, e))?;
        *volume.slot.write().unwrap_or_else(PoisonError::into_inner) =
            Some(Backing::Sled(volume.start_sled()?, OnceLock::new()));
        for file in ["conf", DB_FILE] {
            let path = dir.join(file);
            durable::sync_file(&path).map_err(|e| Error::io(&path, e))?;
        }
        durable::sync_dir(dir).and_then(|()| durable::sync_dir(volumes)).map_err(|e| Error::io(dir, e))?;
        Ok(volume)
    }

    /// A volume that exists; it is opened when it is first used.
    pub fn at(volumes: &Path, number: u32, shape: Shape) -> Self {
        let dir = directory(volumes, number);
        let (complained, refused) = (AtomicBool::new(false), AtomicBool::new(false));
        Self {
            number,
            dir,
            shape,
            slot: RwLock::new(None),
            traffic_bytes: AtomicU64::new(0),
            complained,
            refused,
            opened: OnceLock::new(),
        }
    }

    /// The volume's number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What its blocks have in common with those of the whole store.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Inserts block `number`.
    pub fn put(&self, number: u32, block: &[u8]) -> Result<(), Error> {
        self.traffic_bytes.fetch_add(block.len() as u64, Ordering::Relaxed);
        self.with_sled(|db| db.open_tree(tree_name(number))?.insert(number.to_be_bytes(), block).map(drop))
    }

    /// Reads block `number`, which the caller knows to lie below the volume's last one.
    pub fn get(&self, number: u32) -> Result<Option<sled::IVec>, Error> {
        let slot = self.open_slot()?;
        let block = match slot.as_ref() {
            Some(Backing::Raw(blocks)) => self.raw(blocks, number)?,
            Some(Backing::Sled(db, found)) => {
                match self.guarded(|| db.open_tree(tree_name(number))?.get(number.to_be_bytes())) {
                    Ok(Some(block)) => Some(block),
                    refused => self.found_raw(found, number)?.map_or(refused, |block| Ok(Some(block)))?,
                }
            }
            None => return Err(Error::Closed),
        };
        self.traffic_bytes.fetch_add(block.as_ref().map_or(0, |b| b.len() as u64), Ordering::Relaxed);
        Ok(block)
    }

    /// The number of the last block, if there is any. Looks at the trees' names, so it creates none. A kill between the
    /// making of a tree and its first block leaves an empty one at the end.
    pub fn last_block(&self) -> Result<Option<u32>, Error> {
        let slot = self.open_slot()?;
        match slot.as_ref() {
            Some(Backing::Raw(blocks)) => Ok(blocks.last()),
            Some(Backing::Sled(db, found)) => match self.guarded(|| last_in(db)) {
                Err(error) if error.is_damage() => Ok(self.blocks_of(found)?.last()),
                last => last,
            },
            None => Err(Error::Closed),
        }
    }

    /// Makes all inserted blocks durable.
    pub fn flush(&self) -> Result<(), Error> {
        self.with_sled(|db| db.flush().map(drop))
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
        self.close_slot(&mut self.slot.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn close_slot(&self, slot: &mut Option<Backing>) {
        self.traffic_bytes.store(0, Ordering::Relaxed);
        let backing = slot.take();
        // sled syncs in its destructor and panics when that fails; what matters was flushed before, but nothing is written after.
        if catch_unwind(AssertUnwindSafe(|| drop(backing))).is_err() {
            self.complained.store(true, Ordering::Release);
            tracing::warn!(volume = self.number, "closing a volume failed");
        }
    }

    /// Ends a volume's life as the one that is written: only opening writes sled's snapshot, and a volume with one
    /// answers a damaged block with an error, while one without may lose blocks silently.
    pub fn settle(&self) -> Result<(), Error> {
        self.flush()?;
        self.close();
        self.with_sled(|_| Ok(()))?;
        self.close();
        durable::sync_dir(&self.dir).map_err(|e| Error::io(&self.dir, e))
    }

    /// Whether sled ever wrote it; a crash while it was created may have left an empty directory.
    pub fn has_database(&self) -> bool {
        self.file().is_some()
    }

    /// Whether its database is where it was when sled first opened it, and the same one.
    pub fn is_in_place(&self) -> bool {
        let now = identity(&self.dir.join(DB_FILE));
        now.is_some() && self.opened.get().is_none_or(|then| *then == now)
    }

    /// Whether sled may and does open it, so that it can be written.
    pub fn opens(&self) -> bool {
        self.with_sled(|_| Ok(())).is_ok()
    }

    /// After a stop without order or a failed write: from here on sled never opens it, and what the kernel had not written is
    /// made durable.
    pub fn retire(&self) -> Result<(), Error> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        self.close_slot(&mut slot);
        let (db, crashed) = (self.dir.join(DB_FILE), self.dir.join(CRASHED_FILE));
        let renamed = if db.exists() && !crashed.exists() { fs::rename(&db, &crashed) } else { Ok(()) };
        renamed
            .and_then(|()| if crashed.exists() { durable::sync_file(&crashed) } else { Ok(()) })
            .and_then(|()| durable::sync_dir(&self.dir))
            .map_err(|e| Error::io(&crashed, e))
    }

    /// Its blocks as they lie in the file, without sled.
    pub fn blocks(&self) -> Result<Blocks, Error> {
        let path = self.file().ok_or_else(|| self.damaged("its database is not there"))?;
        Blocks::scan(&path, self.number, &self.shape.key).map_err(|e| Error::io(&path, e))
    }

    /// The store its header names, if there is one in the file's bytes, also where no block verifies for this store.
    pub fn store(&self) -> Result<Option<[u8; 16]>, Error> {
        self.file().map_or(Ok(None), |path| raw::store_of(&path).map_err(|e| Error::io(&path, e)))
    }

    /// Whether sled has refused something of it since the start, and not for want of room.
    pub fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// The file that holds its blocks.
    fn file(&self) -> Option<PathBuf> {
        [CRASHED_FILE, DB_FILE].map(|name| self.dir.join(name)).into_iter().find(|path| path.exists())
    }

    fn raw(&self, blocks: &Blocks, number: u32) -> Result<Option<sled::IVec>, Error> {
        let found = blocks.get(number).map_err(|e| Error::io(&self.dir, e))?;
        Ok(found.map(sled::IVec::from))
    }

    /// A block that sled does not give, if it lies in the file all the same.
    fn found_raw(&self, found: &OnceLock<Blocks>, number: u32) -> Result<Option<sled::IVec>, Error> {
        let block = self.raw(self.blocks_of(found)?, number)?;
        if block.is_some() {
            self.complain("sled does not give a block that is there", true);
        }
        Ok(block)
    }

    fn blocks_of<'a>(&self, found: &'a OnceLock<Blocks>) -> Result<&'a Blocks, Error> {
        match found.get() {
            Some(blocks) => Ok(blocks),
            None => {
                let blocks = self.blocks()?;
                Ok(found.get_or_init(|| blocks))
            }
        }
    }

    /// Runs `work`, which writes, on the open database, opening it when it is closed. Not once sled has refused it: a sync may
    /// have failed while it was opened, and what comes after a failed sync cannot be trusted.
    fn with_sled<T>(&self, work: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Error> {
        if self.complained.load(Ordering::Acquire) {
            return Err(Error::Refused("sled refused the volume before"));
        }
        loop {
            let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(Backing::Sled(db, _)) = slot.as_ref() {
                return self.guarded(|| work(db));
            }
            drop(slot);
            let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
            if !matches!(slot.as_ref(), Some(Backing::Sled(..))) {
                *slot = Some(Backing::Sled(self.open_sled()?, OnceLock::new()));
            }
        }
    }

    fn open_slot(&self) -> Result<RwLockReadGuard<'_, Option<Backing>>, Error> {
        loop {
            let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
            if slot.is_some() {
                return Ok(slot);
            }
            drop(slot);
            let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
            if slot.is_none() {
                *slot = Some(self.open()?);
            }
        }
    }

    /// Opens it through sled, or finds its blocks where sled refuses.
    fn open(&self) -> Result<Backing, Error> {
        if self.dir.join(CRASHED_FILE).exists() {
            return self.blocks().map(Backing::Raw);
        }
        let refused = match self.open_sled() {
            Ok(db) => return Ok(Backing::Sled(db, OnceLock::new())),
            Err(refused) if !self.has_database() => return Err(refused),
            Err(refused) => refused,
        };
        let blocks = self.blocks()?;
        self.complain(&refused.to_string(), refused.is_damage());
        Ok(Backing::Raw(blocks))
    }

    fn open_sled(&self) -> Result<sled::Db, Error> {
        // sled would make a new one, and the volume would look empty.
        if self.dir.join(CRASHED_FILE).exists() || !self.has_database() {
            return Err(self.damaged("its database is not there"));
        }
        self.start_sled()
    }

    fn start_sled(&self) -> Result<sled::Db, Error> {
        durable::remove_half_snapshots(&self.dir).map_err(|e| Error::io(&self.dir, e))?;
        let config = sled::Config::new()
            .path(&self.dir)
            .segment_size(self.shape.segment.bytes() as usize)
            .cache_capacity(1 << 20)
            .flush_every_ms(None);
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            match catch_unwind(AssertUnwindSafe(|| config.open())) {
                Ok(Ok(db)) => {
                    self.opened.get_or_init(|| identity(&self.dir.join(DB_FILE)));
                    return Ok(db);
                }
                Ok(Err(sled::Error::Io(error))) if is_lock(&error) && Instant::now() < deadline => {
                    sleep(Duration::from_millis(2));
                }
                Ok(Err(error)) => return Err(Error::sled(self.number, error)),
                Err(panic) => return Err(self.panicked(&*panic)),
            }
        }
    }

    fn guarded<T>(&self, work: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
        catch_unwind(AssertUnwindSafe(work))
            .map_err(|panic| self.panicked(&*panic))?
            .map_err(|e| Error::sled(self.number, e))
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> Error {
        let of_system = panics::system_error(panic).map(|error| Error::io(&self.dir, error));
        of_system.unwrap_or_else(|| self.damaged("its database panicked"))
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::Damaged { volume: self.number, reason: reason.to_owned() }
    }

    /// Once per volume: the reads go on.
    fn complain(&self, reason: &str, damage: bool) {
        self.refused.fetch_or(damage, Ordering::Relaxed);
        if !self.complained.swap(true, Ordering::AcqRel) {
            tracing::error!(volume = self.number, reason, "sled refuses a volume; its blocks are read without it");
        }
    }
}

impl Drop for Volume {
    /// Not left to sled's own destructor, which may panic.
    fn drop(&mut self) {
        self.close();
    }
}

/// sled words its lock error itself, with the kind `Other`.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("lock")
}

#[cfg(test)]
mod tests {
    use super::super::block::BLOCK_BYTES_MAX;
    use super::super::shape::{BlockKey, Segment};
    use super::*;

    const SHAPE: fn() -> Shape = || Shape { key: BlockKey::of([7; 16]), segment: Segment::DEFAULT };

    #[test]
    fn blocks_survive_closing_and_are_written_once() {
        let home = tempfile::tempdir().expect("a directory");
        let volume = Volume::create(home.path(), 1, SHAPE()).expect("created");
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
