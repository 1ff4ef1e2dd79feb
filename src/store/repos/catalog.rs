//! The catalog's questions about repositories.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::records::{ObjectRow, RemovedObjectRow, RepoRow};
use crate::model::{ObjectKind, ObjectName};
use crate::store::catalog::{Catalog, Stream};
use crate::store::error::Error;
use crate::store::keys::{self, ObjectKey};
use crate::store::records::{Root, parse_row};

/// A repository's row with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoEntry {
    /// The account.
    pub account: u64,
    /// Its name.
    pub path: String,
    /// What it is.
    pub row: RepoRow,
}

/// An object's row with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEntry<T> {
    /// The account.
    pub account: u64,
    /// The repository's number.
    pub repo: u64,
    /// Its name.
    pub name: ObjectName,
    /// What it is, or was.
    pub row: T,
}

impl Catalog {
    /// A repository by its name.
    pub fn repo(&self, account: u64, path: &str) -> Result<Option<RepoRow>, Error> {
        self.get(&keys::repo(account, path))
    }

    /// The repositories of an account, by name.
    pub fn repos(&self, account: u64) -> impl Iterator<Item = Result<RepoEntry, Error>> + Send + use<> {
        repos_in(self.stream(keys::repos(account)))
    }

    /// The repositories of all accounts.
    pub fn all_repos(&self) -> impl Iterator<Item = Result<RepoEntry, Error>> + Send + use<> {
        repos_in(self.stream(keys::all_repos()))
    }

    /// An object of a repository.
    pub fn object(&self, account: u64, repo: u64, name: ObjectName) -> Result<Option<ObjectRow>, Error> {
        self.get(&keys::object(account, repo, name.kind().byte(), name.hash()))
    }

    /// The objects of one kind in a repository, by name. Memory does not grow with their number.
    pub fn objects(&self, account: u64, repo: u64, kind: ObjectKind) -> Objects<ObjectRow> {
        Objects::of(self.stream(keys::objects(account, repo, kind.byte())))
    }

    /// The objects of all repositories that were not removed by themselves.
    pub fn all_objects(&self) -> Objects<ObjectRow> {
        Objects::of(self.stream(keys::all_objects()))
    }

    /// The objects that were removed from any repository, and are held.
    pub fn all_removed_objects(&self) -> Objects<RemovedObjectRow> {
        Objects::of(self.stream(keys::all_removed_objects()))
    }
}

fn repos_in(rows: Stream) -> impl Iterator<Item = Result<RepoEntry, Error>> + Send + use<> {
    rows.map(|row| {
        let (key, row) = row?;
        let (account, path) = keys::parse_repo(&key).ok_or_else(|| Error::format("row", "a repository's key"))?;
        Ok(RepoEntry { account, path: path.to_owned(), row: parse_row(&row.value)? })
    })
}

/// Objects in the order of their keys. Holds one page of rows.
pub struct Objects<T> {
    rows: Stream,
    row: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Objects<T> {
    fn of(rows: Stream) -> Self {
        Self { rows, row: PhantomData }
    }
}

impl<T: DeserializeOwned> Iterator for Objects<T> {
    type Item = Result<ObjectEntry<T>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(row.and_then(|(key, row)| {
            let ObjectKey { account, repo, kind, name } =
                keys::parse_object(&key).ok_or_else(|| Error::format("row", "an object's key is not whole"))?;
            let kind =
                ObjectKind::from_byte(kind).ok_or_else(|| Error::format("row", "an object of an unknown kind"))?;
            Ok(ObjectEntry { account, repo, name: ObjectName::new(kind, name), row: parse_row(&row.value)? })
        }))
    }
}

/// What a row's content hangs on.
pub trait HasRoot {
    /// The top of its tree of parts.
    fn root(&self) -> Option<Root>;
}

impl HasRoot for ObjectRow {
    fn root(&self) -> Option<Root> {
        self.root
    }
}

impl HasRoot for RemovedObjectRow {
    fn root(&self) -> Option<Root> {
        self.object.root
    }
}
