//! The catalog by path: what lies below a folder, and the files behind many ids at once.
//!
//! Promise: a walk reads a page of rows at a time, so its memory does not grow with the account. Never writes.

use super::catalog::{Catalog, FileEntry, Files};
use super::error::Error;
use super::keys;
use super::records::parse_row;

/// File ids so near to each other are read in one walk: one that is passed over costs less than another search for its place.
const NEIGHBOUR_IDS: u64 = 16;

/// A path of a device, and its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathEntry {
    /// The path as the device wrote it.
    pub path: Vec<u8>,
    /// The file's id.
    pub file: u64,
}

impl Catalog {
    /// At most `limit` paths of a device in the order of their bytes: from `from` on, before `until`, or to the device's end.
    pub fn paths(
        &self,
        account: u64,
        device: u32,
        from: &[u8],
        until: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<PathEntry>, Error> {
        let until = match until {
            Some(until) => keys::path(account, device, until),
            None => keys::path(account, device.saturating_add(1), b""),
        };
        let rows = self.rows().scan(&keys::path(account, device, from), &until, limit)?;
        let entry = |(key, row): (Vec<u8>, super::rows::Row)| {
            let path = keys::parse_path(&key).ok_or_else(|| Error::format("row", "a path's key is not whole"))?;
            Ok(PathEntry { path: path.to_vec(), file: parse_row(&row.value)? })
        };
        rows.into_iter().map(entry).collect()
    }

    /// The files of these ids with their versions, in the order of their ids; one that is not there is left out.
    pub fn files_of(&self, account: u64, ids: &[u64]) -> Result<Vec<FileEntry>, Error> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let mut found = Vec::with_capacity(ids.len());
        for near in ids.chunk_by(|one, next| next - one <= NEIGHBOUR_IDS) {
            let [first, .., last] = near else {
                found.extend(
                    near.iter().map(|id| self.file(account, *id)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten(),
                );
                continue;
            };
            let range = (keys::file(account, *first), keys::file_until(account, *last));
            for file in Files::new(self.shared_rows(), range) {
                let file = file?;
                if near.binary_search(&file.file).is_ok() {
                    found.push(file);
                }
            }
        }
        Ok(found)
    }

    /// Whether anybody has registered.
    pub fn has_accounts(&self) -> Result<bool, Error> {
        let (from, until) = keys::accounts();
        Ok(!self.rows().scan(&from, &until, 1)?.is_empty())
    }
}
