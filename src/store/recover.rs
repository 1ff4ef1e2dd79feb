//! The newest volume after a stop or a crash: how far it reaches, and who goes on behind it.
//!
//! Promise: a volume that a crash has seen is never opened by sled again, which may open a torn database as an empty one: its
//! blocks are read from the file's bytes to the acknowledged end, and nothing is appended. Only a volume in which nothing was
//! acknowledged is discarded. Any error that is not a verdict about bytes ends the start and changes nothing.

use std::io;

use super::error::Error;
use super::header::{Counters, Ending, Entry};
use super::mark::Mark;
use super::place::Address;
use super::replay::{Replay, damaged, report_gaps};
use super::rows::RowsError;
use super::scan::{Scanned, Until};
use super::writer::{self, Writer};

/// The newest volume in which anything was acknowledged.
struct Found {
    number: u32,
    until: Until,
}

impl Replay<'_> {
    /// Brings the catalog from `mark` to the end of the log and returns the writer that goes on from there.
    /// `clean` is how the last stop in good order left the log, if that was the last thing that happened to it.
    pub fn run(&self, mark: Option<Mark>, clean: Option<Ending>) -> Result<(Writer, Counters), Error> {
        self.log.bury()?;
        let counters = mark.map_or(Counters::default(), |mark| mark.counters);
        self.refuse_gap(mark.map(|mark| mark.ending), clean)?;
        let Some(found) = self.newest(mark, clean)? else {
            let writer = Writer::begin(self.log, 1, self.store, counters, Ending::NOTHING, None)?;
            return Ok((writer, counters));
        };
        let number = found.number;
        let counters = counters.at_least(self.replay_closed(number, mark)?);
        let newest = self.replay_newest(number, found.until, mark)?;
        let counters = counters.at_least(newest.counters);
        let ending = newest.scanned.ending;
        report_gaps(&newest.scanned);
        if newest.entries.is_empty() {
            return Err(damaged(number, "all of its acknowledged frames are missing"));
        }
        let undamaged = newest.scanned.gaps.is_empty();
        if undamaged && mark.is_some_and(|mark| !self.fits(&mark.ending, number, &newest.scanned)) {
            let reason = "it was made from another log than the one that is here".to_owned();
            return Err(Error::Rows(RowsError::Unreadable { run: "newest".to_owned(), reason }));
        }
        let volume = self.log.volume(number)?;
        if clean == Some(ending) && undamaged && self.log.own_footer(number)?.is_none() && volume.opens() {
            return Ok((Writer::resume(volume, newest.entries, ending, newest.scanned.payload_bytes), counters));
        }
        // Without a footer all of it is read again at each rebuild: what a bad sector hides today may be there tomorrow.
        let entries = undamaged.then_some(newest.entries);
        Ok((self.succeed(number, entries, ending, counters)?, counters))
    }

    /// A later volume than the one returned was being created when the machine stopped: it has no header, and neither a
    /// block of it nor the mark knows of anything acknowledged.
    fn newest(&self, mark: Option<Mark>, clean: Option<Ending>) -> Result<Option<Found>, Error> {
        loop {
            let Some(number) = self.log.numbers().last().copied() else { return Ok(None) };
            let until = self.reach(number, mark, clean)?;
            match self.log.header(number) {
                Ok(header) if header.store == self.store => return Ok(Some(Found { number, until })),
                Ok(_) => return Err(damaged(number, "it belongs to another store")),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
            if !matches!(until, Until::AtLeast(Address::START)) {
                tracing::error!(volume = number, "its header is damaged; run `rbackup check`");
                return Ok(Some(Found { number, until }));
            }
            if self.log.volume(number)?.store()?.is_some_and(|store| store != self.store) {
                return Err(damaged(number, "it belongs to another store"));
            }
            self.log.discard(number)?;
        }
    }

    /// Whether the log up to the catalog's mark is the one it was made from: either may have been put back from a copy.
    fn fits(&self, mark: &Ending, newest: u32, scanned: &Scanned) -> bool {
        if mark.volume == newest {
            return scanned.running_to(mark.end) == mark.running;
        }
        let said = self.log.header(mark.volume + 1).map(|header| header.before);
        !said.is_ok_and(|said| said.end == mark.end && said.running != mark.running)
    }

    /// How far volume `number` must reach: exactly to where a stop in good order left it, else at least to where its raw
    /// bytes and the mark say that something was acknowledged.
    fn reach(&self, number: u32, mark: Option<Mark>, clean: Option<Ending>) -> Result<Until, Error> {
        if let Some(clean) = clean.filter(|clean| clean.volume == number) {
            return Ok(Until::Exactly(clean.end));
        }
        let volume = self.log.volume(number)?;
        let by_mark = mark.map(|mark| mark.ending).filter(|ending| ending.volume == number);
        let marked = by_mark.map_or(Address::START, |ending| ending.end);
        if !volume.has_database() {
            return Ok(Until::AtLeast(marked));
        }
        volume.retire()?;
        let blocks = volume.blocks()?;
        if blocks.acknowledged == Address::START && blocks.is_unreadable() {
            return Err(Error::io(self.log.dir(), io::Error::from_raw_os_error(libc::EIO)));
        }
        Ok(Until::AtLeast(marked.max(blocks.acknowledged)))
    }

    /// A catalog or a note of the last stop that knows of a volume which is not there means that it is lost, not that the
    /// store is new.
    fn refuse_gap(&self, mark: Option<Ending>, clean: Option<Ending>) -> Result<(), Error> {
        let newest = self.log.numbers().last().copied().unwrap_or(0);
        match [mark, clean].into_iter().flatten().find(|known| known.volume > newest) {
            Some(known) => Err(damaged(known.volume, "the volume is not there, although it was in use")),
            None => Ok(()),
        }
    }

    /// Ends the newest volume for good and begins the next, which lists it if it cannot itself.
    fn succeed(
        &self,
        number: u32,
        entries: Option<Vec<Entry>>,
        ending: Ending,
        counters: Counters,
    ) -> Result<Writer, Error> {
        let entries = if self.log.own_footer(number)?.is_some() { None } else { entries };
        let listed = entries.map(|entries| writer::footer(self.log, number, entries)).transpose()?;
        Writer::begin(self.log, number + 1, self.store, counters, ending, listed.as_ref())
    }
}
