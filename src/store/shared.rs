//! What the storage thread shares with readers and drafts: the log, the catalog, and what is on its way between them.
//!
//! Promise: an id is pending from the moment a draft sends its frame until the catalog knows its place, without a gap, so
//! nobody sends it twice and nobody misses it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::catalog::Catalog;
use super::draft::{ByteQueue, Pins};
use super::error::Error;
use super::home::{Home, Watch};
use super::log::Log;
use super::rows::Rows;
use super::space::{Room, Space};
use super::suspects::Suspects;
use super::usage::Meter;
use crate::model::ChunkId;

/// What the storage thread shares with readers and drafts.
pub struct Shared {
    /// The log's readers.
    pub log: Log,
    /// The catalog's rows.
    pub rows: Arc<Rows>,
    /// Who holds which volume.
    pub pins: Pins,
    /// Bytes on their way to the storage thread.
    pub queue: ByteQueue,
    /// The disk's room.
    pub space: Space,
    /// Whether the data directory is still there.
    pub home: Home,
    /// Whether the storage thread hangs at the disk.
    pub watch: Watch,
    /// Bytes of frames on their way to the disk: sent, and not yet synced or lost.
    pub coming: AtomicU64,
    /// What accounts use.
    pub meter: Meter,
    /// Where reads have failed.
    pub suspects: Suspects,
    /// Whether the storage thread has been asked to recycle the open volume.
    pub recycling: AtomicBool,
    catalog: Catalog,
    pending: RwLock<HashSet<ChunkId>>,
    losses: AtomicU64,
    last_loss_was_space: AtomicBool,
}

impl Shared {
    /// The shared part over an opened log and catalog.
    pub fn new(
        log: Log,
        rows: Arc<Rows>,
        space: Space,
        home: Home,
        watch: Watch,
        meter: Meter,
        suspects: Suspects,
    ) -> Self {
        let catalog = Catalog::new(Arc::clone(&rows));
        let (pins, queue) = (Pins::default(), ByteQueue::default());
        Self {
            log,
            rows,
            pins,
            queue,
            space,
            home,
            watch,
            coming: AtomicU64::new(0),
            meter,
            suspects,
            recycling: AtomicBool::new(false),
            catalog,
            pending: RwLock::default(),
            losses: AtomicU64::new(0),
            last_loss_was_space: AtomicBool::new(false),
        }
    }

    /// The catalog's questions.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// How often something unacknowledged was lost.
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    /// Whether a frame of that id was sent and is not in the catalog yet.
    pub fn is_pending(&self, id: &ChunkId) -> bool {
        self.pending.read().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// Runs `send` for the first who comes with this id, while nobody else can see it as pending.
    pub fn claim(&self, id: ChunkId, send: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let mut pending = self.pending.write().unwrap_or_else(PoisonError::into_inner);
        if pending.contains(&id) {
            return Ok(());
        }
        send()?;
        pending.insert(id);
        Ok(())
    }

    /// The catalog knows these now.
    pub fn settle(&self, ids: impl Iterator<Item = ChunkId>) {
        let mut pending = self.pending.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            pending.remove(&id);
        }
    }

    /// Announces `bytes` for the disk, if there is room for them.
    pub fn announce(&self, bytes: usize, room: Room) -> Result<(), Error> {
        let coming = self.coming.fetch_add(bytes as u64, Ordering::AcqRel) + bytes as u64;
        if self.space.admits(room, coming) {
            return Ok(());
        }
        self.arrived(bytes);
        Err(Error::NoSpace)
    }

    /// Announced bytes are on the disk, or will never be.
    pub fn arrived(&self, bytes: usize) {
        let less = |coming: u64| Some(coming.saturating_sub(bytes as u64));
        let _ = self.coming.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }

    /// Why the last loss happened, for those whose work it took.
    pub fn last_loss(&self) -> Error {
        match self.last_loss_was_space.load(Ordering::Acquire) {
            true => Error::NoSpace,
            false => Error::Refused("chunks it names were lost with a failed volume"),
        }
    }

    /// Notes that everything unacknowledged is gone. Forgotten first and counted then: a draft that begins in between
    /// is refused for nothing, while the other way round it could build on what is lost.
    pub fn lose(&self, error: &Error) {
        self.last_loss_was_space.store(matches!(error, Error::NoSpace), Ordering::Release);
        self.pending.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.losses.fetch_add(1, Ordering::Release);
    }
}
