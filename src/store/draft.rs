//! An upload in progress: frames on their way into the log, which nothing refers to until the commit.
//!
//! Promise: a chunk this draft knows stays where it is until the draft is gone, and a commit after the store lost
//! something of it is refused. Dropping a draft leaves dead bytes at most.
//! Never: a frame that another draft has just sent is not sent again.

use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::commit::Job;
use super::error::Error;
use super::frame::FrameHeader;
use super::operation::{Done, Operation};
use super::shared::Shared;
use super::space::Room;
use super::usage::Share;
use crate::model::ChunkId;

/// Frames that were sent to the storage thread and not yet appended, all uploads together.
const QUEUED_BYTES_MAX: usize = 8 << 20;

/// A frame for the log; its place and seq are given when it is appended.
#[derive(Debug)]
pub struct NewFrame {
    /// Its fields; `seq` and `stored_len` are set by the store.
    pub header: FrameHeader,
    /// The stored bytes.
    pub stored: Vec<u8>,
}

/// An upload in progress.
pub struct Draft {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
    room: Room,
    stored_bytes_max: Option<u64>,
    losses_seen: u64,
    pins: HashMap<u32, Pin>,
}

impl Draft {
    pub(super) fn new(shared: Arc<Shared>, jobs: Sender<Job>, room: Room) -> Self {
        let losses_seen = shared.losses();
        Self { shared, jobs, room, stored_bytes_max: None, losses_seen, pins: HashMap::new() }
    }

    /// The same, if no frame of it takes its account over the most it may have stored.
    pub fn within(self, stored: Option<Share>) -> Self {
        Self { stored_bytes_max: stored.map(|share| share.bytes_max), ..self }
    }

    /// Whether a frame of that id is in the log or on its way; if so its volume is pinned. Where reads have failed, it is read.
    pub fn knows(&mut self, id: &ChunkId) -> Result<bool, Error> {
        if self.shared.is_pending(id) {
            return Ok(true);
        }
        let Some(place) = self.shared.catalog().place(id)? else { return Ok(false) };
        // What lay in a lost volume comes again as if it were new.
        if !self.shared.log.has(place.volume) {
            return Ok(false);
        }
        if self.shared.suspects.cover(place) && self.shared.log.read_proven(place, id).is_err() {
            return Ok(false);
        }
        self.pins.entry(place.volume).or_insert_with(|| self.shared.pins.pin(place.volume));
        Ok(true)
    }

    /// Sends a frame to the log unless another draft has just sent it. Waits while too much is queued. Refused where
    /// there is not the room that this draft may use.
    pub fn append(&mut self, frame: NewFrame) -> Result<(), Error> {
        // First the room, then the claim and the sending as one: whoever sees the id as pending stands behind its frame in
        // the queue, so no commit that builds on it can come before it.
        let permit = self.shared.queue.acquire(frame.stored.len());
        let (id, account, bytes) = (frame.header.id, frame.header.account, frame.stored.len());
        self.shared.claim(id, || {
            self.shared.announce(bytes, self.room)?;
            let counted = self.shared.meter.announce(account, bytes as u64, self.stored_bytes_max);
            counted.inspect_err(|_| self.shared.arrived(bytes))?;
            self.jobs.send(Job::Append(frame, permit)).map_err(|_| Error::Closed)
        })
    }

    /// Commits: when this returns, the operation and all it builds on are durable and visible.
    pub fn commit(self, operation: Operation) -> Result<Done, Error> {
        self.shared.watch.require()?;
        let (reply, answer) = channel();
        let losses_seen = self.losses_seen;
        self.jobs.send(Job::Commit { operation, losses_seen, reply }).map_err(|_| Error::Closed)?;
        answer.recv().map_err(|_| Error::Closed)?
    }
}

/// Who holds which volume in place.
#[derive(Debug, Default)]
pub struct Pins {
    counts: Arc<Mutex<HashMap<u32, usize>>>,
}

/// Holds a volume in place until dropped.
#[derive(Debug)]
pub struct Pin {
    volume: u32,
    counts: Arc<Mutex<HashMap<u32, usize>>>,
}

impl Pins {
    /// Pins a volume: it is neither compacted nor dropped meanwhile.
    pub fn pin(&self, volume: u32) -> Pin {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(volume).or_insert(0) += 1;
        Pin { volume, counts: Arc::clone(&self.counts) }
    }

    /// Whether somebody holds the volume.
    #[cfg(test)]
    pub fn is_pinned(&self, volume: u32) -> bool {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&volume)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.volume) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.volume);
            }
        }
    }
}

/// A bound on bytes that wait somewhere.
#[derive(Debug, Default)]
pub struct ByteQueue {
    state: Arc<(Mutex<usize>, Condvar)>,
}

/// Bytes of a [`ByteQueue`]; given back when dropped.
#[derive(Debug)]
pub struct BytePermit {
    bytes: usize,
    state: Arc<(Mutex<usize>, Condvar)>,
}

impl ByteQueue {
    /// Waits until `bytes` fit; something larger than the whole queue goes in alone.
    pub fn acquire(&self, bytes: usize) -> BytePermit {
        let (waiting, changed) = &*self.state;
        let mut used = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while *used > 0 && *used + bytes > QUEUED_BYTES_MAX {
            used = changed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += bytes;
        BytePermit { bytes, state: Arc::clone(&self.state) }
    }
}

impl Drop for BytePermit {
    fn drop(&mut self) {
        let (waiting, changed) = &*self.state;
        *waiting.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_pinned_until_the_last_pin_goes() {
        let pins = Pins::default();
        let (first, second) = (pins.pin(3), pins.pin(3));
        drop(first);
        assert!(pins.is_pinned(3));
        drop(second);
        assert!(!pins.is_pinned(3));
    }
}
