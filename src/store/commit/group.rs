//! What was appended and decided since the last sync.

use std::collections::BTreeMap;

use super::again::Waiting;
use super::staged::Staged;
use crate::model::ChunkId;
use crate::store::catalog::place_change;
use crate::store::frame::FrameHeader;
use crate::store::header::Counters;
use crate::store::operation::{self, Done};
use crate::store::place::Place;
use crate::store::rows::Change;

/// A group of commits that one sync covers.
#[derive(Default)]
pub struct Group {
    pub counters: Option<Counters>,
    pub frames: Vec<Appended>,
    pub frame_bytes: usize,
    pub overlay: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pub changes: Vec<Change>,
    pub answers: Vec<(Waiting, Done)>,
    pub bytes: usize,
    /// How the logical bytes of accounts change.
    pub logical: BTreeMap<u64, i64>,
}

/// A frame with content that is in the log and not synced yet.
pub struct Appended {
    pub id: ChunkId,
    pub place: Place,
    pub seq: u64,
    pub account: u64,
    pub bytes: u64,
}

impl Appended {
    /// What makes it known to the catalog.
    pub fn change(&self) -> Change {
        place_change(&self.id, self.place, self.seq)
    }
}

impl Group {
    /// Whether there is nothing to sync.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.answers.is_empty() && self.counters.is_none()
    }

    /// Takes a frame that was appended.
    pub fn take_frame(&mut self, header: &FrameHeader, bytes: usize, seq: u64, place: Place) {
        self.bytes += bytes;
        self.frame_bytes += bytes;
        self.frames.push(Appended { id: header.id, place, seq, account: header.account, bytes: bytes as u64 });
    }

    /// Takes a record that was appended, and says what its owner is told.
    pub fn take_record(&mut self, staged: Staged) -> Done {
        self.counters = Some(staged.counters);
        self.bytes += staged.stored.len();
        operation::overlay(&staged.changes, &mut self.overlay);
        self.changes.extend(staged.changes);
        if let Some((account, by)) = staged.logical {
            *self.logical.entry(account).or_default() += by;
        }
        staged.done
    }
}
