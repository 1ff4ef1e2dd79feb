//! What an account has: its devices, and its files with the versions that were not removed.

use std::collections::HashMap;

use super::error::{Error, Thing};
use super::session::Session;
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
    session: Session,
}

impl Services {
    /// The devices that ever signed in, by name.
    pub fn devices(&self, session: &Session) -> Result<Vec<DeviceName>, Error> {
        let rows = self.inner.store.catalog().devices(session.account)?;
        rows.into_iter().map(|(name, _)| Ok(DeviceName::parse(name)?)).collect()
    }

    /// The files of the account, or of one of its devices.
    pub fn files(&self, session: &Session, device: Option<&DeviceName>) -> Result<FileListing, Error> {
        let devices = self.inner.device_names(session.account)?;
        let number = |name: &DeviceName| devices.iter().find(|(_, known)| *known == name).map(|(number, _)| *number);
        let only = device.map(|name| number(name).ok_or(Error::NotFound(Thing::Device))).transpose()?;
        let files = self.inner.store.catalog().files(session.account);
        Ok(FileListing { files, devices, only, session: session.clone() })
    }
}

impl Inner {
    fn device_names(&self, account: u64) -> Result<HashMap<u32, DeviceName>, Error> {
        let rows = self.store.catalog().devices(account)?;
        rows.into_iter().map(|(name, row)| Ok((row.number, DeviceName::parse(name)?))).collect()
    }

    /// One file with its versions.
    pub(super) fn file(&self, account: AccountId, file: u64, session: &Session) -> Result<File, Error> {
        let entry = self.store.catalog().file(account.0, file)?.ok_or(Error::NotFound(Thing::File))?;
        let devices = self.device_names(account.0)?;
        present(entry, &devices, session)
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
            if self.only.is_some_and(|only| only != entry.row.device) {
                continue;
            }
            match present(entry, &self.devices, &self.session) {
                Ok(file) if file.versions.is_empty() => {}
                result => return Some(result),
            }
        }
    }
}

fn present(entry: FileEntry, devices: &HashMap<u32, DeviceName>, session: &Session) -> Result<File, Error> {
    let device = devices.get(&entry.row.device).cloned();
    let living = entry.versions.iter().filter(|version| version.removal.is_none());
    Ok(File {
        id: FileId(entry.file),
        device: device.ok_or_else(|| Error::Internal(format!("file {} has no device", entry.file).into()))?,
        path: FilePath::parse(entry.row.path)?,
        versions: living.map(|version| open_version(version, session)).collect::<Result<_, _>>()?,
    })
}

/// A version as its owner sees it: with the sums that only the account's key opens.
pub(super) fn open_version(entry: &VersionEntry, session: &Session) -> Result<Version, Error> {
    let row = &entry.row;
    let sums = open_small(&session.keys, SUMS_CONTEXT, &row.storage_name, &row.sums)?;
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
