//! The cellar: bytes that must survive. A log of volumes, which is the truth, and a catalog that can be rebuilt from it.
//!
//! Promise: what [`Draft::commit`] or [`Store::commit`] returned for is on the disk, and stays readable until it is
//! removed and its hold has passed. Never sees an account's plaintext. The only room that says `sled`.
//!
//! | who | does what | protected by |
//! |---|---|---|
//! | storage thread | appends, syncs, decides ids, changes the catalog's delta | it is one thread (`commit.rs`) |
//! | checkpoint thread | writes the catalog's delta to disk, merges its runs | readers see the delta until its run is published |
//! | drafts | send frames; pin the volumes of what they build on | the pin outlives the draft's commit |
//! | readers | read frames and rows | volumes are append-only; rows are merged from immutable parts |

// clippy.toml keeps sled out of every other room.
#![allow(clippy::disallowed_types)]

pub mod durable;
mod error;
mod footers;
mod format_file;
mod format_mend;
mod interposed;

mod block;
mod frame;
mod header;
mod manifest;
mod panics;
mod place;
mod raw;
mod shape;
mod sled_open;

mod home;
mod known;
mod space;

mod log;
mod scan;
mod trees;
mod volume;
mod volume_dir;
mod writer;

mod access;
mod audit;
mod catalog;
mod keys;
mod paths;
mod records;
mod repos;
mod rows;

mod aside;
mod check;
mod clean;
mod commit;
#[cfg(test)]
mod described;
mod draft;
pub mod fuzzing;
mod gaps;
mod kept;
mod listed;
mod looking;
mod mark;
mod newest;
mod opening;
mod operation;
mod rebuild;
mod recover;
mod replay;
mod salvage;
mod shared;
mod straight;
mod suspects;
mod transfer;
mod usage;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use self::access::{
    AccessOperation, AccountAdded, AccountChange, AccountRow, BROWSER_NUMBER, Credential, DeviceRow, Entry, Generation,
    InviteRow, NewGeneration, SessionKind, SessionRow, Sessions, TokenEntry, TokenRow, Tokens,
};
pub use self::audit::{AuditEntry, AuditEvent, AuditRecord, AuditReport, Origin};
pub use self::catalog::{Catalog, FileEntry, Files, VersionEntry};
pub use self::check::{DamagedObject, DamagedVersion, Report};
pub use self::draft::{Draft, NewFrame};
pub use self::error::Error;
pub use self::format_file::{owner, require};
pub use self::format_mend::{MendedFormat, mend_format};
pub use self::frame::{COMPRESSED, Frame, FrameHeader, FrameKind};
pub use self::known::Known;
pub use self::manifest::{Child, ENTRIES_MAX, encode as encode_manifest, parse as parse_manifest};
pub use self::operation::{Done, Operation, Target};
pub use self::paths::PathEntry;
pub use self::rebuild::GivenUp;
pub use self::records::{FileRow, RemovalRow, Root, VersionRow};
pub use self::repos::{ObjectEntry, ObjectRow, Objects, RepoEntry, RepoOperation, RepoRow};
use self::rows::Alarm;
pub use self::rows::RunSummary;
pub use self::shape::Segment;
pub use self::space::Room;
pub use self::transfer::{Counts, EXPORT_MAGIC, Imported, import};
use self::usage::Meter;
pub use self::usage::{Allowance, QuotaSet, Share, Usage};
pub use self::writer::VolumeLimits;

use self::aside::remove_old_catalog;
use self::clean::Clean;
use self::commit::{Job, Keeper};
use self::format_file::Format;
use self::gaps::Gaps;
use self::home::{Home, Watch};
use self::mark::Mark;
use self::newest::Newest;
use self::opening::Recovered;
use self::shared::Shared;
use self::space::Space;
use self::suspects::Suspects;
use self::writer::Writer;
use crate::model::ChunkId;
use crate::model::random::random;

/// How often the house looks after its ballast and its storage thread.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// When a volume is full.
    pub volume: VolumeLimits,
    /// Sizes of chunks for a new store: minimum, average, maximum.
    pub chunk_bytes: [u32; 3],
    /// Size of sled's segments for a new store.
    pub segment: Segment,
    /// Size of the ballast; by default it follows the size of the disk.
    pub ballast_bytes: Option<u64>,
    /// How long a write may take before newcomers are refused.
    pub stuck: Duration,
    /// The catalog's changes are written out when they take so much memory.
    pub delta_bytes: usize,
}

impl Options {
    /// What the product uses.
    pub const DEFAULT: Self = Self {
        volume: VolumeLimits::DEFAULT,
        chunk_bytes: [256 << 10, 1 << 20, 4 << 20],
        segment: Segment::DEFAULT,
        ballast_bytes: None,
        stuck: Duration::from_secs(30),
        delta_bytes: 8 << 20,
    };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// An open data directory. Closing it in good order takes [`Store::close`]; dropping it is like a crash, and as safe.
pub struct Store {
    dir: PathBuf,
    format: Format,
    shared: Arc<Shared>,
    jobs: Sender<Job>,
    opened: Mark,
    damage: Vec<String>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Whether nothing may be written.
    looking: bool,
    /// Tells the storage thread that a reader met damage in the catalog.
    _alarm: Arc<Alarm>,
    _lock: Option<File>,
}

impl Store {
    /// Opens the data directory `dir`, or makes a new store in it when it is empty or not there.
    pub fn open(dir: &Path, options: Options) -> Result<Self, Error> {
        Self::open_over(dir, options, &Gaps::Refuse)
    }

    fn open_over(dir: &Path, options: Options, gaps: &Gaps) -> Result<Self, Error> {
        let lock = format_file::lock(dir)?;
        let space = Space::of(dir, options.ballast_bytes)?;
        opening::require_durable(dir, &space)?;
        let fresh = random().map_err(|e| Error::io(dir, e))?;
        let format = space.with_room(|| format_file::open(dir, options, fresh))?;
        let clean = clean::read(dir)?.filter(|clean| Some(clean.mark.store) == format.id());
        let recovered = space.with_room(|| opening::recovered(dir, &format, clean, gaps))?;
        let Recovered { log, rows, tail, counters, stored, damage, noted } = recovered;
        format_file::write_copy(dir, &format);
        remove_old_catalog(dir);
        let store = format.id().unwrap_or_default();
        let opened = Mark { store, ending: tail.as_ref().map_or_else(|(ending, _)| *ending, Writer::ending), counters };
        let newest = noted_at(dir, noted, &opened, &space)?;
        clean::forget(dir)?;
        let (watch, meter, suspects) = (Watch::new(options.stuck), Meter::of(&stored), Suspects::kept_in(dir, store));
        let shared = Arc::new(Shared::new(log, Arc::new(rows), space, Home::at(dir), watch, meter, suspects));
        let (jobs, inbox) = channel();
        let alarm = alarm(jobs.clone());
        shared.rows.tell_of_damage(&alarm);
        let (wake, awake) = sync_channel(1);
        let mut keeper = Keeper::new(Arc::clone(&shared), store, &options, newest, tail, counters, wake);
        keeper.begin()?;
        let kept = Arc::clone(&shared);
        let threads = vec![
            spawn("storage", dir, move || keeper.run(&inbox))?,
            spawn("checkpoint", dir, move || keep_house(&kept, &awake))?,
        ];
        let (dir, threads) = (dir.to_owned(), Mutex::new(threads));
        Ok(Self {
            dir,
            format,
            shared,
            jobs,
            opened,
            damage,
            threads,
            looking: false,
            _alarm: alarm,
            _lock: Some(lock),
        })
    }

    /// The sizes chunks are cut to in this store: minimum, average, maximum.
    pub fn chunk_bytes(&self) -> [u32; 3] {
        self.format.chunk_bytes
    }

    /// The catalog's questions.
    pub fn catalog(&self) -> &Catalog {
        self.shared.catalog()
    }

    /// Begins an upload.
    pub fn draft(&self) -> Draft {
        self.draft_in(Room::AboveLowWater)
    }

    /// Begins an upload that may use so much of the disk.
    pub fn draft_in(&self, room: Room) -> Draft {
        Draft::new(Arc::clone(&self.shared), self.jobs.clone(), room)
    }

    /// Commits an operation that needs no frames of its own.
    pub fn commit(&self, operation: Operation) -> Result<Done, Error> {
        self.draft().commit(operation)
    }

    /// Whether new data can be taken now: asked before it comes.
    pub fn admit_data(&self) -> Result<(), Error> {
        self.admit(Room::AboveLowWater)
    }

    /// Whether something that may use so much of the disk can be taken now.
    pub fn admit(&self, room: Room) -> Result<(), Error> {
        self.shared.watch.require()?;
        self.shared.home.require()?;
        let coming = self.shared.coming.load(Ordering::Acquire);
        // Room for one chunk of the largest size, or the first of them would be refused with its body half sent.
        let more = if room == Room::AboveLowWater { u64::from(self.chunk_bytes()[2]) } else { 0 };
        if self.shared.space.admits(room, coming + more) { Ok(()) } else { Err(Error::NoSpace) }
    }

    /// Reads the frame of a chunk, manifest or part. One that is damaged is stored anew when its content comes again.
    pub fn read(&self, id: &ChunkId) -> Result<Frame, Error> {
        let place = self.catalog().place(id)?.ok_or(Error::NoChunk(*id))?;
        let read = self.shared.log.read_known(place, id);
        if read.as_ref().is_err_and(Error::is_damage) && self.shared.home.is_there() {
            self.shared.suspects.add(place);
        }
        let frame = read?;
        if self.shared.log.is_newest_due(place.volume) && !self.shared.recycling.swap(true, Ordering::AcqRel) {
            self.jobs.send(Job::Recycle).map_err(|_| Error::Closed)?;
        }
        Ok(frame)
    }

    /// Re-reads everything. Nobody may write meanwhile.
    pub fn check(&self) -> Result<Report, Error> {
        check::check(self)
    }

    /// Damage that was met while it was opened, in words.
    pub fn damage(&self) -> &[String] {
        &self.damage
    }

    /// The numbers of the volumes that are lost and that the store goes on without.
    pub fn given_up(&self) -> Vec<u32> {
        self.shared.log.given_up()
    }

    /// The catalog's files on disk.
    pub fn catalog_runs(&self) -> Vec<RunSummary> {
        self.shared.rows.runs()
    }

    /// Ends in good order: everything is synced, the catalog written out, and the next start has nothing to replay.
    /// Whoever commits afterwards is told that the store is closed. A full disk is no reason to fail: what was acknowledged
    /// is in the log, and the next start replays it.
    pub fn close(&self) -> Result<(), Error> {
        if self.looking {
            return Ok(());
        }
        let (reply, answer) = channel();
        self.jobs.send(Job::Close(reply)).map_err(|_| Error::Closed)?;
        let closed = answer.recv().map_err(|_| Error::Closed)?.and_then(|mark| self.write_out(&mark));
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
        match closed {
            Err(Error::NoSpace) => {
                tracing::warn!("the disk is full: the catalog is not written out, the next start does it");
                Ok(())
            }
            closed => closed,
        }
    }

    fn write_out(&self, mark: &Mark) -> Result<(), Error> {
        let Shared { log, rows, home, space, .. } = &*self.shared;
        home.require()?;
        space.make_room(false);
        rows.write_frozen()?;
        if rows.freeze(mark.encode()?) {
            rows.write_frozen()?;
        }
        clean::note(&self.dir, &Clean::at(*mark, log)?)
    }
}

impl Drop for Store {
    /// The directory is locked until nothing of this process works on it any more.
    fn drop(&mut self) {
        let threads = std::mem::take(self.threads.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !threads.is_empty() {
            let _ = self.jobs.send(Job::Abandon);
        }
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// Asks the storage thread to mend the catalog. The catalog holds it weakly: a dropped store has no sender left, and its
/// storage thread ends.
fn alarm(jobs: Sender<Job>) -> Arc<Alarm> {
    Arc::new(move || drop(jobs.send(Job::Mend)))
}

/// The note of the newest volume, made again if `found` is not it: before the note of the last stop goes, which knew it too. On a full
/// disk that is for the first commit to do.
fn noted_at(dir: &Path, found: Option<Mark>, opened: &Mark, space: &Space) -> Result<Newest, Error> {
    let mut newest = Newest::at(dir, found);
    match space.with_room(|| newest.note(opened)) {
        Ok(()) | Err(Error::NoSpace) => Ok(newest),
        Err(error) => Err(error),
    }
}

/// What is done beside the storage thread: writing the catalog out when it is told to, and a look around now and then.
fn keep_house(shared: &Shared, awake: &Receiver<()>) {
    loop {
        match awake.recv_timeout(LOOK_EVERY) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => {
                shared.watch.look();
                if shared.home.is_there() {
                    shared.space.tend();
                    shared.log.write_lists();
                    shared.suspects.keep();
                }
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let written = shared.home.require().and_then(|()| Ok(shared.rows.write_frozen()?));
        if let Err(error) = written {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "writing the catalog failed; it will be tried again");
        }
    }
}

fn spawn(name: &str, dir: &Path, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|e| Error::io(dir, e))
}
