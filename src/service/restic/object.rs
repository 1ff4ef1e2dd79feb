//! Objects on their way out: what there is, and its bytes. Removing one is a record; a lock is then gone, anything else is held.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::RepoAccess;
use crate::model::{ObjectKind, ObjectName, Timestamp};
use crate::service::content::Walk;
use crate::service::{Error, Inner, Services, Thing};
use crate::store::{self, ObjectRow, Objects, Operation, RepoOperation};

/// Who removes objects, in the records of their removal.
pub(super) const AUTHOR: &str = "restic";

/// What is known of an object without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectStat {
    /// Length of its content.
    pub size: u64,
    /// When it arrived.
    pub added: Timestamp,
}

/// An object that is there to be read.
pub struct StoredObject {
    inner: Arc<Inner>,
    name: ObjectName,
    row: ObjectRow,
}

/// The objects of one kind, by name, each with its size. Memory does not grow with their number.
pub struct ObjectListing(Option<Objects<ObjectRow>>);

impl Services {
    /// What is known of an object.
    pub fn stat_object(&self, access: &RepoAccess, name: ObjectName) -> Result<ObjectStat, Error> {
        access.require_listing()?;
        let row = self.inner.object(access, name)?.ok_or(Error::NotFound(Thing::Object))?;
        Ok(ObjectStat { size: row.size, added: Timestamp(row.added) })
    }

    /// Looks an object up; all that can be refused is refused here, before the first byte.
    pub fn open_object(&self, access: &RepoAccess, name: ObjectName) -> Result<StoredObject, Error> {
        access.require_reading()?;
        let row = self.inner.object(access, name)?.ok_or(Error::NotFound(Thing::Object))?;
        Ok(StoredObject { inner: Arc::clone(&self.inner), name, row })
    }

    /// The objects of one kind; none in a repository that is not there.
    pub fn list_objects(&self, access: &RepoAccess, kind: ObjectKind) -> Result<ObjectListing, Error> {
        access.require_listing()?;
        let catalog = self.inner.store.catalog();
        let repo = self.inner.repo(access)?;
        Ok(ObjectListing(repo.map(|repo| catalog.objects(access.account.0, repo.repo, kind))))
    }

    /// Removes an object. One that is not there was removed before, which is what the client wants.
    pub fn remove_object(&self, access: &RepoAccess, name: ObjectName) -> Result<(), Error> {
        access.require_removal(name.kind())?;
        let (account, path) = (access.account.0, access.repo.as_str().to_owned());
        let operation = RepoOperation::Remove { account, path, name, removal: self.removal_by(AUTHOR) };
        self.inner.store.commit(Operation::Repo(operation).by(access.credential()))?;
        Ok(())
    }
}

impl Inner {
    /// An object's row, if it is there.
    pub(super) fn object(&self, access: &RepoAccess, name: ObjectName) -> Result<Option<ObjectRow>, Error> {
        let catalog = self.store.catalog();
        let Some(repo) = self.repo(access)? else { return Ok(None) };
        Ok(catalog.object(access.account.0, repo.repo, name)?)
    }
}

impl Iterator for ObjectListing {
    type Item = Result<(ObjectName, u64), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.0.as_mut()?.next()?;
        Some(next.map(|entry| (entry.name, entry.row.size)).map_err(Error::from))
    }
}

impl StoredObject {
    /// Length of its content.
    pub fn size(&self) -> u64 {
        self.row.size
    }

    /// The bytes of `range`, which must lie within the content, in pieces of at most a part.
    pub fn read(self, range: Range<u64>) -> impl Iterator<Item = Result<Bytes, Error>> + Send + 'static {
        let walk = Walk::new(self.row.root, self.row.size, range.start);
        let left = range.end.saturating_sub(range.start);
        Pieces { inner: self.inner, name: self.name, walk, left }
    }
}

struct Pieces {
    inner: Arc<Inner>,
    name: ObjectName,
    walk: Walk,
    left: u64,
}

impl Iterator for Pieces {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let piece = self.piece();
        self.left = piece.as_ref().map_or(0, |piece| self.left - piece.len() as u64);
        Some(piece)
    }
}

impl Pieces {
    fn piece(&mut self) -> Result<Bytes, Error> {
        let object = self.name;
        let damaged = |reason: &str| Error::DamagedObject { object, source: reason.into() };
        let next = self.walk.next(&self.inner.store).map_err(|error| unreadable(object, error))?;
        let (id, skip) = next.ok_or_else(|| damaged("its list of parts is too short"))?;
        let frame = self.inner.store.read(&id).map_err(|error| unreadable(object, error))?;
        let mut bytes = Bytes::from(frame.stored);
        if skip >= bytes.len() {
            return Err(damaged("a part is shorter than its manifest says"));
        }
        drop(bytes.split_to(skip));
        bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        Ok(bytes)
    }
}

/// A frame that is gone or changed is damage of this object; a disk that answers with an error may answer again.
fn unreadable(object: ObjectName, error: store::Error) -> Error {
    if error.is_damage() && !error.is_unreadable() {
        Error::DamagedObject { object, source: Box::new(error) }
    } else {
        error.into()
    }
}
