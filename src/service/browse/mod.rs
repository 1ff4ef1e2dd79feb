//! Looking around in an account: folders as of any moment, a file's versions, names that match, and what there is in all.
//!
//! Promises: every answer is a page with a place to go on from; memory does not grow with the account or the folder. Folders
//! are not stored: they are what the paths of files have in common, and both `/` and `\` separate. Never changes anything.

mod children;
mod folder;
mod overview;
mod search;
mod versions;

pub use self::folder::{FolderPage, FolderQuery, Sort};
pub(super) use self::overview::Counted;
pub use self::overview::{DeviceTotals, Overview, RecentVersion};
pub use self::search::{Match, SearchPage, SearchQuery};
pub use self::versions::{PastVersion, VersionPage};

use super::error::{Error, Thing};
use super::{Caller, Inner};
use crate::model::{DeviceName, FileId, Invalid, Timestamp, VersionId};
use crate::store::{FileEntry, VersionEntry};

/// Entries of one page, at most: a page of JSON stays below 1 MiB.
pub const PAGE_ENTRIES_MAX: usize = 1000;

/// Whether a file is there, at the moment that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    There,
    /// It was, and all its versions have been removed.
    Removed {
        /// When the last of them was.
        at: Timestamp,
        /// Until when that can be undone.
        hold_until: Timestamp,
    },
}

/// A file, as of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFile {
    /// The file's id.
    pub id: FileId,
    /// Its full path.
    pub path: Vec<u8>,
    /// The newest version of then; of a removed file, the last it had.
    pub version: VersionId,
    /// That version's length.
    pub size: u64,
    /// When it was changed by the device's word, else when it arrived.
    pub changed: Timestamp,
    /// When it arrived.
    pub arrived: Timestamp,
    /// How many versions there were, the removed ones not counted.
    pub versions: u64,
    /// Whether it was there.
    pub presence: Presence,
}

/// A folder, as of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFolder {
    /// Its path with the separator at its end.
    pub path: Vec<u8>,
    /// Whether anything was in it that had not been removed.
    pub is_there: bool,
}

/// Where a page ends and the next begins. Its bytes mean nothing to anybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    stage: u8,
    rank: u64,
    path: Vec<u8>,
}

impl Cursor {
    /// The cursor as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[self.stage][..], &self.rank.to_be_bytes(), &self.path].concat()
    }

    /// Reads what [`Cursor::to_bytes`] made.
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        let parts = bytes.split_first().and_then(|(stage, rest)| Some((stage, rest.split_first_chunk::<8>()?)));
        let (stage, (rank, path)) = parts.ok_or_else(|| Invalid::new("cursor", "is not one of this server's"))?;
        Ok(Self { stage: *stage, rank: u64::from_be_bytes(*rank), path: path.to_vec() })
    }
}

/// How a file was at a moment; nothing when it had not come yet.
fn seen(entry: FileEntry, at: Timestamp) -> Option<SeenFile> {
    let come = || entry.versions.iter().filter(|version| version.row.arrived <= at.0);
    let is_living = |version: &&VersionEntry| version.removal.as_ref().is_none_or(|removal| removal.at > at.0);
    let newest = come().rfind(is_living);
    let shown = newest.or_else(|| come().next_back())?;
    let removal = come().filter_map(|version| version.removal.as_ref()).max_by_key(|removal| removal.at);
    let presence = match (newest, removal) {
        (None, Some(removal)) => {
            Presence::Removed { at: Timestamp(removal.at), hold_until: Timestamp(removal.hold_until) }
        }
        _ => Presence::There,
    };
    let arrived = Timestamp(shown.row.arrived);
    Some(SeenFile {
        id: FileId(entry.file),
        version: VersionId(shown.version),
        size: shown.row.size,
        changed: shown.row.mtime.map_or(arrived, Timestamp),
        arrived,
        versions: come().filter(is_living).count() as u64,
        presence,
        path: entry.row.path,
    })
}

/// The path directly behind all that begin with `prefix`, whose last byte is a separator.
pub(super) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut behind = prefix.to_vec();
    if let Some(last) = behind.last_mut() {
        *last += 1;
    }
    behind
}

/// The path directly behind this one.
fn next_path(path: &[u8]) -> Vec<u8> {
    [path, &[0]].concat()
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

impl Caller {
    /// The only device it may look around in; nothing when all. One that sees a part of a device alone cannot: folders are made of
    /// what paths have in common, and it would learn the names beside its own.
    fn only_device(&self) -> Result<Option<u32>, Error> {
        if self.prefix.is_some() { Err(Error::Forbidden) } else { self.listed_device() }
    }
}

impl Inner {
    /// The number of a device that the caller may look around in.
    pub(super) fn seen_device(&self, caller: &Caller, device: &DeviceName) -> Result<u32, Error> {
        let only = caller.only_device()?;
        let row = self.store.catalog().device(caller.account, device.as_str())?;
        let number = row.map(|row| row.number).filter(|number| only.is_none_or(|only| only == *number));
        number.ok_or(Error::NotFound(Thing::Device))
    }
}

#[cfg(test)]
mod tests;
