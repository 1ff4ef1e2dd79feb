//! One small sled database per directory: opened, flushed and closed the one way that is safe with sled 0.34.7.
//! Promises that no panic of sled gets out, and that what `settle` returned Ok for survives a power cut.
//! It never uses batches, transactions, `flush_async` or the flusher thread.

use std::any::Any;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::RowsError;
use crate::store::shape::Segment;
use crate::store::sled_open::{self, NotOpen};
use crate::store::{durable, panics};

/// sled may not go lower; what really bounds memory is that handles are dropped and opened again.
const CACHE_BYTES: u64 = 256 * 1024;

pub(super) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RowsError + '_ {
    move |source| RowsError::Io { path: path.to_owned(), source }
}

/// The run a directory belongs to, as it is named in errors.
pub(super) fn name_of(dir: &Path) -> String {
    dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Runs a call into sled; a panic becomes an error that names the run.
pub(super) fn guarded<T>(dir: &Path, call: impl FnOnce() -> sled::Result<T>) -> Result<T, RowsError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| refused(dir, error)),
        Err(panic) => Err(panicked(dir, &*panic)),
    }
}

fn panicked(dir: &Path, panic: &(dyn Any + Send)) -> RowsError {
    match panics::system_error(panic) {
        Some(source) => RowsError::Io { path: dir.to_owned(), source },
        None => RowsError::Unreadable { run: name_of(dir), reason: format!("sled panicked: {}", panics::text(panic)) },
    }
}

fn refused(dir: &Path, error: sled::Error) -> RowsError {
    match error {
        // a file that ends too early is damage, any other answer of the system may be different the next time
        sled::Error::Io(ref source) if source.kind() != io::ErrorKind::UnexpectedEof => RowsError::Sled(error),
        other => RowsError::Unreadable { run: name_of(dir), reason: other.to_string() },
    }
}

/// Opens the database in `dir`; sled itself would make a new one where there is none.
pub(super) fn open_existing(dir: &Path, segment: Segment) -> Result<sled::Db, RowsError> {
    if dir.join("db").exists() { open(dir, segment) } else { Err(RowsError::Missing { run: name_of(dir) }) }
}

/// Opens (or creates) the database in `dir`.
pub(super) fn open(dir: &Path, segment: Segment) -> Result<sled::Db, RowsError> {
    if dir.exists() {
        durable::remove_half_snapshots(dir).map_err(io_error(dir))?;
    }
    sled_open::open(dir, segment, CACHE_BYTES).map_err(|why| match why {
        NotOpen::Refused(error) => refused(dir, error),
        NotOpen::Panicked(panic) => panicked(dir, &*panic),
    })
}

/// Closes the database; sled may panic while it syncs.
pub(super) fn close(dir: &Path, db: sled::Db) -> Result<(), RowsError> {
    guarded(dir, || {
        drop(db);
        Ok(())
    })
}

/// Makes the files of a closed database, and their names in its directory, durable: sled itself never syncs `conf` nor a directory.
pub(super) fn settle(dir: &Path) -> Result<(), RowsError> {
    for entry in fs::read_dir(dir).map_err(io_error(dir))? {
        sync(&entry.map_err(io_error(dir))?.path())?;
    }
    sync(dir)
}

/// fsync of a file or directory.
pub(super) fn sync(path: &Path) -> Result<(), RowsError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_error(path))
}

/// Removes a directory in two steps, so that a crash leaves the whole or a name that the next start removes.
pub(super) fn remove(dir: &Path) -> Result<(), RowsError> {
    let dead = dir.with_extension("dead");
    if dead.exists() {
        fs::remove_dir_all(&dead).map_err(io_error(&dead))?;
    }
    fs::rename(dir, &dead).map_err(io_error(dir))?;
    if let Some(parent) = dir.parent() {
        sync(parent)?;
    }
    fs::remove_dir_all(&dead).map_err(io_error(&dead))
}
