//! An object on its way in: bytes come, and a name that they proved. Nothing is visible before [`ObjectIntake::finish`] returns,
//! and dropping it leaves nothing, not even a repository.

use std::sync::Arc;

use bytes::Bytes;

use super::RepoAccess;
use crate::chunk::id::part_id;
use crate::model::{ChunkId, ObjectKind, ObjectName, Sha256, limits};
use crate::service::content::Tree;
use crate::service::hashing::Hashing;
use crate::service::quota::{require_logical, require_stored};
use crate::service::{Error, Inner, Services, Thing};
use crate::store::{
    self, Allowance, Child, Draft, FrameHeader, FrameKind, NewFrame, ObjectRow, Operation, RepoOperation, Room,
};

/// What is asked of an object's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Its SHA-256 must be its name, as restic's always is.
    Name,
    /// Nothing: the name is a name.
    Nothing,
}

/// An object that is coming in.
pub struct ObjectIntake {
    inner: Arc<Inner>,
    access: RepoAccess,
    name: ObjectName,
    length: Option<u64>,
    /// An object of that name is there: the same again changes nothing, whatever the quota.
    is_known: bool,
    proof: Proof,
    allowance: Allowance,
    draft: Draft,
    tree: Tree,
    hashing: Hashing,
    part: Vec<u8>,
    size: u64,
}

impl Services {
    /// Makes the repository; one that is there is left as it is.
    pub fn create_repo(&self, access: &RepoAccess) -> Result<(), Error> {
        access.require_adding()?;
        self.inner.create_repo(access)
    }

    /// Begins an object of `length` bytes, if the client told that. Refused at once when it cannot become anything: without room,
    /// or when an object of that name has another length.
    pub fn receive_object(
        &self,
        access: &RepoAccess,
        name: ObjectName,
        length: Option<u64>,
        proof: Proof,
    ) -> Result<ObjectIntake, Error> {
        access.require_adding()?;
        require_length(length.unwrap_or(0))?;
        let room = room_for(name, length);
        let allowance = self.inner.store.allowance(access.account.0, name.kind().purpose())?;
        let known = self.inner.object(access, name)?;
        let is_known = known.is_some();
        match (known, length) {
            (Some(known), Some(length)) if known.size != length => return Err(Error::ObjectExists),
            // The same again stores nothing, so a full disk is no reason to refuse it.
            (Some(_), _) => {}
            (None, _) => {
                require_logical(&allowance, length.unwrap_or(0))?;
                // What a client has sealed is seldom there already: better refused now than with half of it stored.
                require_stored(&allowance, length.unwrap_or(0))?;
                self.inner.store.admit(room)?;
            }
        }
        Ok(ObjectIntake {
            inner: Arc::clone(&self.inner),
            access: access.clone(),
            name,
            length,
            is_known,
            proof,
            allowance,
            draft: self.inner.store.draft_in(room).within(allowance.stored),
            tree: Tree::default(),
            hashing: Hashing::default(),
            part: Vec::new(),
            size: 0,
        })
    }
}

/// `unlock`, `forget` and `prune` begin with a lock, and `prune` removes nothing before it has written an index: on a full disk
/// these are what frees it.
fn room_for(name: ObjectName, length: Option<u64>) -> Room {
    let (room, bytes_max) = match name.kind() {
        ObjectKind::Locks => (Room::HalfOfReserve, limits::RESERVE_LOCK_BYTES_MAX),
        ObjectKind::Index => (Room::QuarterOfReserve, limits::RESERVE_INDEX_BYTES_MAX),
        _ => return Room::AboveLowWater,
    };
    if length.is_some_and(|length| length <= bytes_max) { room } else { Room::AboveLowWater }
}

fn require_length(bytes: u64) -> Result<(), Error> {
    let bytes_max = limits::OBJECT_BYTES_MAX;
    if bytes > bytes_max { Err(Error::ObjectTooLarge { bytes_max }) } else { Ok(()) }
}

impl ObjectIntake {
    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        self.size += bytes.len() as u64;
        require_length(self.size)?;
        if let Some(declared) = self.length.filter(|declared| self.size > *declared) {
            return Err(Error::SizeMismatch { declared, actual: self.size });
        }
        if !self.is_known {
            require_logical(&self.allowance, self.size)?;
        }
        self.hashing.update(&bytes, self.size)?;
        while !bytes.is_empty() {
            if self.part.capacity() == 0 {
                let coming = self.length.map_or(u64::MAX, |length| length - (self.size - bytes.len() as u64));
                let room = usize::try_from(coming).unwrap_or(usize::MAX).min(limits::OBJECT_PART_BYTES);
                self.part.reserve_exact(room);
            }
            let taken = bytes.split_to(bytes.len().min(limits::OBJECT_PART_BYTES - self.part.len()));
            self.part.extend_from_slice(&taken);
            if self.part.len() == limits::OBJECT_PART_BYTES {
                self.end_part()?;
            }
        }
        Ok(())
    }

    /// Ends the object: compares its content with its name, and commits it.
    pub fn finish(mut self) -> Result<(), Error> {
        if let Some(declared) = self.length.filter(|length| *length != self.size) {
            return Err(Error::SizeMismatch { declared, actual: self.size });
        }
        let actual = Sha256(std::mem::take(&mut self.hashing).finish()?.sha256);
        if self.proof == Proof::Name && self.name.promised().is_some_and(|promised| promised != actual) {
            // Whoever sends other content for a name that is taken is told that first.
            let known = self.inner.object(&self.access, self.name)?;
            return Err(known.map_or(Error::NotItsName { actual }, |_| Error::ObjectExists));
        }
        if !self.part.is_empty() {
            self.end_part()?;
        }
        let account = self.access.account.0;
        let root = self.tree.finish(&mut self.draft, account)?;
        let path = self.access.repo.as_str();
        if self.inner.repo(&self.access)?.is_none() {
            self.inner.create_repo(&self.access)?;
        }
        let object = ObjectRow { size: self.size, added: self.inner.clock.now().0, root };
        let operation = RepoOperation::Add { account, path: path.to_owned(), name: self.name, object };
        match self.draft.commit(Operation::Repo(operation).by(self.access.credential())) {
            Ok(_) => Ok(()),
            Err(store::Error::Exists) => Err(Error::ObjectExists),
            Err(store::Error::Missing) => Err(Error::NotFound(Thing::Repo)),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends the part unless the account has these bytes already: an upload that is repeated costs nothing twice.
    fn end_part(&mut self) -> Result<(), Error> {
        let stored = std::mem::take(&mut self.part);
        let account = self.access.account.0;
        let id = ChunkId(part_id(account, &stored));
        let bytes = stored.len() as u64;
        if !self.draft.knows(&id)? {
            let raw_len = stored.len() as u32;
            let header =
                FrameHeader { kind: FrameKind::Part, flags: 0, stored_len: raw_len, raw_len, account, seq: 0, id };
            self.draft.append(NewFrame { header, stored })?;
        }
        self.tree.add(&mut self.draft, account, Child { id, bytes })
    }
}

impl Inner {
    fn create_repo(&self, access: &RepoAccess) -> Result<(), Error> {
        let (account, path) = (access.account.0, access.repo.as_str().to_owned());
        let operation = RepoOperation::Create { account, path, at: self.clock.now().0 };
        self.store.commit(Operation::Repo(operation).by(access.credential()))?;
        Ok(())
    }
}
