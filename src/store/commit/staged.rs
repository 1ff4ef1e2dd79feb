//! A decided operation, ready for the log. Promise: whatever can be refused without harm to the log is refused while it is made.

use crate::model::ChunkId;
use crate::store::error::Error;
use crate::store::frame::{FrameHeader, FrameKind};
use crate::store::header::Counters;
use crate::store::operation::Done;
use crate::store::records::Record;
use crate::store::rows::Change;

/// A record as it goes into the log, with what it changes.
pub struct Staged {
    /// Its frame's fields.
    pub header: FrameHeader,
    /// Its frame's stored bytes.
    pub stored: Vec<u8>,
    /// The rows it sets and removes.
    pub changes: Vec<Change>,
    /// The counters behind it.
    pub counters: Counters,
    /// What its owner is told once it is durable.
    pub done: Done,
    /// How it changes the logical bytes of an account that is counted.
    pub logical: Option<(u64, i64)>,
}

impl Staged {
    /// Takes the next seq of `counters` for `record`.
    pub fn of(record: &Record, done: Done, mut counters: Counters) -> Result<Self, Error> {
        let stored = record.encode()?;
        let changes = record.changes(counters.seq)?;
        let header = FrameHeader {
            kind: FrameKind::Record,
            flags: 0,
            stored_len: 0,
            raw_len: stored.len() as u32,
            account: record.account(),
            seq: counters.seq,
            id: ChunkId([0; 32]),
        };
        counters.seq += 1;
        Ok(Self { header, stored, changes, counters, done, logical: None })
    }
}
