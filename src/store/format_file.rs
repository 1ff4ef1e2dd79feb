//! The small files beside the volumes: `FORMAT`, written once and synced; `lock`; `clean`, there only after a stop in good order.
//!
//! Promise: a directory that is not empty and has no readable `FORMAT` is refused and left as it is.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::durable;
use super::error::Error;
use super::mark::Mark;

const FORMAT: &str = "FORMAT";
const CLEAN: &str = "clean";
const LOCK: &str = "lock";
const VERSION: u32 = 1;
/// What the cutter can cut; it needs even numbers.
const CHUNK_BYTES_MIN: u32 = 64;
const CHUNK_BYTES_MAX: u32 = 16 << 20;

/// What `FORMAT` says, in TOML, so that a person can read it too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    rbackup_format: u32,
    store_id: String,
    /// Sizes of chunks in bytes: minimum, average, maximum.
    pub chunk_bytes: [u32; 3],
}

impl Format {
    /// The store's id.
    pub fn id(&self) -> Option<[u8; 16]> {
        u128::from_str_radix(&self.store_id, 16).ok().map(u128::to_be_bytes)
    }
}

/// Takes the data directory for this process until the file is dropped. Makes the directory if it is not there.
pub fn lock(dir: &Path) -> Result<File, Error> {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(dir).map_err(|e| Error::io(dir, e))?;
    if !dir.join(FORMAT).exists() && !is_empty(dir)? {
        return Err(foreign(dir, "it is not empty and has no FORMAT file"));
    }
    let path = dir.join(LOCK);
    let opened = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(|e| Error::io(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::io(&path, error)),
    }
}

/// An error unless `dir` holds a store.
pub fn require(dir: &Path) -> Result<(), Error> {
    if dir.join(FORMAT).exists() { Ok(()) } else { Err(Error::NoStore { dir: dir.to_owned() }) }
}

/// Whether nothing in `dir` was ever acknowledged: it holds at most what a first start makes before `FORMAT` is there, and
/// the `lost+found` of a fresh ext4.
fn is_empty(dir: &Path) -> Result<bool, Error> {
    const NOTHING_YET: [&str; 4] = ["lost+found", LOCK, "FORMAT.new", durable::SELF_TEST];
    for entry in fs::read_dir(dir).map_err(|e| Error::io(dir, e))? {
        let name = entry.map_err(|e| Error::io(dir, e))?.file_name();
        if !NOTHING_YET.iter().any(|known| name == *known) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads `FORMAT`, or writes it into a directory that has nothing yet. Under the lock.
pub fn open(dir: &Path, chunk_bytes: [u32; 3], random: [u8; 16]) -> Result<Format, Error> {
    let path = dir.join(FORMAT);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return create(dir, chunk_bytes, random),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(foreign(dir, "its FORMAT file is not readable"));
        }
        Err(error) => return Err(Error::io(&path, error)),
    };
    let format: Format = toml::from_str(&text).map_err(|_| foreign(dir, "its FORMAT file is not readable"))?;
    if format.rbackup_format != VERSION {
        let reason = format!("it has format {}, this program knows format {VERSION}", format.rbackup_format);
        return Err(foreign(dir, &reason));
    }
    if format.store_id.len() != 32 || format.id().is_none() {
        return Err(foreign(dir, "its FORMAT file names no store id"));
    }
    let [min, average, max] = format.chunk_bytes;
    if min < CHUNK_BYTES_MIN
        || max > CHUNK_BYTES_MAX
        || min > average
        || average > max
        || (min | average | max) & 1 != 0
    {
        return Err(foreign(dir, "its FORMAT file has impossible chunk sizes"));
    }
    Ok(format)
}

fn create(dir: &Path, chunk_bytes: [u32; 3], random: [u8; 16]) -> Result<Format, Error> {
    let store_id = format!("{:032x}", u128::from_be_bytes(random));
    let text = format!("rbackup_format = {VERSION}\nstore_id = \"{store_id}\"\nchunk_bytes = {chunk_bytes:?}\n");
    durable::write_whole(dir, FORMAT, text.as_bytes()).map_err(|e| Error::io(dir, e))?;
    Ok(Format { rbackup_format: VERSION, store_id, chunk_bytes })
}

/// The note of the last stop, if it was in good order.
pub fn clean(dir: &Path) -> Result<Option<Mark>, Error> {
    let path = dir.join(CLEAN);
    match fs::read(&path) {
        Ok(bytes) => Ok(Mark::parse(&bytes).ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(&path, error)),
    }
}

/// Removes that note; from here on a stop without a new one is a crash.
pub fn forget_clean(dir: &Path) -> Result<(), Error> {
    durable::remove(dir, CLEAN).map_err(|e| Error::io(&dir.join(CLEAN), e))
}

/// Notes a stop in good order.
pub fn note_clean(dir: &Path, mark: &Mark) -> Result<(), Error> {
    durable::write_whole(dir, CLEAN, &mark.encode()?).map_err(|e| Error::io(dir, e))
}

fn foreign(dir: &Path, reason: &str) -> Error {
    Error::Foreign { dir: dir.to_owned(), reason: reason.to_owned() }
}
