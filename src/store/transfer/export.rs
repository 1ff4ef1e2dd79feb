//! From the log to a stream: every whole frame with content, in log order.
//!
//! Promise: what a stream lacks is counted in it and named to the caller; everything else is in it, verified while it was
//! read. A record whose frame is damaged is taken from the footer that repeats it. Never changes the store.

use std::io::Write;

use super::super::Store;
use super::super::error::Error;
use super::super::frame::{Frame, FrameKind};
use super::super::header::Entry;
use super::super::listed::listed;
use super::super::log::Log;
use super::super::place::{Address, Place};
use super::super::records::Record;
use super::super::scan::Until;
use super::stream::{Counts, Head, StreamWriter, is_content};

impl Store {
    /// Writes everything to `out`; each damaged place that is left out is told to `left_out`, in words.
    /// Nobody may have written since the store was opened.
    pub fn export(&self, out: &mut dyn Write, left_out: &mut dyn FnMut(&str)) -> Result<Counts, Error> {
        let head = Head { store: self.opened.store, chunk_bytes: self.format.chunk_bytes };
        let stream = StreamWriter::begin(out, &head)?;
        let mut export = Export { store: self, log: &self.shared.log, stream, left_out };
        let (numbers, given_up) = (export.log.numbers(), export.log.given_up());
        for number in 1..=numbers.last().max(given_up.last()).copied().unwrap_or(0) {
            if export.log.has(number) {
                export.volume(number)?;
            } else {
                export.leave_out(&format!("volume {number} is not there"));
            }
        }
        export.stream.finish(self.opened.counters)
    }
}

struct Export<'a> {
    store: &'a Store,
    log: &'a Log,
    stream: StreamWriter<'a>,
    left_out: &'a mut dyn FnMut(&str),
}

impl Export<'_> {
    fn volume(&mut self, number: u32) -> Result<(), Error> {
        let listed = match listed(self.log, number, self.newest(number)) {
            Ok(listed) => listed,
            Err(error) if is_lost(&error) => {
                self.leave_out(&format!("nothing of volume {number} can be read: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        listed.damaged.iter().for_each(|place| self.leave_out(place));
        for entry in listed.entries.iter().filter(|entry| is_content(entry.kind)) {
            match self.read(number, entry) {
                // How much lies in which volume is another store's business.
                Ok(frame) if is_note(&frame) => {}
                Ok(frame) => self.stream.frame(&frame)?,
                Err(error) if is_lost(&error) => self.frame_left_out(number, entry, &error),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Only the volume that is written reaches exactly as far as the start found it: what lies behind was never acknowledged.
    fn newest(&self, number: u32) -> Until {
        let opened = self.store.opened.ending;
        if opened.volume == number { Until::Exactly(opened.end) } else { Until::AtLeast(Address::START) }
    }

    fn read(&self, volume: u32, entry: &Entry) -> Result<Frame, Error> {
        let place = Place { volume, address: entry.address };
        let read = self.log.read(place).and_then(|frame| match Entry::of(&frame.header, entry.address) == *entry {
            true => Ok(frame),
            false => Err(Error::BadFrame { place, reason: "it is another frame than the listed one" }),
        });
        match read {
            Err(error) if entry.kind == FrameKind::Record && is_lost(&error) => {
                let repeated = self.repeated(volume, entry).ok_or(error)?;
                tracing::warn!(%place, "a record is damaged; it was taken from the footer that repeats it");
                Ok(repeated)
            }
            read => read,
        }
    }

    /// The record as the volume's footer repeats it.
    fn repeated(&self, volume: u32, entry: &Entry) -> Option<Frame> {
        let footer = self.log.footer(volume).ok().flatten()?;
        let mut records = footer.records.as_slice();
        while let Some(frame) = Frame::parse(records) {
            if Entry::of(&frame.header, entry.address) == *entry {
                return Some(frame);
            }
            records = records.get(frame.header.frame_bytes()..).unwrap_or_default();
        }
        None
    }

    fn frame_left_out(&mut self, volume: u32, entry: &Entry, error: &Error) {
        let kind = match entry.kind {
            FrameKind::Chunk => format!("chunk {}", entry.id),
            FrameKind::Manifest => format!("manifest {}", entry.id),
            FrameKind::Part => format!("part {}", entry.id),
            _ => format!("the change {}", entry.seq),
        };
        let place = Place { volume, address: entry.address };
        self.leave_out(&format!("{kind} at {place}: {error}"));
    }

    fn leave_out(&mut self, what: &str) {
        self.stream.leave_out();
        (self.left_out)(what);
    }
}

fn is_note(frame: &Frame) -> bool {
    frame.header.kind == FrameKind::Record && matches!(Record::parse(&frame.stored), Ok(Record::UsageNoted(_)))
}

/// Whether the rest can be exported all the same: the bytes are wrong, or the disk will not give them.
fn is_lost(error: &Error) -> bool {
    error.is_damage() || matches!(error, Error::Sled { .. } | Error::Io { .. })
}
