//! The versions of one file, the removed ones too as long as they are held.

use super::Cursor;
use crate::model::{DeviceName, FileId, FilePath, Version, VersionId};
use crate::service::error::{Error, Thing};
use crate::service::listing::open_version;
use crate::service::{Caller, Services};
use crate::store::{FileEntry, RemovalRow};

/// A version, whether it is still there or not.
#[derive(Debug)]
pub struct PastVersion {
    /// The version.
    pub version: Version,
    /// Its removal.
    pub removed: Option<RemovalRow>,
}

/// A page of versions, newest first.
#[derive(Debug)]
pub struct VersionPage {
    /// The file.
    pub file: FileId,
    /// Its device.
    pub device: DeviceName,
    /// Its path.
    pub path: FilePath,
    /// The versions.
    pub versions: Vec<PastVersion>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
}

impl Services {
    /// One page of a file's versions. Reads the rows of all of them and opens the sums of those it shows.
    pub fn versions(
        &self,
        caller: &Caller,
        file: FileId,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<VersionPage, Error> {
        let entry = self.inner.store.catalog().file(caller.account, file.0)?.ok_or(Error::NotFound(Thing::File))?;
        caller.listed_device()?;
        if !caller.sees(entry.row.device, &entry.row.path) {
            return Err(Error::NotFound(Thing::File));
        }
        let devices = self.inner.device_names(caller.account)?;
        let device = devices.get(&entry.row.device).cloned().ok_or(Error::NotFound(Thing::Device))?;
        let FileEntry { row, versions, .. } = entry;
        let older = |version: u64| after.is_none_or(|cursor| version < cursor.rank);
        let mut rest = versions.iter().rev().filter(|version| older(version.version));
        let shown: Vec<PastVersion> = rest
            .by_ref()
            .take(limit)
            .map(|entry| Ok(PastVersion { version: open_version(entry, caller)?, removed: entry.removal.clone() }))
            .collect::<Result<_, Error>>()?;
        let more = rest.next().is_some();
        let end = shown.last().map(|past| past.version.id).filter(|_| more);
        let next = end.map(|VersionId(rank)| Cursor { stage: 0, rank, path: Vec::new() });
        Ok(VersionPage { file, device, path: FilePath::parse(row.path)?, versions: shown, next })
    }
}
