//! Removing versions and files: a record with time, author and the end of its hold. No byte is freed by it.

use super::Services;
use super::error::{Error, Thing};
use super::session::Session;
use crate::model::{FileId, VersionId};
use crate::store::{self, Operation, RemovalRow, Target};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Services {
    /// Removes all versions of a file.
    pub fn remove_file(&self, session: &Session, file: FileId) -> Result<(), Error> {
        self.remove(session, Target::File(file.0), Thing::File)
    }

    /// Removes one version.
    pub fn remove_version(&self, session: &Session, version: VersionId) -> Result<(), Error> {
        self.remove(session, Target::Version(version.0), Thing::Version)
    }

    /// A removal of now, held as the policy says.
    pub(super) fn removal_by(&self, by: &str) -> RemovalRow {
        let now = self.inner.clock.now().0;
        let hold_until = now.saturating_add(i64::from(self.inner.policy.hold_days) * DAY_MS);
        RemovalRow { at: now, by: by.to_owned(), hold_until }
    }

    fn remove(&self, session: &Session, target: Target, thing: Thing) -> Result<(), Error> {
        let removal = self.removal_by(session.device.as_str());
        let operation = Operation::Remove { session: session.hash, account: session.account, target, removal };
        match self.inner.store.commit(operation) {
            Ok(_) => Ok(()),
            Err(store::Error::Missing) => Err(Error::NotFound(thing)),
            Err(error) => Err(error.into()),
        }
    }
}
