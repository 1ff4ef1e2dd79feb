//! From the log to the catalog: after a stop, after a crash, and from nothing.
//!
//! Promise: replay from any earlier point gives the same rows, and a rebuild reads the footers and the open volume only;
//! where a footer is damaged, the volume it lists is read instead. Never: damage is reported, not mended silently.

use std::cell::RefCell;

use super::catalog::place_change;
use super::error::Error;
use super::frame::{Frame, FrameKind};
use super::header::{Counters, Entry, Footer};
use super::log::Log;
use super::mark::Mark;
use super::place::{Address, Place};
use super::records::Record;
use super::rows::{Change, Rows};
use super::scan::{Scanned, Until, scan};
use super::usage::Tally;

/// Changes are applied in pieces, so that a large volume's do not pile up.
const CHANGES_AT_ONCE: usize = 4096;
/// The catalog's delta is written out when a rebuild has made it so large.
const DELTA_BYTES_MAX: usize = 16 << 20;

/// What replay works on.
pub struct Replay<'a> {
    /// The log.
    pub log: &'a Log,
    /// The catalog's rows.
    pub rows: &'a Rows,
    /// The store's id; a volume of another store is refused.
    pub store: [u8; 16],
    /// Whether nothing at all may be written: the rows stay in memory.
    pub looking: bool,
    damage: RefCell<Vec<String>>,
    /// What the newest volume stores behind its note.
    pub(super) tally: RefCell<Tally>,
}

/// The newest volume as it was found.
pub(super) struct Newest {
    pub scanned: Scanned,
    pub entries: Vec<Entry>,
    pub counters: Counters,
}

impl<'a> Replay<'a> {
    /// A replay of `log` into `rows`.
    pub fn of(log: &'a Log, rows: &'a Rows, store: [u8; 16]) -> Self {
        Self { log, rows, store, looking: false, damage: RefCell::default(), tally: RefCell::default() }
    }

    /// The damage that was met, in words.
    pub fn damage(self) -> Vec<String> {
        self.damage.into_inner()
    }

    /// Replays the volumes behind the mark that are no longer written, from their footers.
    pub(super) fn replay_closed(&self, newest: u32, mark: Option<Mark>) -> Result<Counters, Error> {
        let mut counters = Counters::default();
        for number in 1..newest {
            let Some(from) = from_in(number, mark) else { continue };
            if !self.log.has(number) {
                counters = counters.at_least(self.counters_behind_gap(number)?);
                continue;
            }
            let footer = match self.log.footer(number) {
                Ok(Some(footer)) => footer,
                Ok(None) => self.footer_by_scan(number)?,
                Err(error) if error.is_damage() => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        volume = number,
                        error,
                        "its footer is damaged, so all of it is read; run `rbackup check`"
                    );
                    self.met(format!("the footer of volume {number} does not verify"));
                    self.footer_by_scan(number)?
                }
                Err(error) => return Err(error),
            };
            counters = counters.at_least(self.replay_footer(number, from, &footer)?);
            self.relieve(number)?;
        }
        Ok(counters)
    }

    /// What was given in a lost volume was given: the next header knows how far the ids had come.
    fn counters_behind_gap(&self, number: u32) -> Result<Counters, Error> {
        if !self.log.given_up().contains(&number) {
            return Err(Error::Lost { volumes: vec![number] });
        }
        let next = self.log.next_there(number).and_then(|next| self.log.header(next).ok());
        Ok(next.map_or(Counters::default(), |header| header.counters))
    }

    /// A volume that was given up and whose successor could not list it either: all of it is read, to the end that counts.
    fn footer_by_scan(&self, number: u32) -> Result<Footer, Error> {
        // Without a readable successor the end is where whole frames end.
        let until = match self.log.header_behind(number) {
            Some(header) => Until::Exactly(header.before.end),
            None => Until::AtLeast(Address::START),
        };
        let mut footer = Footer::default();
        let scanned = scan(self.log, number, until, |at, frame| {
            footer.entries.push(Entry::of(&frame.header, at));
            if frame.header.kind == FrameKind::Record {
                footer.records.extend_from_slice(&frame.encode());
            }
            Ok(())
        })?;
        self.report_gaps(&scanned);
        Ok(footer)
    }

    fn replay_footer(&self, volume: u32, from: Address, footer: &Footer) -> Result<Counters, Error> {
        let (mut changes, mut counters) = (Vec::new(), Counters::default());
        let mut records = &footer.records[..];
        for entry in &footer.entries {
            let wanted = entry.address >= from;
            if entry.kind == FrameKind::Record {
                let frame =
                    Frame::parse(records).ok_or_else(|| Error::format("footer", "a repeated record differs"))?;
                records = records.get(frame.header.frame_bytes()..).unwrap_or_default();
                if wanted {
                    let (record, seq) = (Record::parse(&frame.stored)?, frame.header.seq);
                    counters = counters.at_least(record.counters(seq));
                    changes.extend(record.changes(seq)?);
                }
            } else if wanted && entry.kind.has_id() {
                changes.push(place_change(&entry.id, Place { volume, address: entry.address }, entry.seq));
            }
            self.apply(&mut changes, CHANGES_AT_ONCE)?;
        }
        self.apply(&mut changes, 1)?;
        Ok(counters)
    }

    pub(super) fn replay_newest(&self, volume: u32, until: Until, mark: Option<Mark>) -> Result<Newest, Error> {
        let from = from_in(volume, mark).unwrap_or(Address(u32::MAX));
        let begun = self.log.header(volume).map_or(Counters::default(), |header| header.counters);
        let (mut entries, mut changes, mut counters) = (Vec::new(), Vec::new(), begun);
        let scanned = scan(self.log, volume, until, |address, frame| {
            let head = frame.header;
            if !matches!(head.kind, FrameKind::End) {
                entries.push(Entry::of(&head, address));
            }
            self.tally.borrow_mut().take(&head);
            if head.kind == FrameKind::Record {
                let record = Record::parse(&frame.stored)?;
                self.tally.borrow_mut().take_record(&record);
                counters = counters.at_least(record.counters(head.seq));
                if address >= from {
                    changes.extend(record.changes(head.seq)?);
                }
            } else if address >= from && head.kind.has_id() {
                changes.push(place_change(&head.id, Place { volume, address }, head.seq));
            }
            self.apply(&mut changes, CHANGES_AT_ONCE)
        })?;
        self.apply(&mut changes, 1)?;
        Ok(Newest { scanned, entries, counters })
    }

    /// Damage does not stop a start: everything else is still there. It is said loudly, and `check` names what it touched.
    pub(super) fn report_gaps(&self, scanned: &Scanned) {
        let volume = scanned.ending.volume;
        for (from, until) in &scanned.gaps {
            tracing::error!(
                volume,
                from = from.0,
                until = until.0,
                "acknowledged frames are damaged; run `rbackup check`"
            );
            let (from, until) = (Place { volume, address: *from }, Place { volume, address: *until });
            self.met(format!("{from} up to {until} does not verify"));
        }
    }

    fn met(&self, damage: String) {
        self.damage.borrow_mut().push(damage);
    }

    fn apply(&self, changes: &mut Vec<Change>, at_least: usize) -> Result<(), Error> {
        if changes.len() >= at_least {
            self.rows.apply_if_newer(std::mem::take(changes))?;
        }
        Ok(())
    }

    /// Writes the delta out during a long replay; the mark says that volume `number` is done.
    fn relieve(&self, number: u32) -> Result<(), Error> {
        if self.looking || self.rows.delta_bytes() < DELTA_BYTES_MAX {
            return Ok(());
        }
        let Some(header) = self.log.header_behind(number) else { return Ok(()) };
        let mark = Mark { store: self.store, ending: header.before, counters: header.counters };
        if self.rows.freeze(mark.encode()?) {
            self.rows.write_frozen()?;
        }
        Ok(())
    }
}

/// From where on a volume must be replayed; `None` when the mark lies behind it.
fn from_in(volume: u32, mark: Option<Mark>) -> Option<Address> {
    let Some(mark) = mark else { return Some(Address::START) };
    match volume.cmp(&mark.ending.volume) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(mark.ending.end),
        std::cmp::Ordering::Greater => Some(Address::START),
    }
}

pub(super) fn damaged(volume: u32, reason: &str) -> Error {
    Error::Damaged { volume, reason: reason.to_owned() }
}
