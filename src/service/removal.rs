//! Removing versions and files: a record with time, author and the end of its hold. No byte is freed by it.

use super::Services;
use super::caller::Caller;
use super::error::{Error, Thing};
use crate::model::{FileId, Scope, VersionId};
use crate::store::{self, Operation, RemovalRow, Target};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Services {
    /// Removes all versions of a file.
    pub fn remove_file(&self, caller: &Caller, file: FileId) -> Result<(), Error> {
        self.remove(caller, Target::File(file.0), Thing::File)
    }

    /// Removes one version.
    pub fn remove_version(&self, caller: &Caller, version: VersionId) -> Result<(), Error> {
        self.remove(caller, Target::Version(version.0), Thing::Version)
    }

    /// A removal of now, held as the policy says.
    pub(super) fn removal_by(&self, by: &str) -> RemovalRow {
        let now = self.inner.clock.now().0;
        let hold_until = now.saturating_add(i64::from(self.inner.policy.hold_days) * DAY_MS);
        RemovalRow { at: now, by: by.to_owned(), hold_until }
    }

    fn remove(&self, caller: &Caller, target: Target, thing: Thing) -> Result<(), Error> {
        caller.require(Scope::Delete)?;
        if !self.is_seen(caller, target)? {
            return Err(Error::NotFound(thing));
        }
        let removal = self.removal_by(caller.author());
        let operation = Operation::Remove { account: caller.account, target, removal };
        match self.inner.store.commit(operation.by(&caller.credential).from(caller.origin(self.now()))) {
            Ok(_) => Ok(()),
            Err(store::Error::Missing) => Err(Error::NotFound(thing)),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether what is to be removed lies where the caller may look.
    fn is_seen(&self, caller: &Caller, target: Target) -> Result<bool, Error> {
        let catalog = self.inner.store.catalog();
        let file = match target {
            Target::File(file) => Some(file),
            Target::Version(version) => catalog.file_of(caller.account, version)?,
        };
        let row = file.map(|file| catalog.file_row(caller.account, file)).transpose()?.flatten();
        Ok(row.is_some_and(|row| caller.sees(row.device, &row.path)))
    }
}
