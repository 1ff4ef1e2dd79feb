//! Whether the audit log is the one that was written.
//!
//! Promise: reads what a rebuild would read, and each entry's own frame besides; the catalog has to say the same. Never: changes anything,
//! or trusts a chain that was made anew: whoever noted a head before can ask for it.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;

use super::records::{AuditRecord, beginning};
use crate::store::commit::Job;
use crate::store::error::Error;
use crate::store::frame::{Frame, FrameKind};
use crate::store::header::{Ending, Footer};
use crate::store::keys;
use crate::store::log::Log;
use crate::store::place::{Address, Place};
use crate::store::records::{Record, parse_row};
use crate::store::scan::{Until, scan};
use crate::store::{Catalog, Store};

/// Sentences about what is wrong; one broken place can make many.
const PROBLEMS_MAX: usize = 50;

/// What a look at the chain came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// How many entries the log has.
    pub entries: u64,
    /// The newest one's number.
    pub newest: u64,
    /// Its hash; nothing while there is none.
    pub head: Option<[u8; 32]>,
    /// Whether the entry that was asked for is in the chain; true when none was.
    pub has_asked: bool,
    /// What is wrong, as sentences.
    pub problems: Vec<String>,
}

impl Store {
    /// Reads the whole chain; `known` is a hash that has to be in it. Others may write meanwhile: what they add is not looked at.
    pub fn verify_audit(&self, known: Option<[u8; 32]>) -> Result<AuditReport, Error> {
        // Asked before the log's end: what it knows at this moment must lie before that.
        let known_entries = self.catalog().audited()?;
        let end = self.acknowledged()?;
        let mut found = Found::default();
        let log = &self.shared.log;
        for number in log.numbers().into_iter().filter(|number| *number <= end.volume) {
            match found.volume(log, number, end) {
                Err(error) if error.is_damage() => {
                    self.shared.home.require()?;
                    found.problem(format!("volume {number}: {error}"));
                }
                read => read?,
            }
        }
        let lost = log.given_up();
        if !lost.is_empty() && !found.is_whole() {
            found.problem(format!("the volumes {lost:?} are lost, and entries that only they had with them"));
        }
        let unread = std::mem::take(&mut found.unread);
        let report = found.chain(self.opened.store, known, self.catalog())?;
        let mut report = report.at_least(known_entries);
        if !report.problems.is_empty() {
            report.problems.extend(unread.into_iter().take(PROBLEMS_MAX));
        }
        Ok(report)
    }

    /// Where the log ends that is acknowledged at this moment.
    fn acknowledged(&self) -> Result<Ending, Error> {
        if self.looking {
            return Ok(self.opened.ending);
        }
        self.shared.watch.require()?;
        let (reply, answer) = channel();
        self.jobs.send(Job::End(reply)).map_err(|_| Error::Closed)?;
        answer.recv().map_err(|_| Error::Closed)?
    }
}

impl AuditReport {
    fn at_least(mut self, known: u64) -> Self {
        if self.newest < known {
            self.problems.push(format!("entries {} to {known} were written and are not in the log", self.newest + 1));
        }
        self
    }
}

/// What lies in the log.
#[derive(Default)]
struct Found {
    /// Number → the hash before it, its own hash.
    links: BTreeMap<u64, ([u8; 32], [u8; 32])>,
    problems: Vec<String>,
    /// What could not be read; it counts where an entry is missed.
    unread: Vec<String>,
}

impl Found {
    fn volume(&mut self, log: &Log, number: u32, end: Ending) -> Result<(), Error> {
        match log.footer(number) {
            Ok(Some(footer)) => return self.footer(log, number, &footer),
            Ok(None) => {}
            Err(error) if error.is_damage() => {
                self.unread.push(format!("the footer of volume {number} does not verify"));
            }
            Err(error) => return Err(error),
        }
        let until = match log.header_behind(number) {
            Some(header) => Until::Exactly(header.before.end),
            None if end.volume == number => Until::Exactly(end.end),
            None => Until::AtLeast(Address::START),
        };
        let scanned = scan(log, number, until, |_, frame| {
            if frame.header.kind == FrameKind::Record { self.record(&frame) } else { Ok(()) }
        })?;
        for (from, until) in scanned.gaps {
            let (from, until) = (Place { volume: number, address: from }, Place { volume: number, address: until });
            self.unread.push(format!("{from} up to {until} does not verify"));
        }
        Ok(())
    }

    /// The records as a footer repeats them, and the frames of entries where they lie.
    fn footer(&mut self, log: &Log, volume: u32, footer: &Footer) -> Result<(), Error> {
        let mut records = footer.records.as_slice();
        for entry in footer.entries.iter().filter(|entry| entry.kind == FrameKind::Record) {
            let frame = Frame::parse(records).ok_or_else(|| Error::format("footer", "a repeated record differs"))?;
            records = records.get(frame.header.frame_bytes()..).unwrap_or_default();
            self.record(&frame)?;
            if is_entry(&frame) {
                let place = Place { volume, address: entry.address };
                match log.read(place) {
                    Ok(read) if read.stored == frame.stored => {}
                    Ok(_) => self.problem(format!("the entry at {place} is not the one that its footer repeats")),
                    Err(error) if error.is_damage() => self.problem(format!("the entry at {place} does not verify")),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, frame: &Frame) -> Result<(), Error> {
        match Record::parse(&frame.stored)? {
            Record::Audited(record) => self.link(&record),
            // What only the catalog knew when a volume was lost.
            Record::RowsKept(kept) => {
                for change in kept.changes() {
                    if let Some(value) = change.value.filter(|_| keys::is_audit(&change.key)) {
                        self.link(&parse_row(&value)?)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn link(&mut self, record: &AuditRecord) -> Result<(), Error> {
        let (number, link) = (record.number, (record.before, record.hash()?));
        if self.links.insert(number, link).is_some_and(|known| known != link) {
            self.problem(format!("entry {number} is there twice, and differs"));
        }
        Ok(())
    }

    /// Whether no number is missing below the newest.
    fn is_whole(&self) -> bool {
        self.links.keys().zip(1..).all(|(number, expected)| *number == expected)
    }

    fn chain(mut self, store: [u8; 16], known: Option<[u8; 32]>, catalog: &Catalog) -> Result<AuditReport, Error> {
        let (mut before, mut expected, mut has_asked) = (beginning(&store), 1, known.is_none());
        let links = std::mem::take(&mut self.links);
        for (number, (named, hash)) in &links {
            if *number != expected {
                self.problem(format!("entries {expected} to {} are missing", number.saturating_sub(1)));
            } else if *named != before {
                self.problem(format!("entry {number} does not follow entry {}: one of them was changed", expected - 1));
            }
            has_asked |= known == Some(*hash);
            (before, expected) = (*hash, number.saturating_add(1));
        }
        self.links = links;
        self.compare(expected, catalog)?;
        if !has_asked {
            self.problem("the hash that was asked for is in no entry: the log was made anew, or is another".to_owned());
        }
        let head = self.links.last_key_value().map(|(_, (_, hash))| *hash);
        let Self { links, problems, .. } = self;
        Ok(AuditReport { entries: links.len() as u64, newest: expected - 1, head, has_asked, problems })
    }

    /// The catalog has to have the same entries, and later ones at most.
    fn compare(&mut self, until: u64, catalog: &Catalog) -> Result<(), Error> {
        let mut expected = 1;
        for record in catalog.audits(1, until) {
            let record = record?;
            if record.number != expected {
                self.problem(format!("the catalog lacks entries {expected} to {}", record.number.saturating_sub(1)));
            }
            let hash = record.hash()?;
            if self.links.get(&record.number).is_some_and(|(_, linked)| *linked != hash) {
                self.problem(format!("the catalog knows another entry {}", record.number));
            }
            expected = record.number.saturating_add(1);
        }
        let (known, newest) = (catalog.audited()?, until - 1);
        if expected != until || known < newest {
            self.problem(format!("the catalog ends at entry {}, and the log at {newest}", known.min(expected - 1)));
        }
        Ok(())
    }

    fn problem(&mut self, sentence: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(sentence);
        }
    }
}

fn is_entry(frame: &Frame) -> bool {
    matches!(Record::parse(&frame.stored), Ok(Record::Audited(_)))
}
