//! One page of a folder: its folders first, then its files, each by name or, for files, by what was asked.
//!
//! A page by name reads as many rows as it shows, and the names that lie between. One by anything else reads all files of the
//! folder and keeps the page's own: there is no index by size or time, and a folder is small beside the account.

use std::collections::BTreeMap;

use super::children::{Child, Children};
use super::{Cursor, Presence, SeenFile, SeenFolder, behind, next_path, seen};
use crate::model::{DeviceName, Timestamp};
use crate::service::error::Error;
use crate::service::{Caller, Inner, Services};
use crate::store::Catalog;

/// Files looked up at a time.
const LOOKED_UP: usize = 1024;
/// Files that one page by name looks at: as of a moment long ago most of a folder may not have been there yet. The page then
/// ends early, and the next goes on.
const LOOKED_AT_MAX: usize = 50_000;
/// Files below a folder that are asked whether they are there, before it is taken to be.
const PROBED: usize = 64;
const FOLDERS: u8 = 0;
const FILES: u8 = 1;

/// By what a page is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The bytes of the names.
    Name,
    /// Length.
    Size,
    /// When it was changed.
    Changed,
    /// How many versions there are.
    Versions,
}

/// Which page.
#[derive(Debug, Clone)]
pub struct FolderQuery {
    /// The device.
    pub device: DeviceName,
    /// The folder's path with the separator at its end; empty for the device itself.
    pub folder: Vec<u8>,
    /// The moment; now when there is none.
    pub at: Option<Timestamp>,
    /// Whether removed files are shown too.
    pub with_removed: bool,
    /// By what it is sorted.
    pub sort: Sort,
    /// Whether the last come first.
    pub descending: bool,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Entries, at most.
    pub limit: usize,
}

/// A page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FolderPage {
    /// Folders.
    pub folders: Vec<SeenFolder>,
    /// Files.
    pub files: Vec<SeenFile>,
    /// Where the next page begins; nothing when this is the last.
    pub next: Option<Cursor>,
}

impl Services {
    /// One page of a folder.
    pub fn folder(&self, caller: &Caller, query: &FolderQuery) -> Result<FolderPage, Error> {
        let device = self.inner.seen_device(caller, &query.device)?;
        Walk { inner: &self.inner, account: caller.account, device, query, page: FolderPage::default() }.page()
    }
}

struct Walk<'a> {
    inner: &'a Inner,
    account: u64,
    device: u32,
    query: &'a FolderQuery,
    page: FolderPage,
}

impl Walk<'_> {
    fn page(mut self) -> Result<FolderPage, Error> {
        let by_name = self.query.sort == Sort::Name && !self.query.descending;
        let after = self.query.after.clone();
        let (folders_after, files_after) = match after {
            Some(cursor) if cursor.stage == FILES => (None, Some(cursor)),
            other => (Some(other), None),
        };
        if let Some(after) = folders_after {
            match self.query.sort == Sort::Name && self.query.descending {
                true => self.folders_sorted(after)?,
                false => self.folders_by_name(after)?,
            }
        }
        if self.page.next.is_none() {
            match by_name {
                true => self.files_by_name(files_after)?,
                false => self.files_sorted(files_after)?,
            }
        }
        Ok(self.page)
    }

    fn room(&self) -> usize {
        self.query.limit.saturating_sub(self.page.folders.len() + self.page.files.len())
    }

    fn moment(&self) -> Timestamp {
        self.query.at.unwrap_or(Timestamp(i64::MAX))
    }

    fn catalog(&self) -> &Catalog {
        self.inner.store.catalog()
    }

    fn children(&self, from: Vec<u8>) -> Children<'_> {
        Children::new(self.catalog(), self.account, self.device, &self.query.folder, from)
    }

    fn folders_by_name(&mut self, after: Option<Cursor>) -> Result<(), Error> {
        let from = after.map(|cursor| behind(&cursor.path)).unwrap_or_default();
        let mut found = Vec::new();
        let mut next = None;
        for child in self.children(from) {
            let Child::Folder { path, first } = child? else { continue };
            if found.len() == self.query.limit {
                next = found.last().map(|(path, _): &(Vec<u8>, u64)| path.clone());
                break;
            }
            found.push((path, first));
        }
        self.page.folders = self.present(found)?;
        self.page.next = next.map(|path| Cursor { stage: FOLDERS, rank: 0, path });
        Ok(())
    }

    fn folders_sorted(&mut self, after: Option<Cursor>) -> Result<(), Error> {
        let mut last = Last::new(self.query.limit);
        for child in self.children(Vec::new()) {
            let Child::Folder { path, first } = child? else { continue };
            if after.as_ref().is_none_or(|cursor| path < cursor.path) {
                last.take((0, path), first, true);
            }
        }
        let (found, more) = last.into_sorted(true);
        let end = found.last().map(|((_, path), _)| path.clone()).filter(|_| more);
        self.page.folders = self.present(found.into_iter().map(|((_, path), first)| (path, first)).collect())?;
        self.page.next = end.map(|path| Cursor { stage: FOLDERS, rank: 0, path });
        Ok(())
    }

    /// The folders that were there, or had been and are wanted all the same.
    fn present(&self, found: Vec<(Vec<u8>, u64)>) -> Result<Vec<SeenFolder>, Error> {
        let firsts: Vec<u64> = found.iter().map(|(_, first)| *first).collect();
        let mut there = BTreeMap::new();
        for entry in self.catalog().files_of(self.account, &firsts)? {
            let id = entry.file;
            there.insert(id, seen(entry, self.moment()).is_some_and(|file| file.presence == Presence::There));
        }
        let mut folders = Vec::with_capacity(found.len());
        for (path, first) in found {
            let state = if there.get(&first) == Some(&true) { Some(true) } else { self.probe(&path)? };
            match state {
                Some(is_there) if is_there || self.query.with_removed => folders.push(SeenFolder { path, is_there }),
                _ => {}
            }
        }
        Ok(folders)
    }

    /// Whether anything in a folder was there; nothing when none of it had come yet. Beyond [`PROBED`] files it is taken to be.
    fn probe(&self, folder: &[u8]) -> Result<Option<bool>, Error> {
        let paths = self.catalog().paths(self.account, self.device, folder, Some(&behind(folder)), PROBED)?;
        let ids: Vec<u64> = paths.iter().map(|entry| entry.file).collect();
        let mut state = None;
        for entry in self.catalog().files_of(self.account, &ids)? {
            match seen(entry, self.moment()).map(|file| file.presence) {
                Some(Presence::There) => return Ok(Some(true)),
                Some(Presence::Removed { .. }) => state = Some(false),
                None => {}
            }
        }
        Ok(if paths.len() == PROBED { Some(true) } else { state })
    }

    fn files_by_name(&mut self, after: Option<Cursor>) -> Result<(), Error> {
        let mut from = after.map(|cursor| next_path(&cursor.path)).unwrap_or_default();
        let mut looked_at = 0;
        loop {
            let want = self.room();
            let mut batch = Vec::with_capacity(want.min(LOOKED_UP) + 1);
            for child in self.children(from.clone()) {
                let Child::File(entry) = child? else { continue };
                batch.push(entry);
                if batch.len() > want.min(LOOKED_UP) {
                    break;
                }
            }
            let more = batch.len() > want.min(LOOKED_UP);
            batch.truncate(want.min(LOOKED_UP));
            let end = batch.last().map(|entry| entry.path.clone());
            looked_at += batch.len();
            let files = self.look_up(batch.iter().map(|entry| entry.file).collect())?;
            self.page.files.extend(files);
            match end.filter(|_| more) {
                None => {
                    // Nothing left, or no room at all and something left.
                    let full = more.then(|| from.clone()).filter(|_| want == 0);
                    self.page.next = full.map(|_| Cursor { stage: FILES, rank: 0, path: Vec::new() });
                    return Ok(());
                }
                Some(path) if self.room() == 0 || looked_at >= LOOKED_AT_MAX => {
                    self.page.next = Some(Cursor { stage: FILES, rank: 0, path });
                    return Ok(());
                }
                Some(path) => from = next_path(&path),
            }
        }
    }

    fn files_sorted(&mut self, after: Option<Cursor>) -> Result<(), Error> {
        let mut last = Last::new(self.room());
        let mut batch = Vec::with_capacity(LOOKED_UP);
        let mut take = |files: Vec<SeenFile>| {
            for file in files {
                let place = (rank(&file, self.query.sort), file.path.clone());
                let is_after = after.as_ref().is_none_or(|cursor| {
                    let end = (cursor.rank, cursor.path.clone());
                    if self.query.descending { place < end || end.1.is_empty() } else { place > end }
                });
                if is_after {
                    last.take(place, file, self.query.descending);
                }
            }
        };
        for child in self.children(Vec::new()) {
            let Child::File(entry) = child? else { continue };
            batch.push(entry.file);
            if batch.len() == LOOKED_UP {
                take(self.look_up(std::mem::take(&mut batch))?);
            }
        }
        take(self.look_up(batch)?);
        let (found, more) = last.into_sorted(self.query.descending);
        let end = found.last().map(|(place, _)| place.clone()).unwrap_or_default();
        self.page.files = found.into_iter().map(|(_, file)| file).collect();
        self.page.next = more.then_some(Cursor { stage: FILES, rank: end.0, path: end.1 });
        Ok(())
    }

    /// The files of these ids that are shown, by path.
    fn look_up(&self, ids: Vec<u64>) -> Result<Vec<SeenFile>, Error> {
        let entries = self.catalog().files_of(self.account, &ids)?;
        let shown = |file: &SeenFile| self.query.with_removed || file.presence == Presence::There;
        let mut files: Vec<SeenFile> =
            entries.into_iter().filter_map(|entry| seen(entry, self.moment())).filter(shown).collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }
}

/// What a file is sorted by, as a number.
fn rank(file: &SeenFile, sort: Sort) -> u64 {
    match sort {
        Sort::Name => 0,
        Sort::Size => file.size,
        Sort::Changed => file.changed.0.cast_unsigned() ^ (1 << 63),
        Sort::Versions => file.versions,
    }
}

/// A rank, and the path among equals.
type Place = (u64, Vec<u8>);

/// The first so many of what is shown to it.
struct Last<T> {
    kept: BTreeMap<Place, T>,
    limit: usize,
    more: bool,
}

impl<T> Last<T> {
    fn new(limit: usize) -> Self {
        Self { kept: BTreeMap::new(), limit, more: false }
    }

    fn take(&mut self, place: Place, it: T, descending: bool) {
        self.kept.insert(place, it);
        if self.kept.len() > self.limit {
            self.more = true;
            if descending {
                self.kept.pop_first()
            } else {
                self.kept.pop_last()
            };
        }
    }

    fn into_sorted(self, descending: bool) -> (Vec<(Place, T)>, bool) {
        let mut sorted: Vec<(Place, T)> = self.kept.into_iter().collect();
        if descending {
            sorted.reverse();
        }
        (sorted, self.more)
    }
}
