//! What may be asked of the store, and what the catalog says to it: every id and every refusal is decided here,
//! on the storage thread, one operation after the other. Never writes.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::access::{self, AccessOperation, Credential, SessionKind};
use super::audit::{self, AuditEntry, Origin};
use super::catalog::Catalog;
use super::error::Error;
use super::header::Counters;
use super::kept::RowsKept;
use super::keys;
use super::records::{Record, RemovalRow, VersionAdded, VersionRow, VersionsRemoved, parse_row};
use super::repos::{self, ObjectRow, RepoOperation};
use super::rows::{Change, Rows};
use super::usage::QuotaSet;
use crate::model::AccountId;

/// A change that somebody asks for.
#[derive(Debug, Clone)]
pub enum Operation {
    /// The same, asked by somebody the audit log names. The outermost of all.
    From(Origin, Box<Operation>),
    /// Adds an entry to the audit log of what changes nothing.
    Audit(AuditEntry),
    /// The same, if what it is done with is still valid then; [`Error::SessionEnded`] otherwise.
    As(Credential, Box<Operation>),
    /// Changes who may do what.
    Access(Box<AccessOperation>),
    /// Adds a version to the file of that path, which is made or revived.
    AddVersion {
        /// The account.
        account: u64,
        /// The device's number.
        device: u32,
        /// The file's name on the device.
        path: Vec<u8>,
        /// The version. Its arrival is set by the caller.
        content: VersionRow,
    },
    /// Removes all versions of a file, or the one named; [`Error::Missing`] when there is none.
    Remove {
        /// The account.
        account: u64,
        /// The file; looked up from the version when that is named.
        target: Target,
        /// When, by whom, and how long it is held.
        removal: RemovalRow,
    },
    /// Changes a repository.
    Repo(RepoOperation),
    /// Sets how much an account may keep, or the local realm; [`Error::Missing`] when there is no such account.
    SetQuota(QuotaSet),
    /// Writes rows into the log that only the catalog has.
    KeepRows(RowsKept),
}

impl Operation {
    /// Whether it needs nothing but its record, so that it can be done again when the volume it was for has failed.
    pub fn is_record_only(&self) -> bool {
        match self {
            Self::As(_, operation) | Self::From(_, operation) => operation.is_record_only(),
            other => !matches!(other, Self::AddVersion { .. } | Self::Repo(RepoOperation::Add { .. })),
        }
    }

    /// A change of who may do what.
    pub fn access(operation: AccessOperation) -> Self {
        Self::Access(Box::new(operation))
    }

    /// The same, asked by somebody.
    pub fn from(self, origin: Origin) -> Self {
        Self::From(origin, Box::new(self))
    }

    /// Itself, and who asks.
    pub(super) fn with_origin(self) -> (Self, Origin) {
        match self {
            Self::From(origin, operation) => (*operation, origin),
            other => (other, Origin::default()),
        }
    }

    /// Whether what it comes to may be audited; then a seq is kept for the entry.
    pub(super) fn may_be_audited(&self) -> bool {
        match self {
            Self::As(_, operation) | Self::From(_, operation) => operation.may_be_audited(),
            Self::Access(operation) => !matches!(
                **operation,
                AccessOperation::UseSession { .. }
                    | AccessOperation::UseToken { .. }
                    | AccessOperation::Rotate { .. }
                    // Nobody signs in: it ends at once, and that says why.
                    | AccessOperation::OpenSession { kind: SessionKind::NewDevice, .. }
            ),
            Self::Repo(operation) => {
                matches!(operation, RepoOperation::Remove { .. } | RepoOperation::Drop { .. })
            }
            Self::Remove { .. } | Self::SetQuota(_) => true,
            Self::AddVersion { .. } | Self::KeepRows(_) | Self::Audit(_) => false,
        }
    }

    /// The same, if `credential` is still valid when it commits.
    pub fn by(self, credential: &Credential) -> Self {
        Self::As(credential.clone(), Box::new(self))
    }
}

/// What a removal is about.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// All versions of a file.
    File(u64),
    /// One version.
    Version(u64),
}

/// What an operation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The account's id.
    Account(u64),
    /// Whether an older session of the device ended.
    Session {
        /// True when there was one.
        renewed: bool,
    },
    /// What makes the newest generation of a session out of the one before.
    Rotated {
        /// Random.
        salt: [u8; 32],
    },
    /// The token's number.
    Token(u64),
    /// It is noted.
    Noted,
    /// How many ended.
    Ended {
        /// Sessions.
        sessions: usize,
        /// Tokens.
        tokens: usize,
    },
    /// Where the version went.
    Version {
        /// The file's id.
        file: u64,
        /// The version's id.
        version: u64,
    },
    /// How many versions were removed.
    Removed(usize),
    /// A repository is as it was asked for.
    Repo {
        /// False when it was so before.
        changed: bool,
    },
    /// The rows are in the log.
    Kept,
}

/// What an operation comes to.
#[derive(Debug)]
pub enum Decided {
    /// A record, and what its owner is told once it is durable.
    Record(Box<Record>, Done),
    /// Nothing: it is so already. The owner is told when what made it so is durable.
    Already(Done),
}

/// The catalog with the changes of the commits that are not synced yet.
pub struct View<'a> {
    rows: &'a Rows,
    catalog: &'a Catalog,
    overlay: &'a BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> View<'a> {
    /// A view of `rows` with `overlay` on top.
    pub fn new(rows: &'a Rows, catalog: &'a Catalog, overlay: &'a BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Self {
        Self { rows, catalog, overlay }
    }

    /// A row's value.
    pub fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, Error> {
        self.raw(key)?.map(|value| parse_row(&value)).transpose()
    }

    /// A row's value as it stands there.
    pub fn raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.overlay.get(key) {
            Some(value) => Ok(value.clone()),
            None => Ok(self.rows.get(key)?.map(|row| row.value)),
        }
    }

    /// The rows of a range, which must be short.
    pub fn range(&self, (from, until): keys::Range) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
        let mut rows = BTreeMap::new();
        for row in self.catalog.stream((from.clone(), until.clone())) {
            let (key, row) = row?;
            rows.insert(key, row.value);
        }
        for (key, value) in self.overlay.range(from..until) {
            match value {
                Some(value) => drop(rows.insert(key.clone(), value.clone())),
                None => drop(rows.remove(key)),
            }
        }
        Ok(rows)
    }

    /// Whether there is a row.
    pub fn has(&self, key: &[u8]) -> Result<bool, Error> {
        match self.overlay.get(key) {
            Some(value) => Ok(value.is_some()),
            None => Ok(self.rows.get(key)?.is_some()),
        }
    }

    /// The bytes of a repository's objects. Memory does not grow with their number.
    pub fn bytes_of_objects(&self, account: u64, repo: u64) -> Result<u64, Error> {
        let (from, until) = keys::objects_of(account, repo);
        let mut bytes = 0;
        for row in self.catalog.stream((from.clone(), until.clone())) {
            let (key, row) = row?;
            if !self.overlay.contains_key(&key) {
                bytes += parse_row::<ObjectRow>(&row.value)?.size;
            }
        }
        for value in self.overlay.range(from..until).filter_map(|(_, value)| value.as_ref()) {
            bytes += parse_row::<ObjectRow>(value)?.size;
        }
        Ok(bytes)
    }

    /// The ids of a file's versions that are not removed.
    fn living_versions(&self, account: u64, file: u64) -> Result<Vec<u64>, Error> {
        let stored = self.catalog.file(account, file)?.map(|entry| entry.versions).unwrap_or_default();
        let mut versions: Vec<u64> = stored.iter().map(|entry| entry.version).collect();
        let (from, until) = (keys::file(account, file), keys::file_until(account, file));
        for (key, value) in self.overlay.range(from..until) {
            if let (Some((_, keys::FileKey::Version(_, version))), Some(_)) = (keys::parse_file(key), value) {
                versions.push(version);
            }
        }
        let mut living = Vec::with_capacity(versions.len());
        for version in versions {
            if !self.has(&keys::removal(account, file, version))? {
                living.push(version);
            }
        }
        Ok(living)
    }
}

/// Decides an operation, giving ids from `counters`, in the store of that id.
pub fn decide(operation: Operation, view: &View, counters: &mut Counters, store: &[u8; 16]) -> Result<Decided, Error> {
    match operation {
        Operation::From(_, operation) => decide(*operation, view, counters, store),
        Operation::Audit(entry) => {
            let record = audit::next(entry, view, store)?;
            Ok(Decided::Record(Box::new(Record::Audited(record)), Done::Noted))
        }
        Operation::As(credential, operation) => {
            credential.require(view)?;
            decide(*operation, view, counters, store)
        }
        Operation::Access(operation) => access::decide(*operation, view, counters),
        Operation::Repo(operation) => repos::decide(operation, view, counters),
        Operation::SetQuota(set) => {
            if set.account != AccountId::LOCAL.0 && !view.has(&keys::account(set.account))? {
                return Err(Error::Missing);
            }
            Ok(Decided::Record(Box::new(Record::QuotaSet(set)), Done::Noted))
        }
        Operation::KeepRows(rows) => Ok(Decided::Record(Box::new(Record::RowsKept(rows)), Done::Kept)),
        Operation::AddVersion { account, device, path, content } => {
            let known = view.get::<u64>(&keys::path(account, device, &path))?;
            let file = known.unwrap_or_else(|| next(&mut counters.file));
            let version = next(&mut counters.version);
            let added = VersionAdded { account, device, file, path, version, content };
            Ok(Decided::Record(Box::new(Record::VersionAdded(added)), Done::Version { file, version }))
        }
        Operation::Remove { account, target, removal } => {
            let (record, done) = remove(view, account, target, removal)?;
            Ok(Decided::Record(Box::new(record), done))
        }
    }
}

fn next(counter: &mut u64) -> u64 {
    let given = *counter;
    *counter += 1;
    given
}

fn remove(view: &View, account: u64, target: Target, removal: RemovalRow) -> Result<(Record, Done), Error> {
    let (file, versions) = match target {
        Target::File(file) => (file, view.living_versions(account, file)?),
        Target::Version(version) => {
            let file = view.get::<u64>(&keys::version_file(account, version))?.ok_or(Error::Missing)?;
            let gone = view.has(&keys::removal(account, file, version))?;
            (file, if gone { Vec::new() } else { vec![version] })
        }
    };
    if versions.is_empty() {
        return Err(Error::Missing);
    }
    let done = Done::Removed(versions.len());
    Ok((Record::VersionsRemoved(VersionsRemoved { account, file, versions, removal }), done))
}

/// Puts changes on top of a view.
pub fn overlay(changes: &[Change], on: &mut BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
    for change in changes {
        on.insert(change.key.clone(), change.value.clone());
    }
}
