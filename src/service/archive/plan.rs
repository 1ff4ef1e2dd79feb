//! What an archive consists of, and where each part begins. Made once for each question, by looking at the catalog alone.

use super::super::browse::behind;
use super::names::{self, Names};
use super::{ArchiveQuery, ENTRIES_MAX, Planned, zip};
use crate::model::{FileId, Timestamp, VersionId};
use crate::service::Inner;
use crate::service::caller::Caller;
use crate::service::error::{Error, Thing};
use crate::service::listing::open_version;
use crate::store::{FileEntry, VersionEntry};

/// Paths read at a time.
const PATHS_AT_ONCE: usize = 1024;
/// What an entry takes beside its name: itself, its place, and its share of the names that were given.
const ENTRY_BYTES: usize = 160;
/// Where what could not be put in is listed.
const MISSING: &str = "not in this archive.txt";
const PLAIN_MODE: u32 = 0o644;

/// One file of an archive.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name there.
    pub name: String,
    /// The version; nothing for what we wrote ourselves.
    pub version: Option<VersionId>,
    /// Length of the content.
    pub size: u64,
    /// CRC-32 of the content.
    pub crc32: u32,
    /// When it was changed, in ms since 1970.
    pub mtime: i64,
    /// Permission bits.
    pub mode: u32,
}

/// The entries in their order, and the lengths that follow from them.
#[derive(Debug)]
pub struct Plan {
    pub entries: Vec<Entry>,
    /// Content of the entry that names what is missing.
    pub missing: String,
    /// Where the directory begins, and its length.
    pub directory: (u64, u64),
    planned: Planned,
}

impl Plan {
    /// Looks everything up.
    pub fn of(inner: &Inner, caller: &Caller, device: u32, query: &ArchiveQuery) -> Result<Self, Error> {
        let now = inner.clock.now();
        let planned = Planned::new(inner.planned.clone());
        let plan = Self { entries: Vec::new(), missing: String::new(), directory: (0, 0), planned };
        let top = names::top(query);
        let moment = query.at.unwrap_or(Timestamp(i64::MAX));
        let mut making = Making { inner, caller, device, query, now, moment, top, names: Names::default(), plan };
        making.gather()?;
        Ok(making.finished())
    }

    /// The whole archive's length.
    pub fn size(&self) -> u64 {
        let (at, len) = self.directory;
        at + len + zip::end_len(self.entries.len() as u64, len, at)
    }

    /// Another plan has another.
    pub fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for Entry { name, version, .. } in &self.entries {
            hasher.update(&version.map_or(0, |version| version.0).to_le_bytes());
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        }
        hasher.update(self.missing.as_bytes()).finalize()
    }

    fn add(&mut self, entry: Entry) -> Result<(), Error> {
        if self.entries.len() == ENTRIES_MAX {
            return Err(Error::TooManyFiles { most: ENTRIES_MAX });
        }
        self.planned.grow(ENTRY_BYTES + entry.name.len())?;
        self.entries.push(entry);
        Ok(())
    }
}

struct Making<'a> {
    inner: &'a Inner,
    caller: &'a Caller,
    device: u32,
    query: &'a ArchiveQuery,
    now: Timestamp,
    moment: Timestamp,
    top: String,
    names: Names,
    plan: Plan,
}

impl Making<'_> {
    fn gather(&mut self) -> Result<(), Error> {
        if self.query.files.is_empty() && self.query.folders.is_empty() {
            return self.folder(&self.query.folder);
        }
        for folder in &self.query.folders {
            if !folder.starts_with(&self.query.folder) {
                return Err(Error::NotFound(Thing::File));
            }
            self.folder(folder)?;
        }
        self.files()
    }

    /// Everything below a folder, in the order of the paths' bytes.
    fn folder(&mut self, folder: &[u8]) -> Result<(), Error> {
        let catalog = self.inner.store.catalog();
        let until = (!folder.is_empty()).then(|| behind(folder));
        let mut from = folder.to_vec();
        loop {
            let paths = catalog.paths(self.caller.account, self.device, &from, until.as_deref(), PATHS_AT_ONCE)?;
            let ids: Vec<u64> = paths.iter().map(|entry| entry.file).collect();
            let mut files = catalog.files_of(self.caller.account, &ids)?;
            files.sort_by(|one, other| one.row.path.cmp(&other.row.path));
            for file in files {
                self.file(file)?;
            }
            match paths.last() {
                Some(last) if paths.len() == PATHS_AT_ONCE => from = [&last.path[..], &[0]].concat(),
                _ => return Ok(()),
            }
        }
    }

    /// The files that are named. One that is not below the folder is not there.
    fn files(&mut self) -> Result<(), Error> {
        let ids: Vec<u64> = self.query.files.iter().map(|FileId(id)| *id).collect();
        let mut files = self.inner.store.catalog().files_of(self.caller.account, &ids)?;
        let is_below =
            |file: &FileEntry| file.row.device == self.device && file.row.path.starts_with(&self.query.folder);
        if !files.iter().all(is_below) || ids.iter().any(|id| !files.iter().any(|file| file.file == *id)) {
            return Err(Error::NotFound(Thing::File));
        }
        files.sort_by(|one, other| one.row.path.cmp(&other.row.path));
        files.into_iter().try_for_each(|file| self.file(file))
    }

    fn file(&mut self, file: FileEntry) -> Result<(), Error> {
        let come = |version: &&VersionEntry| version.row.arrived <= self.moment.0;
        let was_there =
            |version: &&VersionEntry| version.removal.as_ref().is_none_or(|removal| removal.at > self.moment.0);
        let Some(version) = file.versions.iter().filter(come).rfind(was_there) else { return Ok(()) };
        let name = self.names.give(&self.top, &file.row.path, self.query.folder.len());
        if version.removal.as_ref().is_some_and(|removal| removal.hold_until <= self.now.0) {
            self.plan.planned.grow(name.len())?;
            self.plan.missing.push_str(&name);
            self.plan.missing.push('\n');
            return Ok(());
        }
        let opened = open_version(version, self.caller)?;
        self.plan.add(Entry {
            name,
            version: Some(opened.id),
            size: opened.size,
            crc32: opened.crc32,
            mtime: opened.mtime.0,
            mode: opened.mode.unwrap_or(PLAIN_MODE) & 0o777,
        })
    }

    fn finished(mut self) -> Plan {
        let plan = &mut self.plan;
        if !plan.missing.is_empty() {
            plan.missing.insert_str(0, "These files were removed, and are no longer held:\n");
            let name = self.names.give(&self.top, MISSING.as_bytes(), 0);
            let (size, crc32) = (plan.missing.len() as u64, crc32fast::hash(plan.missing.as_bytes()));
            plan.entries.push(Entry { name, version: None, size, crc32, mtime: 0, mode: PLAIN_MODE });
        }
        let (mut at, mut len) = (0, 0);
        for entry in &plan.entries {
            len += zip::central_len(entry, at);
            at += zip::local_len(entry) + entry.size;
        }
        plan.directory = (at, len);
        self.plan
    }
}
