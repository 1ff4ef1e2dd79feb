//! Many files as one archive: a folder, or a selection in it, as it was at a moment.
//!
//! Promises: the whole length is known before the first byte, and the same question gives the same bytes, so that any range can be
//! asked for; versions that were removed since the moment are in it as long as they are held, and those that no longer are stand by name
//! in an entry of their own. Never: holds content, or more plans than [`PLANNED_BYTES_MAX`] together.

mod names;
mod pieces;
mod plan;
mod zip;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use self::plan::Plan;
use super::caller::Caller;
use super::error::Error;
use super::{Inner, Services};
use crate::model::{DeviceName, FileId, Scope, Timestamp};

/// Files of one archive: its plan is below 20 MiB. A folder with more is taken along in parts.
pub const ENTRIES_MAX: usize = 100_000;
/// The plans of all archives under way.
const PLANNED_BYTES_MAX: usize = 32 << 20;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct ArchiveQuery {
    /// The device.
    pub device: DeviceName,
    /// The folder's path with the separator at its end; empty for the device itself.
    pub folder: Vec<u8>,
    /// What of it: everything when both lists are empty.
    pub files: Vec<FileId>,
    /// Folders below it, each with the separator at its end.
    pub folders: Vec<Vec<u8>>,
    /// The moment; now when there is none.
    pub at: Option<Timestamp>,
}

/// An archive that is ready to be read.
pub struct Archive {
    inner: Arc<Inner>,
    caller: Caller,
    plan: Plan,
    name: String,
}

impl Services {
    /// Plans an archive; all that can be refused is refused here, before the first byte.
    pub fn archive(&self, caller: &Caller, query: &ArchiveQuery) -> Result<Archive, Error> {
        caller.require(Scope::Restore)?;
        let device = self.inner.seen_device(caller, &query.device)?;
        let plan = Plan::of(&self.inner, caller, device, query)?;
        let inner = Arc::clone(&self.inner);
        Ok(Archive { inner, caller: caller.clone(), plan, name: names::of_archive(query) })
    }
}

impl Archive {
    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.plan.size()
    }

    /// Names its bytes: another plan has another digest.
    pub fn digest(&self) -> String {
        self.plan.digest().to_hex()[..32].to_owned()
    }

    /// What it is called, without an ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes of `range`, which must lie within, in pieces of at most a chunk.
    pub fn read(self, range: Range<u64>) -> impl Iterator<Item = Result<Bytes, Error>> + Send + 'static {
        pieces::read(self, range)
    }
}

/// A share of [`PLANNED_BYTES_MAX`], given back when dropped.
#[derive(Debug)]
struct Planned {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

impl Planned {
    fn new(all: Arc<AtomicUsize>) -> Self {
        Self { all, bytes: 0 }
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes;
        let before = self.all.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > PLANNED_BYTES_MAX { Err(Error::Busy) } else { Ok(()) }
    }
}

impl Drop for Planned {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
