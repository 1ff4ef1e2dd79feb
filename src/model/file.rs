//! Files and their versions as the services return them.

use super::{DeviceName, FileId, FilePath, Sha256, StorageName, Timestamp, VersionId};

/// A path on a device, with its versions oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The file's id; a later upload to the same path keeps it.
    pub id: FileId,
    /// The device it came from.
    pub device: DeviceName,
    /// Its name there.
    pub path: FilePath,
    /// The versions that were not removed, oldest first.
    pub versions: Vec<Version>,
}

/// The content of a file at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The server-wide id.
    pub id: VersionId,
    /// Length of the content in bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub hash: Sha256,
    /// CRC-32 of the content, for archives that need it in advance.
    pub crc32: u32,
    /// When it arrived, by the server's clock.
    pub created: Timestamp,
    /// When it was changed, by the device's word; the arrival when the device did not say.
    pub mtime: Timestamp,
    /// Unix permission bits, where the device told them.
    pub mode: Option<u32>,
    /// Its name in the store.
    pub storage_name: StorageName,
}
