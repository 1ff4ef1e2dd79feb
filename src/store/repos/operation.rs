//! What may be asked about repositories, and what the catalog says to it, on the storage thread.

use super::records::{ObjectAdded, ObjectRemoved, ObjectRow, RepoCreated, RepoRemoved, RepoRow};
use crate::model::ObjectName;
use crate::store::error::Error;
use crate::store::header::Counters;
use crate::store::keys;
use crate::store::operation::{Decided, Done, View};
use crate::store::records::{Record, RemovalRow};

/// A change of a repository that somebody asks for. What is so already is no change, and no error.
#[derive(Debug, Clone)]
pub enum RepoOperation {
    /// Makes a repository.
    Create {
        /// The account.
        account: u64,
        /// Its name.
        path: String,
        /// When.
        at: i64,
    },
    /// Adds an object; [`Error::Exists`] when one of that name has other content, [`Error::Missing`] without the repository.
    Add {
        /// The account.
        account: u64,
        /// The repository's name.
        path: String,
        /// The object.
        name: ObjectName,
        /// What it is. Equal parts have equal roots, so equal rows are equal content.
        object: ObjectRow,
    },
    /// Removes an object.
    Remove {
        /// The account.
        account: u64,
        /// The repository's name.
        path: String,
        /// The object.
        name: ObjectName,
        /// When, by whom, and how long it is held.
        removal: RemovalRow,
    },
    /// Removes a repository with all that is in it; [`Error::Missing`] when there is none.
    Drop {
        /// The account.
        account: u64,
        /// Its name.
        path: String,
        /// When, by whom, and how long it is held.
        removal: RemovalRow,
    },
}

/// Turns an operation into its record, if it changes anything.
pub fn decide(operation: RepoOperation, view: &View, counters: &Counters) -> Result<Decided, Error> {
    match operation {
        RepoOperation::Create { account, path, at } => {
            if view.has(&keys::repo(account, &path))? {
                return Ok(Decided::Already(Done::Repo { changed: false }));
            }
            let created = RepoCreated { account, repo: counters.seq, path, at };
            Ok(Decided::Record(Box::new(Record::RepoCreated(created)), Done::Repo { changed: true }))
        }
        RepoOperation::Add { account, path, name, object } => {
            let repo = view.get::<RepoRow>(&keys::repo(account, &path))?.ok_or(Error::Missing)?.repo;
            add(view, account, repo, name, object)
        }
        RepoOperation::Remove { account, path, name, removal } => {
            let repo = view.get::<RepoRow>(&keys::repo(account, &path))?;
            let Some(RepoRow { repo, .. }) = repo else { return Ok(Decided::Already(Done::Repo { changed: false })) };
            remove(view, account, repo, name, removal)
        }
        RepoOperation::Drop { account, path, removal } => {
            let RepoRow { repo, created } = view.get(&keys::repo(account, &path))?.ok_or(Error::Missing)?;
            let removed = RepoRemoved { account, repo, path, created, removal };
            Ok(Decided::Record(Box::new(Record::RepoRemoved(removed)), Done::Repo { changed: true }))
        }
    }
}

fn add(view: &View, account: u64, repo: u64, name: ObjectName, object: ObjectRow) -> Result<Decided, Error> {
    let (kind, name) = (name.kind().byte(), *name.hash());
    match view.get::<ObjectRow>(&keys::object(account, repo, kind, &name))? {
        Some(known) if (known.size, known.root) == (object.size, object.root) => {
            Ok(Decided::Already(Done::Repo { changed: false }))
        }
        Some(_) => Err(Error::Exists),
        None => {
            let added = ObjectAdded { account, repo, kind, name, object };
            Ok(Decided::Record(Box::new(Record::ObjectAdded(added)), Done::Repo { changed: true }))
        }
    }
}

fn remove(view: &View, account: u64, repo: u64, name: ObjectName, removal: RemovalRow) -> Result<Decided, Error> {
    let (kind, name) = (name.kind().byte(), *name.hash());
    let Some(object) = view.get::<ObjectRow>(&keys::object(account, repo, kind, &name))? else {
        return Ok(Decided::Already(Done::Repo { changed: false }));
    };
    let removed = ObjectRemoved { account, repo, kind, name, object, removal };
    Ok(Decided::Record(Box::new(Record::ObjectRemoved(removed)), Done::Repo { changed: true }))
}
