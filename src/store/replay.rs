//! From the log to the catalog: after a stop, after a crash, and from nothing.
//!
//! Promise: replay from any earlier point gives the same rows; a volume that a crash has seen is copied before sled
//! touches it, read to its acknowledged end, and never appended to. A rebuild reads the footers and the open volume only.
//! Never: damage below an acknowledged end is reported, not mended silently.

use super::catalog::place_change;
use super::error::Error;
use super::frame::{Frame, FrameKind};
use super::header::{Counters, Ending, Entry, Footer, VolumeHeader};
use super::log::Log;
use super::mark::Mark;
use super::place::{Address, Place};
use super::records::Record;
use super::rows::{Change, Rows};
use super::scan::{Scanned, Until, scan};
use super::writer::Writer;

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
}

/// The newest volume as it was found.
struct Newest {
    header: VolumeHeader,
    scanned: Scanned,
    entries: Vec<Entry>,
    counters: Counters,
}

impl Replay<'_> {
    /// Brings the catalog from `mark` to the end of the log and returns the writer that goes on from there.
    /// `clean` is how the last stop in good order left the log, if that was the last thing that happened to it.
    pub fn run(&self, mark: Option<Mark>, clean: Option<Ending>) -> Result<(Writer, Counters), Error> {
        self.log.bury()?;
        let mut counters = mark.map_or(Counters::default(), |mark| mark.counters);
        let Some(number) = self.newest_begun(mark, clean)? else {
            self.refuse_gap(mark)?;
            let writer = Writer::begin(self.log, 1, self.store, counters, Ending::NOTHING, None)?;
            return Ok((writer, counters));
        };
        self.replay_closed(number, mark)?;
        let newest = self.replay_newest(number, mark)?;
        counters = counters.at_least(newest.counters).at_least(newest.header.counters);
        let ending = newest.scanned.ending;
        report_gaps(&newest.scanned);
        let undamaged = newest.scanned.gaps.is_empty();
        if clean == Some(ending) && undamaged && self.log.own_footer(number)?.is_none() {
            let volume = self.log.volume(number)?;
            return Ok((Writer::resume(volume, newest.entries, ending, newest.scanned.payload_bytes), counters));
        }
        let writer = self.succeed(number, newest.entries, ending, counters)?;
        if undamaged {
            self.log.volume(number)?.settle_recovery()?;
        }
        Ok((writer, counters))
    }

    /// The newest volume that has a header. One without was being created when the machine stopped; nothing in it was
    /// acknowledged, unless the mark knows better.
    fn newest_begun(&self, mark: Option<Mark>, clean: Option<Ending>) -> Result<Option<u32>, Error> {
        loop {
            let Some(number) = self.log.numbers().last().copied() else { return Ok(None) };
            let volume = self.log.volume(number)?;
            if clean.is_none_or(|clean| clean.volume != number) && volume.has_database() {
                volume.copy_before_recovery()?;
            }
            match self.log.header(number) {
                Ok(header) if header.store == self.store => return Ok(Some(number)),
                Ok(_) => return Err(damaged(number, "it belongs to another store")),
                Err(_) if mark.is_none_or(|mark| mark.ending.volume < number) => self.log.discard(number)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// A catalog that knows of volumes which are not there means that they are lost, not that the store is new.
    fn refuse_gap(&self, mark: Option<Mark>) -> Result<(), Error> {
        match mark.filter(|mark| mark.ending.volume > 0) {
            Some(mark) => Err(damaged(mark.ending.volume, "the volume is not there, nor any other")),
            None => Ok(()),
        }
    }

    /// Replays the volumes behind the mark that are no longer written, from their footers.
    fn replay_closed(&self, newest: u32, mark: Option<Mark>) -> Result<(), Error> {
        for number in self.log.numbers() {
            let from = from_in(number, mark);
            if number == newest || from.is_none() {
                continue;
            }
            let footer = match self.log.footer(number)? {
                Some(footer) => footer,
                None => self.footer_by_scan(number)?,
            };
            self.replay_footer(number, from.unwrap_or(Address::START), &footer)?;
            self.relieve(number)?;
        }
        Ok(())
    }

    /// A volume that was given up and whose successor could not list it either: all of it is read, to the end that counts.
    fn footer_by_scan(&self, number: u32) -> Result<Footer, Error> {
        let limit = self.log.header(number + 1)?.before;
        let mut footer = Footer::default();
        let scanned = scan(self.log, number, Until::Exactly(limit.end), |at, frame| {
            footer.entries.push(Entry::of(&frame.header, at));
            if frame.header.kind == FrameKind::Record {
                footer.records.extend_from_slice(&frame.encode());
            }
            Ok(())
        })?;
        report_gaps(&scanned);
        Ok(footer)
    }

    fn replay_footer(&self, volume: u32, from: Address, footer: &Footer) -> Result<(), Error> {
        let mut changes = Vec::new();
        let mut records = &footer.records[..];
        for entry in &footer.entries {
            let wanted = entry.address >= from;
            if entry.kind == FrameKind::Record {
                let frame =
                    Frame::parse(records).ok_or_else(|| Error::format("footer", "a repeated record differs"))?;
                records = records.get(frame.header.frame_bytes()..).unwrap_or_default();
                if wanted {
                    changes.extend(Record::parse(&frame.stored)?.changes(frame.header.seq)?);
                }
            } else if wanted && entry.kind.has_id() {
                changes.push(place_change(&entry.id, Place { volume, address: entry.address }, entry.seq));
            }
            self.apply(&mut changes, CHANGES_AT_ONCE)?;
        }
        self.apply(&mut changes, 1)
    }

    fn replay_newest(&self, volume: u32, mark: Option<Mark>) -> Result<Newest, Error> {
        let from = from_in(volume, mark).unwrap_or(Address(u32::MAX));
        let header = self.log.header(volume)?;
        let (mut entries, mut changes, mut counters) = (Vec::new(), Vec::new(), header.counters);
        let reached = mark.map(|mark| mark.ending).filter(|ending| ending.volume == volume);
        let at_least = Until::AtLeast(reached.map_or(Address::START, |ending| ending.end));
        let scanned = scan(self.log, volume, at_least, |address, frame| {
            let head = frame.header;
            if !matches!(head.kind, FrameKind::End) {
                entries.push(Entry::of(&head, address));
            }
            if head.kind == FrameKind::Record {
                let record = Record::parse(&frame.stored)?;
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
        Ok(Newest { header, scanned, entries, counters })
    }

    fn apply(&self, changes: &mut Vec<Change>, at_least: usize) -> Result<(), Error> {
        if changes.len() >= at_least {
            self.rows.apply_if_newer(std::mem::take(changes))?;
        }
        Ok(())
    }

    /// Writes the delta out during a long replay; the mark says that volume `number` is done.
    fn relieve(&self, number: u32) -> Result<(), Error> {
        if self.rows.delta_bytes() < DELTA_BYTES_MAX {
            return Ok(());
        }
        let next = self.log.numbers().into_iter().find(|n| *n > number);
        let Some(header) = next.map(|next| self.log.header(next)).transpose()? else { return Ok(()) };
        let mark = Mark { store: self.store, ending: header.before, counters: header.counters };
        if self.rows.freeze(mark.encode()?) {
            self.rows.write_frozen()?;
        }
        Ok(())
    }

    /// Ends the newest volume for good and begins the next, which lists it if it cannot itself.
    fn succeed(&self, number: u32, entries: Vec<Entry>, ending: Ending, counters: Counters) -> Result<Writer, Error> {
        let volume = self.log.volume(number)?;
        let own = self.log.own_footer(number)?;
        let listed = if own.is_some() { None } else { Some(super::writer::footer(self.log, number, entries)?) };
        volume.settle()?;
        volume.sync()?;
        Writer::begin(self.log, number + 1, self.store, counters, ending, listed.as_ref())
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

/// Damage does not stop a start: everything else is still there. It is said loudly, and `check` names what it touched.
fn report_gaps(scanned: &Scanned) {
    for (from, until) in &scanned.gaps {
        let (volume, from, until) = (scanned.ending.volume, from.0, until.0);
        tracing::error!(volume, from, until, "acknowledged frames are damaged; run `rbackup check`");
    }
}

fn damaged(volume: u32, reason: &str) -> Error {
    Error::Damaged { volume, reason: reason.to_owned() }
}
