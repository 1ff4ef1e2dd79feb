//! An old version becomes the newest of its file: nothing is sent, the new version has the old one's list of chunks.
//!
//! Promises: every chunk of the content is in the store and stays there until the new version is committed; a removed version can be
//! restored as long as it is held, and one that is not is answered like one that never was. Never: changes the old version.

use super::caller::Caller;
use super::download::{Held, unreadable};
use super::error::Error;
use super::quota::require_logical;
use super::secrets::random;
use super::upload::SUMS_CONTEXT;
use super::{Inner, Services};
use crate::chunk::seal::{open_small, seal_small};
use crate::model::{AccountId, ChunkId, File, Purpose, Scope, StorageName, VersionId};
use crate::store::{Done, Draft, FileRow, Operation, VersionRow, parse_manifest};

impl Services {
    /// Makes a version with the content of another of the same file, and returns the file with all its versions.
    pub fn restore(&self, caller: &Caller, version: VersionId) -> Result<File, Error> {
        caller.require(Scope::Append)?;
        caller.require(Scope::Restore)?;
        let (file, row, entry) = self.inner.readable(caller, version, Held::Too)?;
        let allowance = self.inner.store.allowance(caller.account, Purpose::Keeping)?;
        require_logical(&allowance, entry.row.size)?;
        let mut draft = self.inner.store.draft();
        self.inner.pin(&mut draft, version, &entry.row)?;
        let content = self.inner.copied(caller, &entry.row)?;
        let FileRow { device, path } = row;
        let operation = Operation::AddVersion { account: caller.account, device, path, content };
        match draft.commit(operation.by(&caller.credential))? {
            Done::Version { .. } => self.inner.file(AccountId(caller.account), file, caller),
            other => Err(Error::Internal(format!("restoring did {other:?}").into())),
        }
    }
}

impl Inner {
    /// Holds all that the content is made of in place for the draft, or says that something of it is gone.
    fn pin(&self, draft: &mut Draft, version: VersionId, row: &VersionRow) -> Result<(), Error> {
        // Of each level at most one manifest's children wait here.
        let mut waiting: Vec<(u8, ChunkId)> = row.root.map(|root| (root.level, ChunkId(root.id))).into_iter().collect();
        while let Some((level, id)) = waiting.pop() {
            if !draft.knows(&id)? {
                return Err(Error::Damaged { version, source: "a part of its content is gone".into() });
            }
            if level > 0 {
                let manifest = self.store.read(&id).and_then(|frame| parse_manifest(&frame.stored));
                let children = manifest.map_err(|error| unreadable(version, error))?;
                waiting.extend(children.iter().map(|child| (level - 1, child.id)));
            }
        }
        Ok(())
    }

    /// The same content under a storage name of its own, arrived now.
    fn copied(&self, caller: &Caller, row: &VersionRow) -> Result<VersionRow, Error> {
        let sums = open_small(&caller.keys, SUMS_CONTEXT, &row.storage_name, &row.sums)?;
        let storage_name = StorageName(random()?);
        Ok(VersionRow {
            sums: seal_small(&caller.keys, SUMS_CONTEXT, &storage_name.0, &sums)?,
            arrived: self.clock.now().0,
            // Sent without a time it changed when it arrived, and is no newer for being restored.
            mtime: Some(row.mtime.unwrap_or(row.arrived)),
            storage_name: storage_name.0,
            ..row.clone()
        })
    }
}
