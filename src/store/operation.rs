//! What may be asked of the store, and what the catalog says to it: every id and every refusal is decided here,
//! on the storage thread, one operation after the other. Never writes.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::catalog::Catalog;
use super::error::Error;
use super::header::Counters;
use super::kept::RowsKept;
use super::keys;
use super::records::{
    AccountAdded, DeviceRow, Record, RemovalRow, SessionOpened, VersionAdded, VersionRow, VersionsRemoved, parse_row,
};
use super::repos::{self, RepoOperation};
use super::rows::{Change, Rows};

/// A change that somebody asks for.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Adds an account; [`Error::Exists`] when the name is taken.
    AddAccount {
        /// Its name as written.
        name: String,
        /// Its name in lower case.
        folded: String,
        /// When.
        at: i64,
        /// argon2id parameters and salt.
        password: String,
        /// The data key under the password.
        password_wrap: Vec<u8>,
        /// The data key under the recovery code.
        recovery_wrap: Vec<u8>,
    },
    /// Opens a session for a device and ends the one it had.
    OpenSession {
        /// The account.
        account: u64,
        /// The device's name.
        device: String,
        /// Hash of the new session's secret.
        session: [u8; 32],
        /// The data key under that secret.
        wrap: Vec<u8>,
        /// When.
        at: i64,
    },
    /// Adds a version to the file of that path, which is made or revived.
    AddVersion {
        /// The session it is done with; it must still be live when the version commits.
        session: [u8; 32],
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
        /// The session it is done with; it must still be live when the removal commits.
        session: [u8; 32],
        /// The account.
        account: u64,
        /// The file; looked up from the version when that is named.
        target: Target,
        /// When, by whom, and how long it is held.
        removal: RemovalRow,
    },
    /// Changes a repository.
    Repo(RepoOperation),
    /// Writes rows into the log that only the catalog has.
    KeepRows(RowsKept),
}

impl Operation {
    /// Whether it needs nothing but its record, so that it can be done again when the volume it was for has failed.
    pub fn is_record_only(&self) -> bool {
        !matches!(self, Self::AddVersion { .. } | Self::Repo(RepoOperation::Add { .. }))
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
        match self.overlay.get(key) {
            Some(value) => value.as_deref().map(parse_row).transpose(),
            None => self.rows.get(key)?.map(|row| parse_row(&row.value)).transpose(),
        }
    }

    /// Whether there is a row.
    pub fn has(&self, key: &[u8]) -> Result<bool, Error> {
        match self.overlay.get(key) {
            Some(value) => Ok(value.is_some()),
            None => Ok(self.rows.get(key)?.is_some()),
        }
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

/// Decides an operation, giving ids from `counters`.
pub fn decide(operation: Operation, view: &View, counters: &mut Counters) -> Result<Decided, Error> {
    match operation {
        Operation::Repo(operation) => repos::decide(operation, view, counters),
        Operation::KeepRows(rows) => Ok(Decided::Record(Box::new(Record::RowsKept(rows)), Done::Kept)),
        other => decide_files(other, view, counters).map(|(record, done)| Decided::Record(Box::new(record), done)),
    }
}

fn decide_files(operation: Operation, view: &View, counters: &mut Counters) -> Result<(Record, Done), Error> {
    match operation {
        Operation::Repo(_) | Operation::KeepRows(_) => Err(Error::Refused("it is about no file")),
        Operation::AddAccount { name, folded, at, password, password_wrap, recovery_wrap } => {
            if view.has(&keys::account_name(&folded))? {
                return Err(Error::Exists);
            }
            let account = next(&mut counters.account);
            let administrator = account == 1;
            let added = AccountAdded {
                account,
                name,
                folded,
                added: at,
                administrator,
                password,
                password_wrap,
                recovery_wrap,
            };
            Ok((Record::AccountAdded(added), Done::Account(account)))
        }
        Operation::OpenSession { account, device, session, wrap, at } => {
            open_session(view, account, device, session, wrap, at)
        }
        Operation::AddVersion { session, account, device, path, content } => {
            require_session(view, &session)?;
            let known = view.get::<u64>(&keys::path(account, device, &path))?;
            let file = known.unwrap_or_else(|| next(&mut counters.file));
            let version = next(&mut counters.version);
            let added = VersionAdded { account, device, file, path, version, content };
            Ok((Record::VersionAdded(added), Done::Version { file, version }))
        }
        Operation::Remove { session, account, target, removal } => {
            require_session(view, &session)?;
            remove(view, account, target, removal)
        }
    }
}

fn next(counter: &mut u64) -> u64 {
    let given = *counter;
    *counter += 1;
    given
}

/// A session that ended while its upload was under way commits nothing.
fn require_session(view: &View, session: &[u8; 32]) -> Result<(), Error> {
    if view.has(&keys::session(session))? { Ok(()) } else { Err(Error::SessionEnded) }
}

fn open_session(
    view: &View,
    account: u64,
    device: String,
    session: [u8; 32],
    wrap: Vec<u8>,
    at: i64,
) -> Result<(Record, Done), Error> {
    let known = view.get::<DeviceRow>(&keys::device(account, &device))?;
    let count = view.get::<u32>(&keys::device_count(account))?.unwrap_or(0);
    let (number, devices, first_seen, replaced) = match known {
        Some(row) => (row.number, count, row.first_seen, row.session),
        None => (count + 1, count + 1, at, None),
    };
    let opened = SessionOpened { account, device, number, devices, first_seen, session, wrap, opened: at, replaced };
    Ok((Record::SessionOpened(opened), Done::Session { renewed: replaced.is_some() }))
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
