//! A damaged `FORMAT` made again: from its copy, or from what the volumes say.
//!
//! Promise: only when every volume that names a store names the same one, and blocks verify under its key; the damaged file is kept
//! beside the new one. Never: touches one that is whole, or that a newer program wrote, and never takes the first step of an import for a store.

use std::fs;
use std::path::Path;

use super::error::Error;
use super::format_file::{self, Format};
use super::log::Log;
use super::shape::{BlockKey, Segment, Shape};
use super::{Options, volume_dir};

/// How it was made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MendedFormat {
    /// Volumes that name the store.
    pub volumes: usize,
    /// Whether the copy was whole; else the sizes of chunks are those of a new store.
    pub from_copy: bool,
}

/// Makes the `FORMAT` of `dir` again if it is damaged.
pub fn mend_format(dir: &Path, options: Options) -> Result<Option<MendedFormat>, Error> {
    if !format_file::is_damaged(dir) {
        return Ok(None);
    }
    let _lock = format_file::lock_file(dir)?;
    let (named, segment) = named_by_volumes(dir)?;
    let copy = format_file::read_copy(dir);
    let refused = |reason: &str| Error::BadFormat { dir: dir.to_owned(), reason: reason.to_owned() };
    let store = match (named.first(), copy.as_ref().and_then(Format::id)) {
        (None, None) => return Err(refused("is damaged, and no volume says which store this is")),
        (Some(first), _) if named.iter().any(|id| id != first) => {
            return Err(refused("is damaged, and its volumes belong to different stores"));
        }
        (Some(first), Some(copied)) if *first != copied => {
            return Err(refused("is damaged, and its copy belongs to another store than the volumes"));
        }
        (first, copied) => first.copied().or(copied).unwrap_or_default(),
    };
    let made = Format::of(store, Options { segment: segment.unwrap_or(options.segment), ..options });
    let mended = MendedFormat { volumes: named.len(), from_copy: copy.is_some() };
    let format = copy.unwrap_or(made);
    require_blocks(dir, &format, &named)?;
    format_file::write_anew(dir, &format)?;
    Ok(Some(mended))
}

/// The store each volume names, and the size of the segments they were written in.
fn named_by_volumes(dir: &Path) -> Result<(Vec<[u8; 16]>, Option<Segment>), Error> {
    let volumes = dir.join("volumes");
    // Only names are asked for; the key does not matter.
    let log = Log::at(volumes.clone(), Shape { key: BlockKey::of([0; 16]), segment: Segment::DEFAULT })?;
    let (mut named, mut segment) = (Vec::new(), None);
    for number in log.numbers() {
        named.extend(log.volume(number)?.store()?);
        segment = segment.or_else(|| segment_of(&volume_dir::directory(&volumes, number)));
    }
    Ok((named, segment))
}

/// As sled keeps it beside its database, in the clear.
fn segment_of(volume: &Path) -> Option<Segment> {
    let conf = fs::read(volume.join("conf")).ok()?;
    let text = String::from_utf8_lossy(&conf);
    let line = text.lines().find_map(|line| line.strip_prefix("segment_size: "))?;
    Segment::new(line.trim().parse().ok()?)
}

/// The key of the blocks' checksums comes from the store's id: under a wrong one nothing verifies.
fn require_blocks(dir: &Path, format: &Format, named: &[[u8; 16]]) -> Result<(), Error> {
    let bad = || Error::BadFormat {
        dir: dir.to_owned(),
        reason: "is damaged, and no block of the volumes verifies".to_owned(),
    };
    let log = Log::at(dir.join("volumes"), format.shape().ok_or_else(bad)?)?;
    for number in log.numbers() {
        match log.header(number) {
            Ok(_) => return Ok(()),
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    if named.is_empty() { Ok(()) } else { Err(bad()) }
}
