//! The small files beside the volumes: `FORMAT`, written once and synced; `lock`.
//!
//! Promise: a directory that is not empty and has no readable `FORMAT` is refused and left as it is.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::Options;
use super::durable;
use super::error::Error;
use super::raw;
use super::shape::{BlockKey, Segment, Shape};

const FORMAT: &str = "FORMAT";
const LOCK: &str = "lock";
/// The same once more.
const COPY: &str = "FORMAT.copy";
/// What was damaged is kept under this name.
const DAMAGED: &str = "FORMAT.damaged";
const VERSION: u32 = 1;
/// What helps whoever points this program at another server's directory.
const RESTIC_HINT: &str = " (a restic repository: `rbackup repo import` takes it over)";
/// So many entries of a directory are looked at for that: it may be anybody's, and the sentence is wanted now.
const LOOKED_AT: usize = 100;
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
    segment_bytes: u32,
    sum: String,
}

/// The one key that every later format keeps, so that a newer store is told from a damaged file.
#[derive(Deserialize)]
struct AnyFormat {
    rbackup_format: u32,
}

impl Format {
    /// What `FORMAT` says in a new store with this id.
    pub fn of(id: [u8; 16], options: Options) -> Self {
        let store_id = format!("{:032x}", u128::from_be_bytes(id));
        let (chunk_bytes, segment_bytes) = (options.chunk_bytes, options.segment.bytes());
        let mut format = Self { rbackup_format: VERSION, store_id, chunk_bytes, segment_bytes, sum: String::new() };
        format.sum = sum(&format.head());
        format
    }

    /// The store's id.
    pub fn id(&self) -> Option<[u8; 16]> {
        u128::from_str_radix(&self.store_id, 16).ok().map(u128::to_be_bytes)
    }

    /// What all volumes have in common.
    pub fn shape(&self) -> Option<Shape> {
        Some(Shape { key: BlockKey::of(self.id()?), segment: Segment::new(self.segment_bytes)? })
    }

    fn text(&self) -> String {
        format!("{}sum = \"{}\"\n", self.head(), self.sum)
    }

    /// The file's text up to its checksum.
    fn head(&self) -> String {
        let Self { rbackup_format, store_id, chunk_bytes, segment_bytes, .. } = self;
        format!(
            "rbackup_format = {rbackup_format}\nstore_id = \"{store_id}\"\nchunk_bytes = {chunk_bytes:?}\n\
             segment_bytes = {segment_bytes}\n"
        )
    }
}

/// Takes the data directory for this process until the file is dropped. Makes the directory if it is not there.
pub fn lock(dir: &Path) -> Result<File, Error> {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(dir).map_err(|e| Error::io(dir, e))?;
    if !dir.join(FORMAT).exists() && !is_empty(dir)? {
        return Err(if dir.join(COPY).exists() {
            Error::BadFormat { dir: dir.to_owned(), reason: "is not there".to_owned() }
        } else {
            let hint = if has_restic(dir) { RESTIC_HINT } else { "" };
            foreign(dir, &format!("it is not empty and has no FORMAT file{hint}"))
        });
    }
    lock_file(dir)
}

/// The lock alone, whatever the directory holds.
pub fn lock_file(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK);
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits() as i32);
    let opened = options.open(&path);
    taken(dir, opened.map_err(|e| Error::io(&path, e))?)
}

/// The same on a disk that is read-only. Nobody else writes there, unless it is writable elsewhere: then the lock is there too.
pub fn lock_to_look(dir: &Path) -> Result<Option<File>, Error> {
    let path = dir.join(LOCK);
    match File::open(&path) {
        Ok(file) => taken(dir, file).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(&path, error)),
    }
}

fn taken(dir: &Path, file: File) -> Result<File, Error> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::io(&dir.join(LOCK), error)),
    }
}

/// An error unless `dir` holds a store.
pub fn require(dir: &Path) -> Result<(), Error> {
    match dir.join(FORMAT).try_exists() {
        Ok(true) => Ok(()),
        Ok(false) if dir.join(COPY).exists() => Ok(()),
        Ok(false) => Err(Error::NoStore { dir: dir.to_owned() }),
        Err(error) => Err(Error::io(dir, error)),
    }
}

/// The id of the store in `dir` as its `FORMAT` has it, if there is one that is whole.
pub fn store_id(dir: &Path) -> Option<String> {
    read(dir).ok().flatten().map(|format| format.store_id)
}

/// The user and the group whose directory `dir` is: those of its `FORMAT`, or of the copy where that was lost.
pub fn owner(dir: &Path) -> Option<(u32, u32)> {
    let file = [FORMAT, COPY].iter().find_map(|name| fs::symlink_metadata(dir.join(name)).ok())?;
    file.is_file().then(|| (file.uid(), file.gid()))
}

/// Whether there is a `FORMAT` that is damaged, or was lost from a store that has its copy.
pub fn is_damaged(dir: &Path) -> bool {
    matches!(read(dir), Err(Error::BadFormat { .. })) || (!dir.join(FORMAT).exists() && dir.join(COPY).exists())
}

/// The copy, if it is whole.
pub fn read_copy(dir: &Path) -> Option<Format> {
    parse(&fs::read_to_string(dir.join(COPY)).ok()?).ok()
}

/// Writes the copy, if there is none that is the same. `FORMAT` has been found to be right.
pub fn write_copy(dir: &Path, format: &Format) {
    if read_copy(dir).as_ref() == Some(format) {
        return;
    }
    if let Err(error) = durable::write_whole(dir, COPY, format.text().as_bytes()) {
        tracing::warn!(%error, "the copy of FORMAT could not be written");
    }
}

/// Writes `format` in the place of a damaged one, which is kept beside it.
pub fn write_anew(dir: &Path, format: &Format) -> Result<(), Error> {
    let (damaged, kept) = (dir.join(FORMAT), dir.join(DAMAGED));
    if damaged.exists() {
        fs::copy(&damaged, &kept).and_then(|_| durable::sync_file(&kept)).map_err(|e| Error::io(&kept, e))?;
    }
    write(dir, format)
}

/// Whether nothing in `dir` was ever acknowledged: it holds at most what a first start makes before `FORMAT` is there, and
/// the `lost+found` of a fresh ext4, or the users that rest-server looks for there.
fn is_empty(dir: &Path) -> Result<bool, Error> {
    const NOTHING_YET: [&str; 5] = ["lost+found", ".htpasswd", LOCK, "FORMAT.new", durable::SELF_TEST];
    for entry in fs::read_dir(dir).map_err(|e| Error::io(dir, e))? {
        let name = entry.map_err(|e| Error::io(dir, e))?.file_name();
        if !NOTHING_YET.iter().any(|known| name == *known) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads `FORMAT`, or writes it into a directory that has nothing yet. Under the lock.
pub fn open(dir: &Path, options: Options, random: [u8; 16]) -> Result<Format, Error> {
    match read(dir)? {
        Some(format) => Ok(format),
        None => create(dir, options, random),
    }
}

/// What `FORMAT` says, if there is one.
pub fn read(dir: &Path) -> Result<Option<Format>, Error> {
    let path = dir.join(FORMAT);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(Unusable::Damaged("is not readable").of(dir));
        }
        Err(error) if raw::is_bad_sector(&error) => return Err(Unusable::Damaged("cannot be read").of(dir)),
        Err(error) => return Err(Error::io(&path, error)),
    };
    parse(&text).map(Some).map_err(|unusable| unusable.of(dir))
}

/// Why a `FORMAT` is of no use.
#[derive(Debug, PartialEq, Eq)]
enum Unusable {
    /// It is not what was written.
    Damaged(&'static str),
    /// It was written by a program that knows more.
    Newer(u32),
}

impl Unusable {
    fn of(self, dir: &Path) -> Error {
        match self {
            Self::Damaged(reason) => Error::BadFormat { dir: dir.to_owned(), reason: reason.to_owned() },
            Self::Newer(found) => foreign(dir, &format!("it has format {found}, this program knows format {VERSION}")),
        }
    }
}

fn parse(text: &str) -> Result<Format, Unusable> {
    let unreadable = |_| Unusable::Damaged("is not readable");
    let any: AnyFormat = toml::from_str(text).map_err(unreadable)?;
    let format = toml::from_str::<Format>(text).map_err(unreadable);
    if any.rbackup_format != VERSION {
        // A flipped bit in the number does not make it another format: then all the rest still verifies.
        let as_known = |format: Format| (format.sum.clone(), Format { rbackup_format: VERSION, ..format }.head());
        let flipped = format.map(as_known).is_ok_and(|(said, head)| said == sum(&head));
        return Err(if flipped {
            Unusable::Damaged("is damaged: the checksum differs")
        } else {
            Unusable::Newer(any.rbackup_format)
        });
    }
    let format = format?;
    if format.sum != sum(&format.head()) {
        return Err(Unusable::Damaged("is damaged: the checksum differs"));
    }
    if !can_cut(format.chunk_bytes) || format.store_id.len() != 32 || format.shape().is_none() {
        return Err(Unusable::Damaged("has impossible values"));
    }
    Ok(format)
}

/// Whether the cutter can cut to these sizes: minimum, average, maximum.
pub fn can_cut([min, average, max]: [u32; 3]) -> bool {
    let ordered = CHUNK_BYTES_MIN <= min && min <= average && average <= max && max <= CHUNK_BYTES_MAX;
    ordered && (min | average | max) & 1 == 0
}

fn create(dir: &Path, options: Options, random: [u8; 16]) -> Result<Format, Error> {
    let format = Format::of(random, options);
    write(dir, &format)?;
    Ok(format)
}

/// Makes `dir` a store.
pub fn write(dir: &Path, format: &Format) -> Result<(), Error> {
    durable::write_whole(dir, FORMAT, format.text().as_bytes()).map_err(|e| Error::io(dir, e))
}

/// The first eight bytes of BLAKE3, in hex.
fn sum(head: &str) -> String {
    blake3::hash(head.as_bytes()).to_hex()[..16].to_owned()
}

/// Whether this is a repository of restic's, or has one in it or one below: where a rest-server or rclone kept them. A look, for a
/// sentence: what cannot be read is none.
fn has_restic(dir: &Path) -> bool {
    let below =
        |dir: &Path| fs::read_dir(dir).into_iter().flatten().take(LOOKED_AT).flatten().map(|entry| entry.path());
    let is_repo = |dir: &Path| dir.join("config").is_file() && dir.join("data").is_dir();
    is_repo(dir) || below(dir).any(|dir| is_repo(&dir) || below(&dir).any(|dir| is_repo(&dir)))
}

fn foreign(dir: &Path, reason: &str) -> Error {
    Error::Foreign { dir: dir.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_another_server_is_told_from_any_other() {
        for (repo, told) in [("", true), ("photos", true), ("ann/photos", true), ("a/b/c", false)] {
            let home = tempfile::tempdir().expect("a directory");
            let repo = home.path().join(repo);
            fs::create_dir_all(repo.join("data")).expect("made");
            assert!(!has_restic(home.path()), "data alone is nothing");
            fs::write(repo.join("config"), b"x").expect("written");
            let refused = lock(home.path()).expect_err("not empty").to_string();
            assert!(refused.contains("has no FORMAT file"), "{refused}");
            assert_eq!(refused.contains("repo import"), told, "{}: {refused}", repo.display());
        }
    }

    #[test]
    fn a_format_is_read_back_and_no_changed_byte_of_it_is_accepted() {
        let home = tempfile::tempdir().expect("a directory");
        let made = create(home.path(), Options::default(), [7; 16]).expect("made");
        let text = fs::read_to_string(home.path().join(FORMAT)).expect("read");
        assert_eq!(parse(&text), Ok(made.clone()));
        for at in 0..text.len() {
            for flip in [1u8, 2, 16] {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= flip;
                let accepted = String::from_utf8(bytes).ok().and_then(|text| parse(&text).ok());
                assert!(accepted.is_none_or(|format| format == made), "byte {at}");
            }
        }
        let newer = parse("rbackup_format = 2\nelse = true\n").expect_err("a newer one");
        assert_eq!(newer, Unusable::Newer(2));
        let flipped = parse(&text.replace("rbackup_format = 1", "rbackup_format = 3")).expect_err("a flipped bit");
        assert!(matches!(flipped, Unusable::Damaged(_)), "{flipped:?}");
    }
}
