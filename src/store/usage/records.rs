//! The records of quotas and of what was stored, and the rows they set.

use serde::{Deserialize, Serialize};

use crate::model::{ChunkId, Quota};
use crate::store::error::Error;
use crate::store::frame::{FrameHeader, FrameKind};
use crate::store::keys;
use crate::store::records::{Changes, Record};

/// An account may keep so much from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaSet {
    /// The account.
    pub account: u64,
    /// How much.
    pub quota: Quota,
    /// When, in ms since 1970.
    pub at: i64,
}

/// The bytes of all frames with content that lie before this record in the log, by account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageNoted {
    /// Account and bytes, by account.
    pub stored: Vec<(u64, u64)>,
}

impl QuotaSet {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        changes.set(keys::quota(self.account), &self.quota)
    }
}

impl UsageNoted {
    /// The record as a frame behind all that was given before `next_seq`. It takes no seq of its own.
    pub(in crate::store) fn frame(self, next_seq: u64) -> Result<(FrameHeader, Vec<u8>), Error> {
        let stored = Record::UsageNoted(self).encode()?;
        let (kind, raw_len, id) = (FrameKind::Record, stored.len() as u32, ChunkId([0; 32]));
        let seq = next_seq.saturating_sub(1);
        Ok((FrameHeader { kind, flags: 0, stored_len: raw_len, raw_len, account: 0, seq, id }, stored))
    }

    /// A row says that there is such a record; what it says is read from the log, which may have lost what the catalog still knew.
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        changes.set(keys::usage_noted(), &())
    }
}
