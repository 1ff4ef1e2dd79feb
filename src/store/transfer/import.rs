//! From a stream to a store: the frames through the ordinary writer into new volumes, the catalog by the ordinary replay.
//!
//! Promise: the directory becomes a store with its last step, the writing of `FORMAT`, after everything else is durable and
//! the whole stream has verified. Before that it is refused by every command; when an import fails it is as it was.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::super::Options;
use super::super::clean::{self, Clean};
use super::super::durable;
use super::super::error::Error;
use super::super::format_file::{self, Format};
use super::super::frame::{Frame, FrameHeader, FrameKind};
use super::super::gaps::Gaps;
use super::super::header::{Counters, Ending};
use super::super::log::Log;
use super::super::mark::Mark;
use super::super::opening::{Recovered, directory, recovered};
use super::super::records::Record;
use super::super::shape::Shape;
use super::super::usage::{Tally, UsageNoted};
use super::super::writer::{VolumeLimits, Writer};
use super::stream::{Counts, Head, Item, StreamReader, Trailer};

/// sled keeps what is not flushed in memory.
const UNFLUSHED_BYTES_MAX: u64 = 8 << 20;
/// What an import makes, `FORMAT` first: without it the rest is no store.
const MADE: [&str; 9] =
    ["FORMAT", "FORMAT.new", "clean", "clean.new", "catalog", "catalog.old", "volumes", durable::SELF_TEST, "lock"];

/// What an import brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// The frames, and what the export had left out.
    pub counts: Counts,
    /// The volumes they fill.
    pub volumes: u32,
}

/// Makes a store in `dir`, which is empty or not there, from an export. It is the same store, moved: id, accounts, sessions
/// and the next ids stay.
pub fn import(dir: &Path, input: &mut dyn Read, options: Options) -> Result<Imported, Error> {
    let mut stream = StreamReader::open(input)?;
    let Head { store, chunk_bytes } = stream.head();
    let format = Format::of(store, Options { chunk_bytes, ..options });
    let Some(shape) = format.shape().filter(|_| format_file::can_cut(chunk_bytes)) else {
        return Err(stream.damaged("its chunk sizes are impossible"));
    };
    let site = Site::take(dir)?;
    if !durable::self_test(dir).map_err(|e| Error::io(dir, e))? {
        return Err(Error::NotDurable);
    }
    let log = Log::at(directory(dir, "volumes")?, shape)?;
    let (written, counts) = write_volumes(&log, &mut stream, options.volume)?;
    drop(log);
    make_catalog(dir, &format, shape, &written)?;
    site.finish(&format)?;
    Ok(Imported { counts, volumes: written.ending.volume })
}

/// The place of a store to be; what was made in it goes when it is dropped before it is finished.
struct Site<'a> {
    dir: &'a Path,
    made_dir: bool,
    finished: bool,
    _lock: File,
}

impl<'a> Site<'a> {
    fn take(dir: &'a Path) -> Result<Self, Error> {
        let made_dir = match fs::DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::NoParent { dir: dir.to_owned() }),
            Err(error) => return Err(Error::io(dir, error)),
        };
        if !dir.is_dir() || format_file::require(dir).is_ok() {
            return Err(Error::NotEmpty { dir: dir.to_owned() });
        }
        let lock = format_file::lock(dir).map_err(|error| match error {
            Error::Foreign { dir, .. } => Error::NotEmpty { dir },
            error => error,
        })?;
        Ok(Self { dir, made_dir, finished: false, _lock: lock })
    }

    /// From here on it is a store.
    fn finish(mut self, format: &Format) -> Result<(), Error> {
        let parent = self.dir.parent().filter(|_| self.made_dir);
        if let Some(parent) = parent.map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent }) {
            durable::sync_dir(parent).map_err(|e| Error::io(parent, e))?;
        }
        format_file::write(self.dir, format)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        for name in MADE {
            let path = self.dir.join(name);
            let removed = match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => fs::remove_dir_all(&path),
                Ok(_) => fs::remove_file(&path),
                Err(error) => Err(error),
            };
            if let Err(error) =
                removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
            {
                tracing::warn!(path = %path.display(), %error, "what the import left could not be removed");
            }
        }
        if self.made_dir {
            let _ = fs::remove_dir(self.dir);
        }
    }
}

/// Writes all frames and returns where the log ends then. Everything is in sealed volumes; the last one has the next ids in its
/// header, so that they survive the loss of the catalog too, and what is stored in all of them, and nothing else.
fn write_volumes(log: &Log, stream: &mut StreamReader<'_>, limits: VolumeLimits) -> Result<(Mark, Counts), Error> {
    let store = stream.head().store;
    let mut intake =
        Intake { log, store, limits, counters: Counters::default(), newest_seq: 0, tally: Tally::default() };
    let mut writer = intake.begin(Ending::NOTHING)?;
    let Trailer { counts, counters } = loop {
        match stream.item()? {
            Item::End(trailer) => break trailer,
            Item::Frame(frame) => writer = intake.append(writer, &frame)?,
        }
    };
    if counters.at_least(intake.counters) != counters || intake.newest_seq > counters.seq {
        return Err(stream.damaged("its next ids are given already"));
    }
    intake.counters = counters;
    let mut last = intake.next(writer)?;
    let (note, stored) = intake.note()?;
    last.append(&note, &stored)?;
    last.flush(note.seq)?;
    let ending = last.suspend()?;
    Ok((Mark { store, ending, counters }, counts))
}

/// The storage thread's part in an import: volumes one after the other.
struct Intake<'a> {
    log: &'a Log,
    store: [u8; 16],
    limits: VolumeLimits,
    /// The next ids as the records so far leave them.
    counters: Counters,
    newest_seq: u64,
    tally: Tally,
}

impl Intake<'_> {
    fn begin(&self, before: Ending) -> Result<Writer, Error> {
        Writer::begin(self.log, before.volume + 1, self.store, self.counters, before, None, None)
    }

    /// What accounts have stored, so that no start has to count it.
    fn note(&mut self) -> Result<(FrameHeader, Vec<u8>), Error> {
        let stored = std::mem::take(&mut self.tally).bytes.into_iter().collect();
        UsageNoted { stored }.frame(self.counters.seq)
    }

    fn next(&self, full: Writer) -> Result<Writer, Error> {
        let (ending, sealed) = full.seal(self.log);
        sealed.and_then(|()| self.begin(ending))
    }

    fn append(&mut self, writer: Writer, frame: &Frame) -> Result<Writer, Error> {
        let mut writer = if writer.is_full(&self.limits) { self.next(writer)? } else { writer };
        let seq = frame.header.seq;
        self.newest_seq = self.newest_seq.max(seq);
        self.tally.take(&frame.header);
        if frame.header.kind == FrameKind::Record {
            self.counters = self.counters.at_least(Record::parse(&frame.stored)?.counters(seq));
        }
        writer.append(&frame.header, &frame.stored)?;
        if writer.unflushed_bytes() >= UNFLUSHED_BYTES_MAX {
            writer.flush(self.newest_seq)?;
        }
        Ok(writer)
    }
}

/// Builds the catalog as a start after a stop in good order does, and leaves everything as such a stop does.
fn make_catalog(dir: &Path, format: &Format, shape: Shape, written: &Mark) -> Result<(), Error> {
    let clean = Clean::at(*written, &Log::at(dir.join("volumes"), shape)?)?;
    let Recovered { log, rows, tail, counters, .. } = recovered(dir, format, Some(clean), &Gaps::Refuse)?;
    let ending = tail.map_or_else(|(ending, _)| Ok(ending), Writer::suspend)?;
    let mark = Mark { store: written.store, ending, counters };
    if mark != *written {
        return Err(Error::format("new store", "it does not end where it was written to"));
    }
    if rows.freeze(mark.encode()?) {
        rows.write_frozen()?;
    }
    clean::note(dir, &Clean::at(mark, &log)?)
}
