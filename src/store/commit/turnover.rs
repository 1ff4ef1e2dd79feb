//! From one volume to the next: a full one is sealed, and where there is none to write to, one is begun.
//!
//! Promise: nothing is acknowledged in a volume before it is noted as the newest one; so its loss is noticed, whatever else was
//! not written yet. Never: writes a note of its own for a commit; one for each volume is all.

use super::Keeper;
use crate::store::error::Error;
use crate::store::header::Ending;
use crate::store::writer::Writer;

impl Keeper {
    /// The writer; begins the next volume when the last one failed. A footer saves a rebuild some reading; where there is no room for
    /// it that is no reason to give up ballast.
    pub(super) fn writer(&mut self) -> Result<&mut Writer, Error> {
        if let Err((before, footer)) = &self.writer {
            let (log, space) = (&self.shared.log, &self.shared.space);
            let number = log.number_after(before.volume);
            let footer = footer.as_ref().filter(|footer| space.has_room_for(footer.bytes()));
            let note = self.note_of_all()?;
            let frame = note.as_ref().map(|note| &note.frame);
            let begin = |footer| Writer::begin(log, number, self.store, self.counters, *before, footer, frame);
            let begun = match footer.map(|footer| begin(Some(footer))) {
                None | Some(Err(Error::NoSpace)) => space.with_room(|| begin(None)),
                Some(begun) => begun,
            };
            self.writer = Ok(begun?);
            self.noted(note);
        }
        self.note_newest()?;
        self.writer.as_mut().map_err(|_| Error::Refused("the log cannot be written"))
    }

    /// Notes the open volume, whose header is durable.
    fn note_newest(&mut self) -> Result<(), Error> {
        if self.writer.as_ref().is_ok_and(|writer| self.newest.knows(writer.volume())) {
            return Ok(());
        }
        let mark = self.now();
        self.shared.space.with_room(|| self.newest.note(&mark))
    }

    /// Seals the volume when it is full: first everything in it is synced and answered.
    pub(super) fn make_room(&mut self) -> Result<(), Error> {
        let limits = self.limits;
        if !self.writer()?.is_full(&limits) {
            return Ok(());
        }
        self.finish();
        self.seal()?;
        self.writer().map(drop)
    }

    /// Ends the open volume, if one is open; everything in it is synced.
    pub(super) fn seal(&mut self) -> Result<(), Error> {
        let nothing = (Ending::NOTHING, None);
        let (ending, sealed) = match std::mem::replace(&mut self.writer, Err(nothing)) {
            Ok(writer) => writer.seal(&self.shared.log),
            Err(before) => {
                self.writer = Err(before);
                return Ok(());
            }
        };
        self.writer = Err((ending, None));
        sealed
    }
}
