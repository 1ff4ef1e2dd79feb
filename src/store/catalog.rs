//! The catalog's questions and answers: typed rows over the ordered row store.
//!
//! Promise: holds nothing that the volumes do not, and shows a change only after its frames were synced.
//! Never writes: rows come from `commit.rs` and `replay.rs`.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::error::Error;
use super::keys::{self, FileKey};
use super::place::{Address, Place};
use super::records::{FileRow, RemovalRow, VersionRow, parse_row};
use super::rows::{Change, Row, Rows};
use crate::model::ChunkId;
use crate::model::limits::SCAN_ROWS;

/// Where to ask for accounts, sessions, files and versions.
#[derive(Clone)]
pub struct Catalog {
    rows: Arc<Rows>,
}

/// A file's rows: itself, and its versions in the order of their ids, each with its removal.
#[derive(Debug, Clone)]
pub struct FileEntry {
    /// The account's id.
    pub account: u64,
    /// The file's id.
    pub file: u64,
    /// The file.
    pub row: FileRow,
    /// Its versions, the removed ones too.
    pub versions: Vec<VersionEntry>,
}

/// A version's rows.
#[derive(Debug, Clone)]
pub struct VersionEntry {
    /// The version's id.
    pub version: u64,
    /// The version.
    pub row: VersionRow,
    /// Its removal, if it was removed.
    pub removal: Option<RemovalRow>,
}

impl Catalog {
    pub(super) fn new(rows: Arc<Rows>) -> Self {
        Self { rows }
    }

    /// The file a version belongs to.
    pub fn file_of(&self, account: u64, version: u64) -> Result<Option<u64>, Error> {
        self.get(&keys::version_file(account, version))
    }

    /// One version with its removal.
    pub fn version(&self, account: u64, file: u64, version: u64) -> Result<Option<VersionEntry>, Error> {
        let Some(row) = self.get(&keys::version(account, file, version))? else { return Ok(None) };
        let removal = self.get(&keys::removal(account, file, version))?;
        Ok(Some(VersionEntry { version, row, removal }))
    }

    /// A file's own row.
    pub fn file_row(&self, account: u64, file: u64) -> Result<Option<FileRow>, Error> {
        self.get(&keys::file(account, file))
    }

    /// A file with all its versions.
    pub fn file(&self, account: u64, file: u64) -> Result<Option<FileEntry>, Error> {
        let range = (keys::file(account, file), keys::file_until(account, file));
        Files::new(Arc::clone(&self.rows), range).next().transpose()
    }

    /// All files of an account in the order of their ids.
    pub fn files(&self, account: u64) -> Files {
        Files::new(Arc::clone(&self.rows), (keys::files_from(account), keys::files_until(account)))
    }

    /// All files of all accounts.
    pub fn all_files(&self) -> Files {
        Files::new(Arc::clone(&self.rows), (keys::files_from(0), keys::all_files_until()))
    }

    /// Where the frame of a chunk, manifest or part lies.
    pub fn place(&self, id: &ChunkId) -> Result<Option<Place>, Error> {
        self.rows.get(&keys::chunk(&id.0))?.map(|row| parse_place(&row.value)).transpose()
    }

    /// The rows of a range, page by page.
    pub(super) fn stream(&self, range: keys::Range) -> Stream {
        Stream::new(Arc::clone(&self.rows), range)
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(super) fn shared_rows(&self) -> Arc<Rows> {
        Arc::clone(&self.rows)
    }

    pub(super) fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, Error> {
        self.rows.get(key)?.map(|row| parse_row(&row.value)).transpose()
    }

    /// A row's value as it stands there.
    pub(super) fn raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.rows.get(key)?.map(|row| row.value))
    }
}

/// The row change that makes a frame known by its id.
pub(super) fn place_change(id: &ChunkId, place: Place, seq: u64) -> Change {
    let mut value = Vec::with_capacity(8);
    value.extend_from_slice(&place.volume.to_le_bytes());
    value.extend_from_slice(&place.address.0.to_le_bytes());
    Change { key: keys::chunk(&id.0), seq, value: Some(value) }
}

/// The key under which the place of a frame is kept.
pub(super) fn place_key(id: &ChunkId) -> Vec<u8> {
    keys::chunk(&id.0)
}

/// The row change that forgets a place; whatever the log says of it later counts again.
pub(super) fn place_forgotten(id: &ChunkId, seq: u64) -> Change {
    Change { key: place_key(id), seq, value: None }
}

fn parse_place(value: &[u8]) -> Result<Place, Error> {
    let (Some(volume), Some(address)) = (value.first_chunk::<4>(), value.last_chunk::<4>()) else {
        return Err(Error::format("row", "a chunk's place is not whole"));
    };
    Ok(Place { volume: u32::from_le_bytes(*volume), address: Address(u32::from_le_bytes(*address)) })
}

/// Rows of a range in their order. Holds one page of them; ends after an error.
pub(super) struct Stream {
    rows: Arc<Rows>,
    from: Option<Vec<u8>>,
    until: Vec<u8>,
    page: std::vec::IntoIter<(Vec<u8>, Row)>,
}

impl Stream {
    /// The rows of a range.
    pub fn new(rows: Arc<Rows>, (from, until): keys::Range) -> Self {
        Self { rows, from: Some(from), until, page: Vec::new().into_iter() }
    }

    fn row(&mut self) -> Result<Option<(Vec<u8>, Row)>, Error> {
        loop {
            if let Some(row) = self.page.next() {
                return Ok(Some(row));
            }
            let Some(from) = self.from.take() else { return Ok(None) };
            let page = self.rows.scan(&from, &self.until, SCAN_ROWS)?;
            if let (SCAN_ROWS, Some((last, _))) = (page.len(), page.last()) {
                self.from = Some([last, &[0][..]].concat());
            }
            self.page = page.into_iter();
        }
    }
}

impl Iterator for Stream {
    type Item = Result<(Vec<u8>, Row), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.row().transpose()
    }
}

/// Files in the order of their ids. Holds one page of rows and one file.
pub struct Files {
    rows: Stream,
    current: Option<FileEntry>,
}

impl Files {
    pub(super) fn new(rows: Arc<Rows>, range: keys::Range) -> Self {
        Self { rows: Stream::new(rows, range), current: None }
    }

    /// Adds a row to the current file, or begins the next one and returns the one before.
    fn take(&mut self, key: &[u8], row: &Row) -> Result<Option<FileEntry>, Error> {
        let (account, key) = keys::parse_file(key).ok_or_else(|| Error::format("row", "a file's key is not whole"))?;
        match (key, &mut self.current) {
            (FileKey::File(file), _) => {
                let entry = FileEntry { account, file, row: parse_row(&row.value)?, versions: Vec::new() };
                Ok(self.current.replace(entry))
            }
            (FileKey::Version(file, version), Some(current)) if current.file == file => {
                current.versions.push(VersionEntry { version, row: parse_row(&row.value)?, removal: None });
                Ok(None)
            }
            (FileKey::Removal(file, version), Some(current)) if current.file == file => {
                if let Some(entry) = current.versions.last_mut().filter(|entry| entry.version == version) {
                    entry.removal = Some(parse_row(&row.value)?);
                }
                Ok(None)
            }
            _ => Err(Error::format("row", "a version has no file")),
        }
    }
}

impl Iterator for Files {
    type Item = Result<FileEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let taken = match self.rows.row() {
                Ok(Some((key, row))) => self.take(&key, &row),
                Ok(None) => return self.current.take().map(Ok),
                Err(error) => Err(error),
            };
            match taken {
                Ok(None) => {}
                Ok(Some(file)) => return Some(Ok(file)),
                Err(error) => {
                    self.rows.from = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
