//! The records of repositories and the rows they set. A record's rows depend on nothing but the record.

use serde::{Deserialize, Serialize};

use crate::model::ObjectKind;
use crate::store::error::Error;
use crate::store::keys;
use crate::store::records::{Changes, RemovalRow, Root};

/// A repository was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoCreated {
    /// The account; 0 is the local realm.
    pub account: u64,
    /// The repository's number: the seq of this record.
    pub repo: u64,
    /// Its name.
    pub path: String,
    /// When, in ms since 1970.
    pub at: i64,
}

/// An object was committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectAdded {
    /// The account.
    pub account: u64,
    /// The repository's number.
    pub repo: u64,
    /// The byte of its [`ObjectKind`].
    pub kind: u8,
    /// The SHA-256 of its content; zeros for the configuration.
    pub name: [u8; 32],
    /// What it is.
    pub object: ObjectRow,
}

/// An object was removed. What it was is repeated, so that it can be brought back while it is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRemoved {
    /// The account.
    pub account: u64,
    /// The repository's number.
    pub repo: u64,
    /// The byte of its [`ObjectKind`].
    pub kind: u8,
    /// Its name.
    pub name: [u8; 32],
    /// What it was.
    pub object: ObjectRow,
    /// When, by whom and how long it is held.
    pub removal: RemovalRow,
}

/// A repository was removed with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoRemoved {
    /// The account.
    pub account: u64,
    /// The repository's number.
    pub repo: u64,
    /// Its name.
    pub path: String,
    /// When it was made, in ms since 1970.
    pub created: i64,
    /// When it was removed, by whom and how long it is held.
    pub removal: RemovalRow,
}

/// A repository as the catalog keeps it under its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoRow {
    /// Its number.
    pub repo: u64,
    /// When it was made, in ms since 1970.
    pub created: i64,
}

/// An object as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRow {
    /// Length of its content.
    pub size: u64,
    /// When it arrived by the server's clock, in ms since 1970.
    pub added: i64,
    /// Its parts; nothing for an empty one.
    pub root: Option<Root>,
}

/// An object that was removed, as the catalog keeps it while it is held. Locks leave nothing behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedObjectRow {
    /// What it was.
    pub object: ObjectRow,
    /// Its removal.
    pub removal: RemovalRow,
}

/// A repository that was removed; the rows of its objects are still there under its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedRepoRow {
    /// Its name.
    pub path: String,
    /// When it was made, in ms since 1970.
    pub created: i64,
    /// Its removal.
    pub removal: RemovalRow,
}

impl RepoCreated {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        changes.set(keys::repo(self.account, &self.path), &RepoRow { repo: self.repo, created: self.at })
    }
}

impl ObjectAdded {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        changes.set(keys::object(self.account, self.repo, self.kind, &self.name), &self.object)
    }
}

impl ObjectRemoved {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        let Self { account, repo, kind, name, object, removal } = self;
        changes.remove(keys::object(*account, *repo, *kind, name));
        if *kind == ObjectKind::Locks.byte() {
            return Ok(());
        }
        let row = RemovedObjectRow { object: object.clone(), removal: removal.clone() };
        let seq = changes.seq();
        changes.set(keys::removed_object(*account, *repo, *kind, name, seq), &row)
    }
}

impl RepoRemoved {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        changes.remove(keys::repo(self.account, &self.path));
        let row = RemovedRepoRow { path: self.path.clone(), created: self.created, removal: self.removal.clone() };
        changes.set(keys::removed_repo(self.account, self.repo), &row)
    }
}
