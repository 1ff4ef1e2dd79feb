//! A download: the bytes of one version, or a range of them, chunk by chunk. What cannot be proved right is never returned.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::caller::Caller;
use super::content::{Walk, chunk_header};
use super::error::{Error, Thing};
use super::listing::open_version;
use super::{Inner, Services};
use crate::chunk::ChunkError;
use crate::chunk::seal::{Opener, SALT_LEN};
use crate::model::{ChunkId, FilePath, Scope, Sha256, Timestamp, Version, VersionId};
use crate::store::{self, COMPRESSED, FileRow, Frame, RemovalRow, Root, VersionEntry};

/// A version that is there to be read.
pub struct Download {
    inner: Arc<Inner>,
    caller: Caller,
    path: FilePath,
    version: Version,
    root: Option<Root>,
}

/// What becomes of a version that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// It is not there.
    Not,
    /// It is there as long as it is held.
    Too,
}

impl Services {
    /// Looks a version up; all that can be refused is refused here, before the first byte.
    pub fn download(&self, caller: &Caller, version: VersionId) -> Result<Download, Error> {
        self.inner.open_download(caller, version, Held::Not)
    }
}

impl Inner {
    /// A version that is there to be read by who may.
    pub(super) fn open_download(
        self: &Arc<Self>,
        caller: &Caller,
        version: VersionId,
        held: Held,
    ) -> Result<Download, Error> {
        caller.require(Scope::Restore)?;
        let (_, row, entry) = self.readable(caller, version, held)?;
        Ok(Download {
            inner: Arc::clone(self),
            caller: caller.clone(),
            path: FilePath::parse(row.path)?,
            version: open_version(&entry, caller)?,
            root: entry.row.root,
        })
    }

    /// A version with its file, if it is there and lies where the caller may look.
    pub(super) fn readable(
        &self,
        caller: &Caller,
        version: VersionId,
        held: Held,
    ) -> Result<(u64, FileRow, VersionEntry), Error> {
        let catalog = self.store.catalog();
        let missing = || Error::NotFound(Thing::Version);
        let file = catalog.file_of(caller.account, version.0)?.ok_or_else(missing)?;
        let entry = catalog.version(caller.account, file, version.0)?.ok_or_else(missing)?;
        let now = self.clock.now().0;
        let is_gone = |removal: &RemovalRow| held == Held::Not || removal.hold_until <= now;
        if entry.removal.as_ref().is_some_and(is_gone) {
            return Err(missing());
        }
        let row = catalog.file_row(caller.account, file)?;
        let row = row.filter(|row| caller.sees(row.device, &row.path)).ok_or_else(missing)?;
        Ok((file, row, entry))
    }
}

impl Download {
    /// Length of the content in bytes.
    pub fn size(&self) -> u64 {
        self.version.size
    }

    /// SHA-256 of the content.
    pub fn hash(&self) -> Sha256 {
        self.version.hash
    }

    /// The version's id.
    pub fn version(&self) -> VersionId {
        self.version.id
    }

    /// The file's name on its device.
    pub fn path(&self) -> &FilePath {
        &self.path
    }

    /// When the file was changed, by its device's word.
    pub fn mtime(&self) -> Timestamp {
        self.version.mtime
    }

    /// Its first bytes, at most so many; fewer where the first chunk has fewer.
    pub fn head(self, bytes: u64) -> Result<Bytes, Error> {
        let until = self.size().min(bytes);
        self.read(0..until).next().unwrap_or(Ok(Bytes::new()))
    }

    /// The bytes of `range`, which must lie within the content, in pieces of at most a chunk.
    pub fn read(self, range: Range<u64>) -> impl Iterator<Item = Result<Bytes, Error>> + Send + 'static {
        let walk = Walk::new(self.root, self.version.size, range.start);
        Pieces { download: self, walk, left: range.end.saturating_sub(range.start), opener: None }
    }
}

struct Pieces {
    download: Download,
    walk: Walk,
    left: u64,
    opener: Option<Opener>,
}

impl Iterator for Pieces {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let piece = self.piece();
        self.left = piece.as_ref().map_or(0, |piece| self.left - piece.len() as u64);
        Some(piece)
    }
}

impl Pieces {
    fn piece(&mut self) -> Result<Bytes, Error> {
        let version = self.download.version.id;
        let damaged = |source: Box<dyn std::error::Error + Send + Sync>| Error::Damaged { version, source };
        let store = &self.download.inner.store;
        let next = self.walk.next(store).map_err(|error| unreadable(version, error))?;
        let (id, skip) = next.ok_or_else(|| damaged("its list of chunks is too short".into()))?;
        let frame = store.read(&id).map_err(|error| unreadable(version, error))?;
        let mut bytes = self.open(&id, frame).map_err(|error| damaged(Box::new(error)))?;
        if skip >= bytes.len() {
            return Err(damaged("a chunk is shorter than its manifest says".into()));
        }
        drop(bytes.split_to(skip));
        bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    fn open(&mut self, id: &ChunkId, frame: Frame) -> Result<Bytes, ChunkError> {
        let (header, mut stored) = (frame.header, frame.stored);
        let compressed = header.flags & COMPRESSED != 0;
        let aad = chunk_header(header.account, *id, compressed, header.raw_len, header.stored_len).encode();
        let opener = match &mut self.opener {
            Some(opener) => opener,
            none => none.insert(Opener::new()?),
        };
        let keys = &self.download.caller.keys;
        let plain = opener.open_in_place(keys, &id.0, &aad, &mut stored, header.raw_len, compressed)?;
        if compressed {
            return Ok(Bytes::copy_from_slice(plain));
        }
        let plain = SALT_LEN..SALT_LEN + plain.len();
        Ok(Bytes::from(stored).slice(plain))
    }
}

/// A frame that is gone or changed is damage of this version; a disk that answers with an error may answer again.
pub(super) fn unreadable(version: VersionId, error: store::Error) -> Error {
    if error.is_damage() && !error.is_unreadable() {
        Error::Damaged { version, source: Box::new(error) }
    } else {
        error.into()
    }
}
