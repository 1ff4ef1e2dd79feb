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
mod format_file;

mod block;
mod frame;
mod header;
mod manifest;
mod place;
mod raw;

mod log;
mod scan;
mod volume;
mod writer;

mod catalog;
mod keys;
mod records;
mod rows;

mod check;
mod commit;
mod draft;
pub mod fuzzing;
mod mark;
mod operation;
mod recover;
mod replay;
mod shared;

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

pub use self::catalog::{Catalog, FileEntry, Files, VersionEntry};
pub use self::check::{DamagedVersion, Report};
pub use self::draft::{Draft, NewFrame};
pub use self::error::Error;
pub use self::frame::{COMPRESSED, Frame, FrameHeader, FrameKind};
pub use self::manifest::{Child, ENTRIES_MAX, encode as encode_manifest, parse as parse_manifest};
pub use self::operation::{Done, Operation, Target};
pub use self::records::{AccountAdded, DeviceRow, FileRow, RemovalRow, Root, SessionRow, VersionRow};
pub use self::rows::RunSummary;
pub use self::writer::VolumeLimits;

use self::commit::{Job, Keeper};
use self::format_file::Format;
use self::header::{Counters, Ending};
use self::log::Log;
use self::mark::Mark;
use self::replay::Replay;
use self::rows::{Rows, RowsError};
use self::shared::Shared;
use self::writer::Writer;
use crate::model::ChunkId;
use crate::model::random::random;

/// The catalog that a rebuild set aside, until it has succeeded.
const OLD_CATALOG: &str = "catalog.old";

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// When a volume is full.
    pub volume: VolumeLimits,
    /// Sizes of chunks for a new store: minimum, average, maximum.
    pub chunk_bytes: [u32; 3],
}

impl Default for Options {
    fn default() -> Self {
        Self { volume: VolumeLimits::default(), chunk_bytes: [256 << 10, 1 << 20, 4 << 20] }
    }
}

/// An open data directory. Closing it in good order takes [`Store::close`]; dropping it is like a crash, and as safe.
pub struct Store {
    dir: PathBuf,
    format: Format,
    shared: Arc<Shared>,
    jobs: Sender<Job>,
    opened: Ending,
    threads: Mutex<Vec<JoinHandle<()>>>,
    _lock: File,
}

impl Store {
    /// Opens the data directory `dir`, or makes a new store in it when it is empty or not there.
    pub fn open(dir: &Path, options: Options) -> Result<Self, Error> {
        let lock = format_file::lock(dir)?;
        if !durable::self_test(dir).map_err(|e| Error::io(dir, e))? {
            return Err(Error::NotDurable);
        }
        let format = format_file::open(dir, options.chunk_bytes, random().map_err(|e| Error::io(dir, e))?)?;
        let store = format.id().unwrap_or_default();
        let clean = format_file::clean(dir)?.filter(|mark| mark.store == store).map(|mark| mark.ending);
        let (shared, writer, counters) = recovered(dir, store, clean)?;
        remove_old_catalog(dir)?;
        format_file::forget_clean(dir)?;
        let shared = Arc::new(shared);
        let opened = writer.ending();
        let (jobs, inbox) = channel();
        let (wake, awake) = sync_channel(1);
        let keeper = Keeper::new(Arc::clone(&shared), store, options.volume, writer, counters, wake);
        let catalog = Arc::clone(&shared.rows);
        let threads = vec![
            spawn("storage", dir, move || keeper.run(&inbox))?,
            spawn("checkpoint", dir, move || write_checkpoints(&catalog, &awake))?,
        ];
        Ok(Self { dir: dir.to_owned(), format, shared, jobs, opened, threads: Mutex::new(threads), _lock: lock })
    }

    /// Opens the store with a catalog made anew from the volumes alone. The one there was comes back when that fails.
    pub fn rebuild(dir: &Path, options: Options) -> Result<Self, Error> {
        {
            let _lock = format_file::lock(dir)?;
            set_catalog_aside(dir)?;
        }
        let rebuilt = Self::open(dir, options);
        if rebuilt.is_err() {
            restore_catalog(dir)?;
        }
        rebuilt
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
        Draft::new(Arc::clone(&self.shared), self.jobs.clone())
    }

    /// Commits an operation that needs no frames of its own.
    pub fn commit(&self, operation: Operation) -> Result<Done, Error> {
        self.draft().commit(operation)
    }

    /// Reads the frame of a chunk, manifest or part.
    pub fn read(&self, id: &ChunkId) -> Result<Frame, Error> {
        let place = self.catalog().place(id)?.ok_or(Error::NoChunk(*id))?;
        let frame = self.shared.log.read(place)?;
        if self.shared.log.is_newest_due(place.volume) && !self.shared.recycling.swap(true, Ordering::AcqRel) {
            self.jobs.send(Job::Recycle).map_err(|_| Error::Closed)?;
        }
        if frame.header.id == *id {
            Ok(frame)
        } else {
            Err(Error::BadFrame { place, reason: "it is another frame than the catalog says" })
        }
    }

    /// Re-reads everything. Nobody may write meanwhile.
    pub fn check(&self) -> Result<Report, Error> {
        check::check(self)
    }

    /// The catalog's files on disk.
    pub fn catalog_runs(&self) -> Vec<RunSummary> {
        self.shared.rows.runs()
    }

    /// Ends in good order: everything is synced, the catalog written out, and the next start has nothing to replay.
    /// Whoever commits afterwards is told that the store is closed.
    pub fn close(&self) -> Result<(), Error> {
        let (reply, answer) = channel();
        self.jobs.send(Job::Close(reply)).map_err(|_| Error::Closed)?;
        let mark = answer.recv().map_err(|_| Error::Closed)??;
        let rows = &self.shared.rows;
        rows.write_frozen()?;
        if rows.freeze(mark.encode()?) {
            rows.write_frozen()?;
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
        format_file::note_clean(&self.dir, &mark)
    }
}

/// An error unless `dir` holds a store.
pub fn require(dir: &Path) -> Result<(), Error> {
    format_file::require(dir)
}

/// Log and catalog brought to the same point. A catalog that turns out to be damaged on the way is made anew.
fn recovered(dir: &Path, store: [u8; 16], clean: Option<Ending>) -> Result<(Shared, Writer, Counters), Error> {
    match recover_once(dir, store, clean) {
        Err(Error::Rows(error @ (RowsError::Damaged { .. } | RowsError::Unreadable { .. }))) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the catalog is rebuilt from the volumes");
            set_catalog_aside(dir)?;
            recover_once(dir, store, clean)
        }
        recovered => recovered,
    }
}

fn recover_once(dir: &Path, store: [u8; 16], clean: Option<Ending>) -> Result<(Shared, Writer, Counters), Error> {
    let log = Log::at(directory(dir, "volumes")?)?;
    let (rows, mark) = open_catalog(dir, store)?;
    let shared = Shared::new(log, Arc::new(rows));
    let replay = Replay { log: &shared.log, rows: &shared.rows, store };
    let (writer, counters) = replay.run(mark, clean)?;
    Ok((shared, writer, counters))
}

/// Puts the catalog aside. One that was put aside before is the better one: what came after it was never finished.
fn set_catalog_aside(dir: &Path) -> Result<(), Error> {
    let (catalog, old) = (dir.join("catalog"), dir.join(OLD_CATALOG));
    let set_aside = match (catalog.exists(), old.exists()) {
        (false, _) => return Ok(()),
        (true, true) => fs::remove_dir_all(&catalog),
        (true, false) => fs::rename(&catalog, &old),
    };
    set_aside.and_then(|()| durable::sync_dir(dir)).map_err(|e| Error::io(&catalog, e))
}

fn restore_catalog(dir: &Path) -> Result<(), Error> {
    let (catalog, old) = (dir.join("catalog"), dir.join(OLD_CATALOG));
    if !old.exists() {
        return Ok(());
    }
    if catalog.exists() {
        fs::remove_dir_all(&catalog).map_err(|e| Error::io(&catalog, e))?;
    }
    fs::rename(&old, &catalog).and_then(|()| durable::sync_dir(dir)).map_err(|e| Error::io(&catalog, e))
}

fn remove_old_catalog(dir: &Path) -> Result<(), Error> {
    let old = dir.join(OLD_CATALOG);
    if old.exists() { fs::remove_dir_all(&old).map_err(|e| Error::io(&old, e)) } else { Ok(()) }
}

/// Opens the catalog with the mark it reaches to. One that is damaged, or another store's, is set aside:
/// it is derived, and the replay that follows builds it anew.
fn open_catalog(dir: &Path, store: [u8; 16]) -> Result<(Rows, Option<Mark>), Error> {
    let at = directory(dir, "catalog")?;
    let opened = Rows::open(&at);
    let reason = match opened {
        Ok((rows, None)) => return Ok((rows, None)),
        Ok((rows, Some(mark))) => match Mark::parse(&mark) {
            Ok(mark) if mark.store == store => return Ok((rows, Some(mark))),
            _ => "it belongs to another store".to_owned(),
        },
        Err(error @ (RowsError::Sled(_) | RowsError::Io { .. })) => return Err(error.into()),
        Err(error) => error.to_string(),
    };
    tracing::warn!(reason, "the catalog is rebuilt from the volumes");
    set_catalog_aside(dir)?;
    Ok((Rows::open(&directory(dir, "catalog")?)?.0, None))
}

fn write_checkpoints(rows: &Rows, awake: &Receiver<()>) {
    while awake.recv().is_ok() {
        if let Err(error) = rows.write_frozen() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "writing the catalog failed; it will be tried again"
            );
        }
    }
}

fn directory(dir: &Path, name: &str) -> Result<PathBuf, Error> {
    let path = dir.join(name);
    if !path.exists() {
        let made = fs::DirBuilder::new().mode(0o700).create(&path).and_then(|()| durable::sync_dir(dir));
        made.map_err(|e| Error::io(&path, e))?;
    }
    Ok(path)
}

fn spawn(name: &str, dir: &Path, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|e| Error::io(dir, e))
}
