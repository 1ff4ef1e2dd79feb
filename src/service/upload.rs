//! An upload: bytes in, a version out. Nothing is visible before [`Intake::finish`] returns, and dropping it leaves nothing.

use std::sync::Arc;

use bytes::Bytes;

use super::caller::Caller;
use super::content::{Builder, Tree};
use super::error::Error;
use super::hashing::Hashing;
use super::listing::open_version;
use super::quota::require_logical;
use super::secrets::random;
use super::{Inner, Services};
use crate::chunk::compress::Compressor;
use crate::chunk::cut::{CutSizes, Cutter};
use crate::chunk::id::{ContentHash, hash_token};
use crate::chunk::seal::seal_small;
use crate::model::{AccountId, DeviceName, File, FileId, FilePath, Purpose, Scope, Sha256, StorageName, Timestamp};
use crate::store::{Allowance, Done, Draft, Operation, Root, VersionEntry, VersionRow};

/// What the sealed sums of a version are bound to besides its storage name.
pub(super) const SUMS_CONTEXT: &str = "version sums";

/// What a client says of an upload.
#[derive(Debug)]
pub struct UploadRequest {
    /// The file's name on the session's device.
    pub path: FilePath,
    /// How many bytes will come, if the client knows.
    pub size: Option<u64>,
    /// How many will come at least, as far as the length of the body says that.
    pub size_min: u64,
    /// When the file was changed, by the device's word.
    pub mtime: Option<Timestamp>,
    /// Unix permission bits.
    pub mode: Option<u32>,
}

/// An upload in progress.
pub struct Intake {
    inner: Arc<Inner>,
    caller: Caller,
    device: (DeviceName, u32),
    request: UploadRequest,
    allowance: Allowance,
    draft: Draft,
    cutter: Cutter,
    compressor: Compressor,
    tree: Tree,
    hashing: Hashing,
    size: u64,
}

impl Services {
    /// Begins an upload on behalf of the caller's device, if there is room for new data.
    pub fn upload(&self, caller: &Caller, request: UploadRequest) -> Result<Intake, Error> {
        caller.require(Scope::Append)?;
        let device = caller.own_device()?.clone();
        if !caller.sees(device.1, request.path.as_bytes()) {
            return Err(Error::Forbidden);
        }
        let allowance = self.inner.store.allowance(caller.account, Purpose::Keeping)?;
        require_logical(&allowance, request.size.unwrap_or(request.size_min))?;
        self.inner.store.admit_data()?;
        let [min, average, max] = self.inner.store.chunk_bytes().map(|bytes| bytes as usize);
        Ok(Intake {
            inner: Arc::clone(&self.inner),
            caller: caller.clone(),
            device,
            request,
            allowance,
            draft: self.inner.store.draft().within(allowance.stored),
            cutter: Cutter::new(CutSizes::new(min, average, max)?, caller.keys.cutter_seed()),
            compressor: Compressor::new()?,
            tree: Tree::default(),
            hashing: Hashing::default(),
            size: 0,
        })
    }
}

impl Intake {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.size += bytes.len() as u64;
        if let Some(declared) = self.request.size.filter(|declared| self.size > *declared) {
            return Err(Error::SizeMismatch { declared, actual: self.size });
        }
        require_logical(&self.allowance, self.size)?;
        self.hashing.update(&bytes, self.size)?;
        let (cutter, mut builder) = self.parts();
        cutter.push(&bytes, |chunk| builder.chunk(chunk))
    }

    /// Ends the upload: compares what came with what was declared, and commits. The file is returned with all its versions.
    pub fn finish(mut self, declared: Option<Sha256>) -> Result<File, Error> {
        let (cutter, mut builder) = self.parts();
        cutter.finish(|chunk| builder.chunk(chunk))?;
        let hash = std::mem::take(&mut self.hashing).finish()?;
        self.compare(&hash, declared)?;
        let root = self.parts().1.finish()?;
        let content = self.version(&hash, root)?;
        let account = self.caller.account;
        let made = content.clone();
        let operation = Operation::AddVersion {
            account,
            device: self.device.1,
            path: self.request.path.as_bytes().to_vec(),
            content,
        };
        let Self { inner, caller, device, request, draft, .. } = self;
        caller.require_in_time(inner.clock.now())?;
        let (file, version) = match draft.commit(operation.by(&caller.credential))? {
            Done::Version { file, version } => (file, version),
            other => return Err(Error::Internal(format!("an upload did {other:?}").into())),
        };
        inner.file(AccountId(account), file, &caller).or_else(|error| {
            // It is done, whatever the catalog says now: a client that is told otherwise would send it again.
            tracing::error!(error = &error as &dyn std::error::Error, file, "only the new version can be listed");
            let made = open_version(&VersionEntry { version, row: made, removal: None }, &caller)?;
            Ok(File { id: FileId(file), device: device.0, path: request.path, versions: vec![made] })
        })
    }

    fn parts(&mut self) -> (&mut Cutter, Builder<'_>) {
        let builder = Builder {
            draft: &mut self.draft,
            keys: &self.caller.keys,
            account: self.caller.account,
            compressor: &mut self.compressor,
            tree: &mut self.tree,
        };
        (&mut self.cutter, builder)
    }

    fn compare(&self, hash: &ContentHash, declared: Option<Sha256>) -> Result<(), Error> {
        let actual = Sha256(hash.sha256);
        if let Some(declared) = self.request.size.filter(|size| *size != self.size) {
            return Err(Error::SizeMismatch { declared, actual: self.size });
        }
        match declared {
            Some(declared) if declared != actual => Err(Error::HashMismatch { declared, actual }),
            _ => Ok(()),
        }
    }

    fn version(&self, hash: &ContentHash, root: Option<Root>) -> Result<VersionRow, Error> {
        let storage_name = StorageName(random()?);
        let keys = &self.caller.keys;
        Ok(VersionRow {
            size: self.size,
            sums: seal_small(keys, SUMS_CONTEXT, &storage_name.0, &hash.to_bytes())?,
            token: hash_token(keys, &hash.sha256),
            arrived: self.inner.clock.now().0,
            mtime: self.request.mtime.map(|mtime| mtime.0),
            mode: self.request.mode,
            storage_name: storage_name.0,
            root,
        })
    }
}
