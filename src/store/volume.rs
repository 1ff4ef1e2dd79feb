//! One sled database as a container of blocks, used so that each tree is written exactly once.
//!
//! Promise: a block is inserted once and never changed or removed; what [`Volume::flush`] returned for is durable; memory
//! stays bounded, because the database is closed and opened again after [`RECYCLE_BYTES`] went through it. sled opens only what
//! this process writes: opening writes, and over damage it destroys what is whole around it. Everything else is read from the
//! bytes of the file (`raw/`), and so is what sled refuses to give.
//! Never: no batch, no transaction, no `flush_async`, no `len`; no tree is opened for reading unless it has blocks,
//! because opening creates it.

use std::any::Any;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use bytes::Bytes;

use super::clean;
use super::durable;
use super::error::Error;
use super::home::identity;
use super::panics;
use super::place::Address;
use super::raw::{self, BlockKind, PieceFile};
use super::shape::Shape;
use super::sled_open::{self, NotOpen};
use super::trees::{last_in, tree_name};
use super::volume_dir::{self, CRASHED_FILE, DB_FILE, directory};

/// sled's own bound on its cache does not hold; closing and opening does.
pub const RECYCLE_BYTES: u64 = 10 << 20;
/// A hint that sled does not hold to, see above.
const CACHE_BYTES: u64 = 1 << 20;

/// A volume's database. Shared by all readers and the writer.
#[derive(Debug)]
pub struct Volume {
    number: u32,
    dir: PathBuf,
    shape: Shape,
    pub(super) blocks: PieceFile<BlockKind>,
    slot: RwLock<Slot>,
    traffic_bytes: AtomicU64,
    refused: OnceLock<Refusal>,
    opened: OnceLock<Option<(u64, u64)>>,
}

/// Why sled has refused something of a volume.
#[derive(Debug)]
enum Refusal {
    NoSpace,
    Other,
}

/// How the blocks are reached.
#[derive(Debug)]
enum Slot {
    /// In the bytes of the file.
    Raw,
    /// Through sled, since this process writes it; the database may be closed for the moment.
    Written(Option<sled::Db>),
}

impl Volume {
    /// Makes an empty volume and its name durable.
    pub fn create(volumes: &Path, number: u32, shape: Shape) -> Result<Self, Error> {
        let volume = Self::at(volumes, number, shape);
        let dir = &volume.dir;
        fs::DirBuilder::new().mode(0o700).create(dir).map_err(|e| Error::io(dir, e))?;
        *volume.slot.write().unwrap_or_else(PoisonError::into_inner) = Slot::Written(Some(volume.start_sled()?));
        for file in ["conf", DB_FILE] {
            let path = dir.join(file);
            durable::sync_file(&path).map_err(|e| Error::io(&path, e))?;
        }
        durable::sync_dir(dir).and_then(|()| durable::sync_dir(volumes)).map_err(|e| Error::io(dir, e))?;
        Ok(volume)
    }

    /// A volume that exists; nothing of it is opened before it is first used.
    pub fn at(volumes: &Path, number: u32, shape: Shape) -> Self {
        Self {
            number,
            dir: directory(volumes, number),
            shape,
            blocks: PieceFile::of(BlockKind { volume: number, key: shape.key }),
            slot: RwLock::new(Slot::Raw),
            traffic_bytes: AtomicU64::new(0),
            refused: OnceLock::new(),
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
        self.write(|db| db.open_tree(tree_name(number))?.insert(number.to_be_bytes(), block).map(drop))
    }

    /// Reads block `number`, which the caller knows to lie below the volume's last one; `None` when it is damaged.
    pub fn get(&self, number: u32) -> Result<Option<Bytes>, Error> {
        // Asked before the bytes are: what was written before that is in them, and only a file that is written grows.
        let grows = self.is_written();
        let ask = || self.read(|db| db.open_tree(tree_name(number))?.get(number.to_be_bytes()));
        let read = ask();
        if let Some(Ok(Some(block))) = read {
            self.traffic_bytes.fetch_add(block.len() as u64, Ordering::Relaxed);
            return Ok(Some(Bytes::from_owner(block)));
        }
        let path = self.file()?;
        let found = self.blocks.get(&path, number, grows).map_err(|source| match raw::is_bad_sector(&source) {
            true => Error::Unreadable { volume: self.number, block: number, source },
            false => Error::io(&path, source),
        })?;
        // Asked again: it may have been written between the two looks.
        if found.is_some() && read.is_some() && !matches!(ask(), None | Some(Ok(Some(_)))) {
            self.refuse(&self.damaged("it does not give a block that is there"));
        }
        Ok(found)
    }

    /// The number of the last block, if there is any. Looks at the trees' names, so it creates none. A kill between the
    /// making of a tree and its first block leaves an empty one at the end.
    pub fn last_block(&self) -> Result<Option<u32>, Error> {
        let grows = self.is_written();
        match self.read(last_in) {
            Some(Ok(last)) => Ok(last),
            _ => self.raw(|blocks, path| blocks.last(path, grows)),
        }
    }

    /// Makes all inserted blocks durable.
    pub fn flush(&self) -> Result<(), Error> {
        self.write(|db| db.flush().map(drop))
    }

    /// Whether so much went through the open database that it is time for [`Volume::close`].
    pub fn is_due(&self) -> bool {
        self.traffic_bytes.load(Ordering::Relaxed) > RECYCLE_BYTES
    }

    /// Closes what is open of it; the next use opens it again. The writer flushes before. Where blocks lie is kept of a volume
    /// that is written: what was found once stays there.
    pub fn close(&self) {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        self.close_slot(&mut slot);
        if matches!(*slot, Slot::Raw) {
            self.blocks.close();
        }
    }

    fn close_slot(&self, slot: &mut Slot) {
        self.traffic_bytes.store(0, Ordering::Relaxed);
        let Slot::Written(db) = slot else { return };
        let db = db.take();
        // sled syncs in its destructor and panics when that fails; what matters was flushed before, but nothing is written after.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(db))) {
            self.refuse(&self.panicked(&*panic));
        }
    }

    /// Ends a volume's life as the one that is written: from here on it is read from its bytes.
    pub fn settle(&self) -> Result<(), Error> {
        self.flush()?;
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        self.close_slot(&mut slot);
        *slot = Slot::Raw;
        self.blocks.close();
        durable::sync_dir(&self.dir).map_err(|e| Error::io(&self.dir, e))
    }

    /// Ends it for this process only: sled writes its snapshot when it opens a database, and needs one to go on from.
    pub fn suspend(&self) -> Result<(), Error> {
        if !self.is_written() {
            return Ok(());
        }
        self.flush()?;
        self.close();
        self.write(|_| Ok(()))?;
        self.settle()
    }

    /// Whether this process has written it and may go on.
    fn is_written(&self) -> bool {
        matches!(*self.slot.read().unwrap_or_else(PoisonError::into_inner), Slot::Written(_))
    }

    /// Whether sled ever wrote it; a crash while it was created may have left an empty directory.
    pub fn has_database(&self) -> Result<bool, Error> {
        Ok(self.found()?.is_some())
    }

    /// Whether it was given up by [`Volume::retire`].
    pub fn is_retired(&self) -> Result<bool, Error> {
        Ok(self.found()?.is_some_and(|path| path.ends_with(CRASHED_FILE)))
    }

    /// How long the file is that holds its blocks.
    pub fn file_bytes(&self) -> Result<u64, Error> {
        let Some(path) = self.found()? else { return Ok(0) };
        fs::metadata(&path).map(|file| file.len()).map_err(|e| Error::io(&path, e))
    }

    /// Whether its database is where it was when sled first opened it, and the same one.
    pub fn is_in_place(&self) -> bool {
        let now = identity(&self.dir.join(DB_FILE));
        now.is_some() && self.opened.get().is_none_or(|then| *then == now)
    }

    /// After a stop without order or a failed write: from here on sled never opens it, and what the kernel had not written is
    /// made durable.
    pub fn retire(&self) -> Result<(), Error> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        self.close_slot(&mut slot);
        *slot = Slot::Raw;
        self.blocks.close();
        volume_dir::retire(&self.dir).map_err(|e| Error::io(&self.dir, e))
    }

    /// A hash of all that sled left of it on the disk: while it is the same, sled may go on from there.
    pub fn digest(&self) -> Result<[u8; 32], Error> {
        clean::digest(&self.dir).map_err(|e| Error::io(&self.dir, e))
    }

    /// Whether it has that digest; one that cannot be read has not.
    pub fn is_as(&self, digest: &[u8; 32]) -> bool {
        self.digest()
            .inspect_err(|error| {
                let (volume, error) = (self.number, error as &dyn std::error::Error);
                tracing::warn!(volume, error, "the newest volume cannot be read whole, so it is ended here");
            })
            .is_ok_and(|found| found == *digest)
    }

    /// The furthest end that its bytes call acknowledged, and whether parts of them could not be read.
    pub fn acknowledged(&self) -> Result<(Address, bool), Error> {
        let path = self.file()?;
        let kind = BlockKind { volume: self.number, key: self.shape.key };
        kind.acknowledged(&path).map_err(|e| Error::io(&path, e))
    }

    /// The store its header names, if there is one in the file's bytes, also where no block verifies for this store.
    pub fn store(&self) -> Result<Option<[u8; 16]>, Error> {
        self.found()?.map_or(Ok(None), |path| raw::store_of(&path).map_err(|e| Error::io(&path, e)))
    }

    /// Writes down where its blocks lie, if that was not done yet, and says whether it was done now. For volumes that nobody
    /// writes any more.
    pub fn write_list(&self) -> Result<bool, Error> {
        if self.is_written() { Ok(false) } else { self.raw(PieceFile::write_list) }
    }

    fn found(&self) -> Result<Option<PathBuf>, Error> {
        volume_dir::file(&self.dir).map_err(|e| Error::io(&self.dir, e))
    }

    fn file(&self) -> Result<PathBuf, Error> {
        self.found()?.ok_or_else(|| self.damaged("its database is not there"))
    }

    /// Asks the bytes of the file.
    fn raw<T>(&self, ask: impl FnOnce(&PieceFile<BlockKind>, &Path) -> io::Result<T>) -> Result<T, Error> {
        let path = self.file()?;
        ask(&self.blocks, &path).map_err(|e| Error::io(&path, e))
    }

    /// Asks the database if it is open. Readers never open it: while it is closed, all of it is in the bytes of the file.
    fn read<T>(&self, work: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Option<Result<T, Error>> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let Slot::Written(Some(db)) = &*slot else { return None };
        let read = self.guarded(|| work(db));
        if let Err(error) = &read {
            self.refuse(error);
        }
        Some(read)
    }

    /// Runs `work` on the open database, opening it when it is closed. Not once sled has refused something of it: a sync may have
    /// failed while it was opened, and what comes after a failed sync cannot be trusted.
    fn write<T>(&self, work: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Error> {
        loop {
            match self.refused.get() {
                Some(Refusal::NoSpace) => return Err(Error::NoSpace),
                Some(Refusal::Other) => return Err(Error::Refused("sled refused the volume before")),
                None => {}
            }
            let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
            if let Slot::Written(Some(db)) = &*slot {
                return self.guarded(|| work(db));
            }
            drop(slot);
            let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
            if !matches!(&*slot, Slot::Written(Some(_))) {
                *slot = Slot::Written(Some(self.open_sled()?));
            }
        }
    }

    fn open_sled(&self) -> Result<sled::Db, Error> {
        let path = self.file()?;
        // sled would make a new one, and the volume would look empty.
        if path.ends_with(CRASHED_FILE) {
            return Err(self.damaged("a crash has seen it"));
        }
        raw::remove_list(&path).map_err(|e| Error::io(&path, e))?;
        self.start_sled()
    }

    fn start_sled(&self) -> Result<sled::Db, Error> {
        durable::remove_half_snapshots(&self.dir).map_err(|e| Error::io(&self.dir, e))?;
        let opened = sled_open::open(&self.dir, self.shape.segment, CACHE_BYTES).map_err(|why| match why {
            NotOpen::Refused(error) => Error::sled(self.number, error),
            NotOpen::Panicked(panic) => self.panicked(&*panic),
        });
        let db = opened?;
        self.opened.get_or_init(|| identity(&self.dir.join(DB_FILE)));
        Ok(db)
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

    /// It is never written again; the reads go on without sled.
    fn refuse(&self, why: &Error) {
        let refusal = if matches!(why, Error::NoSpace) { Refusal::NoSpace } else { Refusal::Other };
        if self.refused.set(refusal).is_ok() {
            let reason = why as &dyn std::error::Error;
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

#[cfg(test)]
mod tests {
    use super::super::block::{self, BLOCK_BYTES_MAX, BlockHeader};
    use super::super::shape::{BlockKey, Segment};
    use super::*;

    const SHAPE: fn() -> Shape = || Shape { key: BlockKey::of([7; 16]), segment: Segment::DEFAULT };

    #[test]
    fn blocks_survive_closing_and_are_written_once() {
        let home = tempfile::tempdir().expect("a directory");
        let volume = Volume::create(home.path(), 1, SHAPE()).expect("created");
        assert_eq!(volume.last_block().expect("empty"), None);
        let made = |number| {
            let mut block = vec![0xA5; BLOCK_BYTES_MAX];
            let acknowledged = Address::START;
            let header = BlockHeader { volume: 1, number, seq: 1, first_frame: None, acknowledged };
            block::finish(&SHAPE().key, &header, &mut block);
            block
        };
        for number in 0..200 {
            volume.put(number, &made(number)).expect("put");
        }
        volume.flush().expect("flushed");
        volume.close();
        assert_eq!(volume.get(199).expect("read").as_deref(), Some(&made(199)[..]), "closed for a moment");
        volume.settle().expect("settled");
        let again = Volume::at(home.path(), 1, SHAPE());
        assert_eq!(again.last_block().expect("read"), Some(199));
        assert_eq!(again.get(150).expect("read").as_deref(), Some(&made(150)[..]));
        let on_disk = fs::metadata(home.path().join("00000001/db")).expect("db").len();
        assert!(on_disk < 200 * BLOCK_BYTES_MAX as u64 * 104 / 100, "{on_disk} bytes on disk");
        assert!(!home.path().join("00000001/blobs").read_dir().is_ok_and(|mut d| d.next().is_some()), "blob files");
    }
}
