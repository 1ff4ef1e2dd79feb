//! What an account has: its devices, and its files with the versions that were not removed.

use std::collections::HashMap;

use super::caller::Caller;
use super::error::{Error, Thing};
use super::upload::SUMS_CONTEXT;
use super::{Inner, Services};
use crate::chunk::id::ContentHash;
use crate::chunk::seal::open_small;
use crate::model::{AccountId, DeviceName, File, FileId, FilePath, Sha256, StorageName, Timestamp, Version, VersionId};
use crate::store::{FileEntry, Files, VersionEntry};

/// Files in the order in which they first came. Memory does not grow with their number.
pub struct FileListing {
    files: Files,
    devices: HashMap<u32, DeviceName>,
    only: Option<u32>,
    caller: Caller,
}

/// A device that ever signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSummary {
    /// What it is called.
    pub device: DeviceName,
    /// When it signed in for the first time.
    pub first_seen: Timestamp,
    /// Whether it has a session that has not ended.
    pub signed_in: bool,
}

impl Services {
    /// The devices that ever signed in, by name; of those the ones that the caller may list.
    pub fn devices(&self, caller: &Caller) -> Result<Vec<DeviceName>, Error> {
        let only = caller.listed_device()?;
        let rows = self.inner.store.catalog().devices(caller.account)?;
        let listed = rows.into_iter().filter(|(_, row)| only.is_none_or(|number| number == row.number));
        listed.map(|(name, _)| Ok(DeviceName::parse(name)?)).collect()
    }

    /// The same devices with what is known of them.
    pub fn device_summaries(&self, caller: &Caller) -> Result<Vec<DeviceSummary>, Error> {
        let only = caller.listed_device()?;
        let catalog = self.inner.store.catalog();
        let mut summaries = Vec::new();
        for (name, row) in catalog.devices(caller.account)? {
            if only.is_some_and(|number| number != row.number) {
                continue;
            }
            let session = row.session.map(|family| catalog.session(&family)).transpose()?.flatten();
            let signed_in = session.is_some_and(|row| self.inner.is_within_its_time(&row));
            let (device, first_seen) = (DeviceName::parse(name)?, Timestamp(row.first_seen));
            summaries.push(DeviceSummary { device, first_seen, signed_in });
        }
        Ok(summaries)
    }

    /// The files of the account, or of one of its devices.
    pub fn files(&self, caller: &Caller, device: Option<&DeviceName>) -> Result<FileListing, Error> {
        let listed = caller.listed_device()?;
        let devices = self.inner.device_names(caller.account)?;
        let number = |name: &DeviceName| devices.iter().find(|(_, known)| *known == name).map(|(number, _)| *number);
        let asked = device.map(|name| number(name).ok_or(Error::NotFound(Thing::Device))).transpose()?;
        // A device that may not be listed is answered like one that is not there.
        if asked.is_some_and(|number| listed.is_some_and(|listed| listed != number)) {
            return Err(Error::NotFound(Thing::Device));
        }
        let only = asked.or(listed);
        let files = self.inner.store.catalog().files(caller.account);
        Ok(FileListing { files, devices, only, caller: caller.clone() })
    }
}

impl Inner {
    pub(super) fn device_names(&self, account: u64) -> Result<HashMap<u32, DeviceName>, Error> {
        let rows = self.store.catalog().devices(account)?;
        rows.into_iter().map(|(name, row)| Ok((row.number, DeviceName::parse(name)?))).collect()
    }

    /// One file with its versions.
    pub(super) fn file(&self, account: AccountId, file: u64, caller: &Caller) -> Result<File, Error> {
        let entry = self.store.catalog().file(account.0, file)?.ok_or(Error::NotFound(Thing::File))?;
        let devices = self.device_names(account.0)?;
        present(entry, &devices, caller)
    }
}

impl Iterator for FileListing {
    type Item = Result<File, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.files.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error.into())),
            };
            let is_other = self.only.is_some_and(|only| only != entry.row.device);
            if is_other || !self.caller.sees(entry.row.device, &entry.row.path) {
                continue;
            }
            match present(entry, &self.devices, &self.caller) {
                Ok(file) if file.versions.is_empty() => {}
                result => return Some(result),
            }
        }
    }
}

fn present(entry: FileEntry, devices: &HashMap<u32, DeviceName>, caller: &Caller) -> Result<File, Error> {
    let device = devices.get(&entry.row.device).cloned();
    let living = entry.versions.iter().filter(|version| version.removal.is_none());
    Ok(File {
        id: FileId(entry.file),
        device: device.ok_or_else(|| Error::Internal(format!("file {} has no device", entry.file).into()))?,
        path: FilePath::parse(entry.row.path)?,
        versions: living.map(|version| open_version(version, caller)).collect::<Result<_, _>>()?,
    })
}

/// A version as its owner sees it: with the sums that only the account's key opens.
pub(super) fn open_version(entry: &VersionEntry, caller: &Caller) -> Result<Version, Error> {
    let row = &entry.row;
    let sums = open_small(&caller.keys, SUMS_CONTEXT, &row.storage_name, &row.sums)?;
    let sums = ContentHash::from_bytes(&sums)?;
    Ok(Version {
        id: VersionId(entry.version),
        size: row.size,
        hash: Sha256(sums.sha256),
        crc32: sums.crc32,
        created: Timestamp(row.arrived),
        mtime: Timestamp(row.mtime.unwrap_or(row.arrived)),
        mode: row.mode,
        storage_name: StorageName(row.storage_name),
    })
}
