//! What was stored by each account, found again at a start.
//!
//! Promise: a start counts the newest volume, which it reads anyway, and volumes before it only where the newest has no note yet.

use std::collections::BTreeMap;

use crate::store::error::Error;
use crate::store::frame::{Frame, FrameHeader, FrameKind};
use crate::store::keys;
use crate::store::log::Log;
use crate::store::place::Address;
use crate::store::records::Record;
use crate::store::replay::Replay;
use crate::store::scan::{Until, scan};

/// The frames of a volume that were read, and what its newest note among them says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Bytes by account.
    pub bytes: BTreeMap<u64, u64>,
    /// Whether there was a note: then `bytes` has all that lies before it, too.
    pub is_noted: bool,
}

/// What was stored.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Bytes by account.
    pub bytes: BTreeMap<u64, u64>,
    /// Whether that is everything: a store from before there were notes is counted when somebody asks for that.
    pub is_complete: bool,
    /// Whether the log has a note.
    pub is_noted: bool,
}

impl Tally {
    /// Counts a frame, if it is one with content.
    pub fn take(&mut self, head: &FrameHeader) {
        if head.kind.has_id() {
            *self.bytes.entry(head.account).or_default() += u64::from(head.stored_len);
        }
    }

    /// Takes a record: a note says everything that lies before it.
    pub fn take_record(&mut self, record: &Record) {
        if let Record::UsageNoted(note) = record {
            *self = Self { bytes: note.stored.iter().copied().collect(), is_noted: true };
        }
    }

    /// All frames of volume `number`; one that does not read counts as far as it does.
    pub fn of_volume(log: &Log, number: u32, newest: Until) -> Result<Self, Error> {
        Self::scanned(log, number, newest, |_, _| Ok(()))
    }

    /// The same with its newest note, if it has one.
    fn with_note(log: &Log, number: u32) -> Result<Self, Error> {
        let newest = Until::AtLeast(Address::START);
        Self::scanned(log, number, newest, |tally, frame| {
            if frame.header.kind == FrameKind::Record {
                tally.take_record(&Record::parse(&frame.stored)?);
            }
            Ok(())
        })
    }

    fn scanned(
        log: &Log,
        number: u32,
        newest: Until,
        mut also: impl FnMut(&mut Self, &Frame) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let until = log.header_behind(number).map_or(newest, |header| Until::Exactly(header.before.end));
        let mut tally = Self::default();
        let scanned = scan(log, number, until, |_, frame| {
            tally.take(&frame.header);
            also(&mut tally, &frame)
        });
        match scanned {
            Err(error) if !error.is_damage() => Err(error),
            _ => Ok(tally),
        }
    }

    /// Adds what it counted.
    pub fn add_to(&self, all: &mut BTreeMap<u64, u64>) {
        self.bytes.iter().for_each(|(account, bytes)| *all.entry(*account).or_default() += bytes);
    }
}

impl Replay<'_> {
    /// What was stored, once the catalog is at the end of the log; `newest` is the volume that was replayed last.
    pub fn stored(&self, newest: u32) -> Result<Stored, Error> {
        if self.looking {
            return Ok(Stored::default());
        }
        let before: Vec<u32> = self.log.numbers().into_iter().filter(|number| *number < newest).collect();
        let mut tally = self.tally.take();
        let is_noted = tally.is_noted || self.rows.get(&keys::usage_noted())?.is_some();
        if is_noted {
            for number in before.iter().rev() {
                if tally.is_noted {
                    break;
                }
                let earlier = Tally::with_note(self.log, *number)?;
                earlier.add_to(&mut tally.bytes);
                tally.is_noted = earlier.is_noted;
            }
        }
        let is_complete = is_noted || before.is_empty() && self.log.given_up().is_empty();
        Ok(Stored { bytes: tally.bytes, is_complete, is_noted })
    }
}
