//! The storage thread's part in what accounts use: it counts, notes and refuses.

use std::collections::BTreeMap;

use super::Keeper;
use super::group::Appended;
use crate::model::Quota;
use crate::store::draft::NewFrame;
use crate::store::error::Error;
use crate::store::frame::FrameHeader;
use crate::store::keys;
use crate::store::operation::View;
use crate::store::records::Record;
use crate::store::rows::Change;
use crate::store::usage::{Logical, UsageNoted, count_logical, delta, purpose_of};

/// What was stored, as a frame, and the rows that it sets.
pub struct Note {
    /// The frame.
    pub frame: (FrameHeader, Vec<u8>),
    /// The rows.
    pub changes: Vec<Change>,
}

impl Keeper {
    /// The account whose logical bytes a record changes, and by how much, if anybody counts them; refused over its quota.
    pub(super) fn measure(&self, record: &Record) -> Result<Option<(u64, i64)>, Error> {
        let account = record.account();
        let Some(Logical { bytes, lowest }) = self.shared.meter.logical(account) else { return Ok(None) };
        if matches!(record, Record::QuotaSet(_)) {
            // What it comes down to from here on counts.
            self.shared.meter.counted(account, bytes);
        }
        let view = View::new(&self.shared.rows, self.shared.catalog(), &self.group.overlay);
        let by = delta(record, &view)?;
        let used = bytes.saturating_add_signed(self.group.logical.get(&account).copied().unwrap_or(0));
        let quota = if by > 0 { view.get::<Quota>(&keys::quota(account))? } else { None };
        let most = quota.and_then(|quota| quota.logical).map(|bound| bound.most(purpose_of(record), lowest));
        match most.filter(|most| used.saturating_add_signed(by) > *most) {
            Some(bytes_max) => Err(Error::Quota { what: "logical", bytes_max, bytes_used: used }),
            None => Ok(Some((account, by))),
        }
    }

    /// What a volume that is begun says of what was stored before it; nothing where that was never counted.
    pub(super) fn note_of_all(&self) -> Result<Option<Note>, Error> {
        if self.shared.meter.is_complete() { self.note().map(Some) } else { Ok(None) }
    }

    fn note(&self) -> Result<Note, Error> {
        let note = UsageNoted { stored: self.shared.meter.synced_by_all().into_iter().collect() };
        let frame = note.clone().frame(self.counters.seq)?;
        let changes = Record::UsageNoted(note).changes(frame.0.seq)?;
        Ok(Note { frame, changes })
    }

    /// A note is in the log.
    pub(super) fn noted(&self, note: Option<Note>) {
        if let Some(Note { changes, .. }) = note {
            self.shared.rows.apply(changes);
            self.shared.meter.noted();
        }
    }

    /// What was stored before this start was counted: from now on it is known for good.
    pub(super) fn stored_counted(&mut self, missing: &BTreeMap<u64, u64>) -> Result<(), Error> {
        if !self.group.is_empty() {
            self.finish();
        }
        self.shared.meter.complete(missing);
        self.write_note().map_err(|error| {
            self.fail(error);
            Error::Refused("the log could not be written")
        })
    }

    fn write_note(&mut self) -> Result<(), Error> {
        let note = self.note()?;
        let (header, stored) = &note.frame;
        let writer = self.writer()?;
        writer.append(header, stored)?;
        writer.flush(header.seq)?;
        self.noted(Some(note));
        Ok(())
    }

    /// Counts what an account has. What waits is finished first, so that the rows say all.
    pub(super) fn count(&mut self, account: u64) -> Result<Logical, Error> {
        if !self.group.is_empty() {
            self.finish();
        }
        let bytes = count_logical(self.shared.catalog(), account)?;
        Ok(self.shared.meter.counted(account, bytes))
    }

    /// A group is synced.
    pub(super) fn metered(&self, frames: &[Appended], logical: &BTreeMap<u64, i64>) {
        let meter = &self.shared.meter;
        frames.iter().for_each(|frame| meter.synced(frame.account, frame.bytes));
        logical.iter().for_each(|(account, by)| meter.changed(*account, *by));
    }

    /// A frame that was announced is not written.
    pub(super) fn drop_frame(&self, frame: &NewFrame) {
        self.shared.arrived(frame.stored.len());
        self.shared.meter.lost(frame.header.account, frame.stored.len() as u64);
    }
}
