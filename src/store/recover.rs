//! The newest volume after a stop or a crash: how far it reaches, and who goes on behind it.
//!
//! Promise: a volume that a crash has seen is never opened by sled again, which may open a torn database as an empty one: its
//! blocks are read from the file's bytes to the acknowledged end, and nothing is appended. sled goes on only in a volume that is byte
//! by byte what a stop in good order left. Only a volume in which nothing was acknowledged is discarded. Any error that is not a
//! verdict about bytes ends the start and changes nothing.

use std::io;

use super::clean::Clean;
use super::error::Error;
use super::gaps::{Gaps, Witness};
use super::header::{Counters, Ending};
use super::mark::Mark;
use super::place::Address;
use super::replay::{Replay, damaged};
use super::rows::RowsError;
use super::scan::{Scanned, Until};
use super::writer::{self, Tail, Writer};

/// Header and footer of the volume before fit below it.
const FRESH_BYTES_MAX: u64 = 64 << 20;

/// The newest volume in which anything was acknowledged.
struct Found {
    number: u32,
    until: Until,
}

impl Replay<'_> {
    /// Brings the catalog from `mark` to the end of the log, and returns that end.
    /// `clean` is how the last stop in good order left the log, if that was the last thing that happened to it; `witness` is what
    /// is known of the log from beside it, `gaps` what becomes of volumes that are missing.
    pub fn run(
        &self,
        mark: Option<Mark>,
        clean: Option<Clean>,
        witness: &Witness,
        gaps: &Gaps,
    ) -> Result<(Tail, Counters), Error> {
        let missing = self.log.missing(mark.map_or(0, |mark| mark.ending.volume), witness.volume)?;
        gaps.settle(self.log, &missing)?;
        if !self.looking {
            self.log.bury()?;
            self.log.welcome()?;
        }
        let found = self.newest(mark, clean, witness)?;
        let newest = found.as_ref().map_or(0, |found| found.number);
        // Lost at the end: nobody else says which ids they gave.
        let lost = missing.iter().filter(|number| **number > newest).count();
        let Some(found) = found else {
            return Ok((Err((Ending::NOTHING, None)), witness.free(witness.counters, lost)));
        };
        let (tail, counters, whole) = self.to_the_end(&found, mark, clean)?;
        let counters = counters.at_least(witness.counters);
        // No later volume begins with the counters that what is damaged in the newest one had reached.
        let unknown = lost + usize::from(!whole);
        Ok((tail, if unknown > 0 { witness.free(counters, unknown) } else { counters }))
    }

    /// Also says whether all of the newest volume could be read.
    fn to_the_end(
        &self,
        found: &Found,
        mark: Option<Mark>,
        clean: Option<Clean>,
    ) -> Result<(Tail, Counters, bool), Error> {
        let number = found.number;
        let counters = self.replay_closed(number, mark)?;
        let newest = self.replay_newest(number, found.until, mark)?;
        let counters = counters.at_least(newest.counters);
        let ending = self.said(newest.scanned.ending, mark, clean);
        self.report_gaps(&newest.scanned);
        if newest.entries.is_empty() {
            return Err(damaged(number, "all of its acknowledged frames are missing"));
        }
        let undamaged = newest.scanned.gaps.is_empty();
        if undamaged && mark.is_some_and(|mark| !self.fits(&mark.ending, number, &newest.scanned)) {
            let reason = "it was made from another log than the one that is here".to_owned();
            return Err(Error::Rows(RowsError::Unreadable { run: "newest".to_owned(), reason }));
        }
        if self.looking {
            return Ok((Err((ending, None)), counters, undamaged));
        }
        let volume = self.log.volume(number)?;
        // One that a crash has lost in part was nobody's to rely on: there is no volume behind this one.
        let footed = match self.log.own_footer(number) {
            Err(error) if error.is_damage() => false,
            own => own?.is_some(),
        };
        // Blocks behind the end were written and refused; sled would write others under their numbers.
        let ends_there = volume.last_block()?.is_some_and(|last| last < ending.end.block());
        let noted = matches!(found.until, Until::Exactly(end) if end == ending.end);
        let unchanged = noted && ends_there && !volume.is_retired()?;
        if unchanged && undamaged && !footed {
            return Ok((
                Ok(Writer::resume(volume, newest.entries, ending, newest.scanned.payload_bytes)),
                counters,
                undamaged,
            ));
        }
        // Without a footer all of it is read again at each rebuild: what a bad sector hides today may be there tomorrow.
        let listed = if undamaged && !footed { Some(writer::footer(self.log, number, newest.entries)?) } else { None };
        Ok((Err((ending, listed)), counters, undamaged))
    }

    /// A later volume than the one returned was being created when the machine stopped: it has no header, and neither a
    /// block of it nor a mark or note knows of anything acknowledged.
    fn newest(&self, mark: Option<Mark>, clean: Option<Clean>, witness: &Witness) -> Result<Option<Found>, Error> {
        loop {
            let Some(number) = self.log.numbers().last().copied() else { return Ok(None) };
            let until = self.reach(number, mark, clean, witness)?;
            match self.log.header(number) {
                Ok(header) if header.store == self.store => return Ok(Some(Found { number, until })),
                Ok(_) => return Err(damaged(number, "it belongs to another store")),
                Err(error) if error.is_damage() && !error.is_unreadable() => {}
                Err(error) => return Err(error),
            }
            if !matches!(until, Until::AtLeast(Address::START)) {
                tracing::error!(volume = number, "its header is damaged; run `rbackup check`");
                return Ok(Some(Found { number, until }));
            }
            if self.log.volume(number)?.store()?.is_some_and(|store| store != self.store) {
                return Err(damaged(number, "it belongs to another store"));
            }
            if self.looking {
                self.log.give_up(number);
                continue;
            }
            let bytes = self.log.volume(number)?.file_bytes()?;
            tracing::warn!(volume = number, bytes, "nothing in it was ever acknowledged, so it is given up");
            // A fresh volume is small. A larger one in which nothing is left was something else, and a person may want to see it.
            if bytes > FRESH_BYTES_MAX { self.log.set_aside(number)? } else { self.log.discard(number)? }
        }
    }

    /// An ending with the running hash that was noted when it was acknowledged: what was damaged since has another now, and the log
    /// would seem to be another one ever after.
    fn said(&self, ending: Ending, mark: Option<Mark>, clean: Option<Clean>) -> Ending {
        let noted = [clean.map(|clean| clean.mark), mark].into_iter().flatten().map(|mark| mark.ending);
        let same = noted.into_iter().find(|said| (said.volume, said.end) == (ending.volume, ending.end));
        same.unwrap_or(ending)
    }

    /// Whether the log up to the catalog's mark is the one it was made from: either may have been put back from a copy.
    fn fits(&self, mark: &Ending, newest: u32, scanned: &Scanned) -> bool {
        if mark.volume == newest {
            return scanned.running_to(mark.end) == mark.running;
        }
        let said = self.log.header_behind(mark.volume).map(|header| header.before);
        !said.is_some_and(|said| said.end == mark.end && said.running != mark.running)
    }

    /// How far volume `number` must reach: exactly to where a stop in good order left it, if it is still what it was then; else at
    /// least to where its raw bytes, the mark, that stop and the note of its beginning say that something was acknowledged.
    fn reach(&self, number: u32, mark: Option<Mark>, clean: Option<Clean>, witness: &Witness) -> Result<Until, Error> {
        let volume = self.log.volume(number)?;
        let marked = mark.map(|mark| mark.ending).filter(|ending| ending.volume == number).map(|ending| ending.end);
        let marked = marked.max(witness.begun_in(number));
        let clean = clean.filter(|clean| clean.mark.ending.volume == number);
        if let Some(clean) = clean
            && marked <= Some(clean.mark.ending.end)
            && volume.has_database()?
            && volume.is_as(&clean.digest)
        {
            return Ok(Until::Exactly(clean.mark.ending.end));
        }
        let marked = marked.max(clean.map(|clean| clean.mark.ending.end)).unwrap_or(Address::START);
        if !volume.has_database()? {
            return Ok(Until::AtLeast(marked));
        }
        if !self.looking {
            volume.retire()?;
        }
        let (acknowledged, unreadable) = volume.acknowledged()?;
        if acknowledged == Address::START && unreadable {
            return Err(Error::io(self.log.dir(), io::Error::from_raw_os_error(libc::EIO)));
        }
        Ok(Until::AtLeast(marked.max(acknowledged)))
    }
}
