//! One change of the catalog as the log keeps it: all its row changes are inside it.
//!
//! Promise: the rows of a record depend on nothing but the record, so replay gives the same catalog again, from any
//! earlier point and as often as it likes. A record is `kind u8 · schema u8 · bincode`; a schema is frozen once released.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::access::{
    AccessChanged, AccountAdded, AccountRemoved, InvitesChanged, OldSessionOpened, SessionChanged, SessionOpened,
    TokenChanged,
};
use super::audit::AuditRecord;
use super::error::Error;
use super::header::Counters;
use super::kept::RowsKept;
use super::keys;
use super::repos::{ObjectAdded, ObjectRemoved, RepoCreated, RepoRemoved};
use super::rows::Change;
use super::usage::{QuotaSet, UsageNoted};

/// Kinds given to later work: pin, policy, volume dropped; 18 is a token, 19 an audit entry, 20 an object of restic's.
const RESERVED_KINDS: std::ops::RangeInclusive<u8> = 16..=21;
const SCHEMA: u8 = 1;
/// The schema of a session's opening since sessions have generations.
const SCHEMA_OF_SESSIONS: u8 = 2;
/// No record is larger: a removal names each version with at most nine bytes, and a file has fewer than a million.
const RECORD_BYTES_MAX: usize = 16 << 20;

/// A change of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An account was registered.
    AccountAdded(AccountAdded),
    /// A device signed in, as the first programs wrote it.
    OldSessionOpened(OldSessionOpened),
    /// A device signed in; the session it had before ended with it.
    SessionOpened(SessionOpened),
    /// A session rotated, or was used.
    SessionChanged(SessionChanged),
    /// A token was made, or used.
    TokenChanged(TokenChanged),
    /// An account changed, or sessions and tokens of it ended.
    AccessChanged(AccessChanged),
    /// An invitation was made, used or taken back.
    InvitesChanged(InvitesChanged),
    /// An account was removed with all that is in it.
    AccountRemoved(AccountRemoved),
    /// A version was committed, and its file with it if it was new.
    VersionAdded(VersionAdded),
    /// Versions were removed; their bytes stay until the hold has passed and compaction took them.
    VersionsRemoved(VersionsRemoved),
    /// An object was added to a repository.
    ObjectAdded(ObjectAdded),
    /// An object was removed from a repository.
    ObjectRemoved(ObjectRemoved),
    /// A repository was made.
    RepoCreated(RepoCreated),
    /// A repository was removed.
    RepoRemoved(RepoRemoved),
    /// An account may keep so much from now on.
    QuotaSet(QuotaSet),
    /// What was stored before this record.
    UsageNoted(UsageNoted),
    /// What only the catalog knew when volumes were lost.
    RowsKept(RowsKept),
    /// An entry of the audit log. Never dropped by itself: the chain would break.
    Audited(AuditRecord),
}

/// The top of the tree that lists a version's chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Height: 0 = the one chunk itself, 1 = a manifest of chunks, 2 = a manifest of manifests, …
    pub level: u8,
    /// Id of the chunk or manifest frame.
    pub id: [u8; 32],
}

/// See [`Record::VersionAdded`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionAdded {
    /// The account.
    pub account: u64,
    /// The device's number.
    pub device: u32,
    /// The file's id.
    pub file: u64,
    /// The file's name on the device.
    pub path: Vec<u8>,
    /// The version's id.
    pub version: u64,
    /// What the version is.
    pub content: VersionRow,
}

/// A version as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRow {
    /// Length of the content.
    pub size: u64,
    /// SHA-256 and CRC-32 of the content, sealed with a key made from the storage name.
    pub sums: Vec<u8>,
    /// A keyed hash of the SHA-256, by which a version with known content can be found.
    pub token: [u8; 16],
    /// When it arrived by the server's clock, in ms since 1970.
    pub arrived: i64,
    /// When it was changed by the device's word.
    pub mtime: Option<i64>,
    /// Unix permission bits, if the device told them.
    pub mode: Option<u32>,
    /// 32 random bytes, never given twice.
    pub storage_name: [u8; 32],
    /// Where its bytes are listed; nothing for an empty file.
    pub root: Option<Root>,
}

/// See [`Record::VersionsRemoved`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionsRemoved {
    /// The account.
    pub account: u64,
    /// The file.
    pub file: u64,
    /// The versions.
    pub versions: Vec<u64>,
    /// When, by whom and how long they are held.
    pub removal: RemovalRow,
}

/// A removal as the catalog keeps it beside the version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovalRow {
    /// When, in ms since 1970.
    pub at: i64,
    /// The device whose session asked for it.
    pub by: String,
    /// Until when it can be undone, in ms since 1970.
    pub hold_until: i64,
}

/// A file as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRow {
    /// The device's number.
    pub device: u32,
    /// Its name there.
    pub path: Vec<u8>,
}

impl Record {
    /// The record as a frame stores it.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::AccountAdded(it) => pack(1, it),
            Self::OldSessionOpened(it) => pack(2, it),
            Self::SessionOpened(it) => pack_as(2, SCHEMA_OF_SESSIONS, it),
            Self::VersionAdded(it) => pack(3, it),
            Self::VersionsRemoved(it) => pack(4, it),
            Self::TokenChanged(it) => pack(18, it),
            Self::Audited(it) => pack(19, it),
            Self::ObjectAdded(it) => pack(20, it),
            Self::ObjectRemoved(it) => pack(22, it),
            Self::RepoCreated(it) => pack(23, it),
            Self::RepoRemoved(it) => pack(24, it),
            Self::RowsKept(it) => pack(32, it),
            Self::InvitesChanged(it) => pack(30, it),
            Self::QuotaSet(it) => pack(27, it),
            Self::AccountRemoved(it) => pack(28, it),
            Self::UsageNoted(it) => pack(29, it),
            Self::SessionChanged(it) => pack(25, it),
            Self::AccessChanged(it) => pack(26, it),
        }
    }

    /// Reads what a frame stores. Never allocates more than the bytes can hold.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let Some((&[kind, schema], body)) = bytes.split_first_chunk::<2>() else {
            return Err(Error::format("record", "it is shorter than its kind and schema"));
        };
        if schema == SCHEMA_OF_SESSIONS && kind == 2 {
            return Ok(Self::SessionOpened(unpack("record", body)?));
        }
        if schema != SCHEMA {
            return Err(Error::format("record", format!("kind {kind} has schema {schema}, newer than this program")));
        }
        Ok(match kind {
            1 => Self::AccountAdded(unpack("record", body)?),
            2 => Self::OldSessionOpened(unpack("record", body)?),
            3 => Self::VersionAdded(unpack("record", body)?),
            4 => Self::VersionsRemoved(unpack("record", body)?),
            18 => Self::TokenChanged(unpack("record", body)?),
            19 => Self::Audited(unpack("record", body)?),
            20 => Self::ObjectAdded(unpack("record", body)?),
            22 => Self::ObjectRemoved(unpack("record", body)?),
            23 => Self::RepoCreated(unpack("record", body)?),
            24 => Self::RepoRemoved(unpack("record", body)?),
            27 => Self::QuotaSet(unpack("record", body)?),
            28 => Self::AccountRemoved(unpack("record", body)?),
            29 => Self::UsageNoted(unpack("record", body)?),
            30 => Self::InvitesChanged(unpack("record", body)?),
            32 => Self::RowsKept(unpack("record", body)?),
            25 => Self::SessionChanged(unpack("record", body)?),
            26 => Self::AccessChanged(unpack("record", body)?),
            _ if RESERVED_KINDS.contains(&kind) => {
                return Err(Error::format("record", format!("kind {kind} was written by a newer program")));
            }
            _ => return Err(Error::format("record", format!("kind {kind} is not known"))),
        })
    }

    /// The account it belongs to.
    pub fn account(&self) -> u64 {
        match self {
            Self::AccountAdded(it) => it.account,
            Self::OldSessionOpened(it) => it.account,
            Self::SessionOpened(it) => it.row.account,
            Self::SessionChanged(it) => it.row.account,
            Self::TokenChanged(it) => it.row.account,
            Self::AccessChanged(it) => it.account,
            Self::InvitesChanged(it) => it.account(),
            Self::AccountRemoved(it) => it.account,
            Self::VersionAdded(it) => it.account,
            Self::VersionsRemoved(it) => it.account,
            Self::ObjectAdded(it) => it.account,
            Self::ObjectRemoved(it) => it.account,
            Self::RepoCreated(it) => it.account,
            Self::RepoRemoved(it) => it.account,
            Self::QuotaSet(it) => it.account,
            // It is the server's, whomever it tells of.
            Self::UsageNoted(_) | Self::RowsKept(_) | Self::Audited(_) => 0,
        }
    }

    /// The counters as this record leaves them, were it the only one.
    pub fn counters(&self, seq: u64) -> Counters {
        let mut counters = Counters { seq: seq.saturating_add(1), ..Counters::default() };
        match self {
            Self::AccountAdded(it) | Self::InvitesChanged(InvitesChanged { added: Some(it), .. }) => {
                counters.account = it.account.saturating_add(1);
            }
            Self::InvitesChanged(_) => {}
            Self::VersionAdded(it) => {
                counters.file = it.file.saturating_add(1);
                counters.version = it.version.saturating_add(1);
            }
            Self::OldSessionOpened(_) | Self::SessionOpened(_) | Self::SessionChanged(_) => {}
            Self::AccessChanged(_) | Self::AccountRemoved(_) | Self::VersionsRemoved(_) => {}
            // The number of a repository or a token is its record's seq.
            Self::TokenChanged(_) | Self::QuotaSet(_) | Self::UsageNoted(_) => {}
            Self::ObjectAdded(_) | Self::ObjectRemoved(_) | Self::RepoCreated(_) | Self::RepoRemoved(_) => {}
            // The header of the volume it is in knows better.
            Self::RowsKept(_) | Self::Audited(_) => {}
        }
        counters
    }

    /// The rows it sets and removes.
    pub fn changes(&self, seq: u64) -> Result<Vec<Change>, Error> {
        let mut changes = Changes { seq, list: Vec::with_capacity(4) };
        match self {
            Self::AccountAdded(it) => it.changes(&mut changes)?,
            Self::OldSessionOpened(it) => it.changes(&mut changes)?,
            Self::SessionOpened(it) => it.changes(&mut changes)?,
            Self::SessionChanged(it) => it.changes(&mut changes)?,
            Self::TokenChanged(it) => it.changes(&mut changes)?,
            Self::AccessChanged(it) => it.changes(&mut changes)?,
            Self::InvitesChanged(it) => it.changes(&mut changes)?,
            Self::AccountRemoved(it) => it.changes(&mut changes)?,
            Self::QuotaSet(it) => it.changes(&mut changes)?,
            Self::UsageNoted(it) => it.changes(&mut changes)?,
            Self::VersionAdded(it) => {
                changes.set(keys::file(it.account, it.file), &FileRow { device: it.device, path: it.path.clone() })?;
                changes.set(keys::version(it.account, it.file, it.version), &it.content)?;
                changes.set(keys::version_file(it.account, it.version), &it.file)?;
                changes.set(keys::path(it.account, it.device, &it.path), &it.file)?;
            }
            Self::VersionsRemoved(it) => {
                for version in &it.versions {
                    changes.set(keys::removal(it.account, it.file, *version), &it.removal)?;
                }
            }
            Self::ObjectAdded(it) => it.changes(&mut changes)?,
            Self::ObjectRemoved(it) => it.changes(&mut changes)?,
            Self::RepoCreated(it) => it.changes(&mut changes)?,
            Self::RepoRemoved(it) => it.changes(&mut changes)?,
            Self::Audited(it) => it.changes(&mut changes)?,
            Self::RowsKept(it) => return Ok(it.changes()),
        }
        Ok(changes.list)
    }
}

/// The row changes of one record.
pub(super) struct Changes {
    seq: u64,
    list: Vec<Change>,
}

impl Changes {
    /// The record's seq.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Sets a row.
    pub fn set(&mut self, key: Vec<u8>, row: &impl Serialize) -> Result<(), Error> {
        self.set_as(SCHEMA, key, row)
    }

    /// Sets a row of this schema.
    pub fn set_as(&mut self, schema: u8, key: Vec<u8>, row: &impl Serialize) -> Result<(), Error> {
        let mut value = vec![schema];
        append(&mut value, row)?;
        self.list.push(Change { key, seq: self.seq, value: Some(value) });
        Ok(())
    }

    /// Removes a row.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.list.push(Change { key, seq: self.seq, value: None });
    }
}

/// A row's value as the catalog keeps it: schema byte and bincode.
pub fn encode_row(row: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![SCHEMA];
    append(&mut bytes, row)?;
    Ok(bytes)
}

/// Reads a row's value.
pub fn parse_row<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    parse_row_of(SCHEMA, bytes)
}

/// Reads a row's value of this schema.
pub fn parse_row_of<T: DeserializeOwned>(schema: u8, bytes: &[u8]) -> Result<T, Error> {
    match bytes.split_first() {
        Some((found, body)) if *found == schema => unpack("row", body),
        _ => Err(Error::format("row", "its schema is not known")),
    }
}

fn pack(kind: u8, record: &impl Serialize) -> Result<Vec<u8>, Error> {
    pack_as(kind, SCHEMA, record)
}

fn pack_as(kind: u8, schema: u8, record: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![kind, schema];
    append(&mut bytes, record)?;
    Ok(bytes)
}

fn append(bytes: &mut Vec<u8>, it: &impl Serialize) -> Result<(), Error> {
    bincode::serde::encode_into_std_write(it, bytes, bincode::config::standard())
        .map_err(|e| Error::format("record", e))?;
    // What could not be read again must not be written.
    if bytes.len() > RECORD_BYTES_MAX { Err(Error::format("record", "it is too large")) } else { Ok(()) }
}

fn unpack<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Error> {
    let config = bincode::config::standard().with_limit::<RECORD_BYTES_MAX>();
    let (it, read) = bincode::serde::decode_from_slice(bytes, config).map_err(|e| Error::format(what, e))?;
    if read == bytes.len() { Ok(it) } else { Err(Error::format(what, "bytes are left over")) }
}
