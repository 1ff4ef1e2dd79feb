//! Who may do what, as the log keeps it: accounts, devices, sessions and tokens, and the rows they set.
//!
//! Promises: a record holds the whole rows that it sets, so that replay needs nothing else; what a schema once meant is read
//! for ever. Never: holds a secret, but for keys that are wrapped by one.

use serde::{Deserialize, Serialize};

use crate::store::error::Error;
use crate::store::keys;
use crate::store::records::{Changes, parse_row, parse_row_of};

/// Schema of the rows of accounts and sessions that this program writes; it reads schema 1 too.
pub const ROW_SCHEMA: u8 = 2;

/// An account was registered. Its row, until something changes it, is this record (schema 1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountAdded {
    /// The account's id.
    pub account: u64,
    /// Its name as written.
    pub name: String,
    /// Its name in lower case, by which it is found.
    pub folded: String,
    /// When, in ms since 1970.
    pub added: i64,
    /// Whether it may administer the server.
    pub administrator: bool,
    /// argon2id parameters and salt as a PHC string without a hash; the wrap proves the password.
    pub password: String,
    /// The data key wrapped by the key from the password.
    pub password_wrap: Vec<u8>,
    /// The data key wrapped by the key from the recovery code.
    pub recovery_wrap: Vec<u8>,
}

/// An account as the catalog keeps it once it has changed (schema 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// What it was registered with; password and wraps are those of now.
    pub added: AccountAdded,
    /// How often its password or its state has changed: what was proved under another number is proved no more.
    pub epoch: u32,
    /// Since when nobody may use it, in ms since 1970.
    pub disabled: Option<i64>,
}

/// A device signed in, as the first programs wrote it (kind 2, schema 1). Never written any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldSessionOpened {
    /// The account that signed in.
    pub account: u64,
    /// The device's name.
    pub device: String,
    /// The device's number in its account, from 1.
    pub number: u32,
    /// How many devices the account has now.
    pub devices: u32,
    /// When the device signed in for the first time, in ms since 1970.
    pub first_seen: i64,
    /// Hash of the session's secret; its row's key.
    pub session: [u8; 32],
    /// The data key wrapped by the key from that secret.
    pub wrap: Vec<u8>,
    /// When, in ms since 1970.
    pub opened: i64,
    /// Key of the session that ended with this one.
    pub replaced: Option<[u8; 32]>,
}

/// A session's row as the first programs wrote it (schema 1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OldSessionRow {
    account: u64,
    device: String,
    number: u32,
    wrap: Vec<u8>,
    opened: i64,
}

/// The number of every browser: a session with it is no device's. Devices are numbered from 1.
pub const BROWSER_NUMBER: u32 = 0;

/// A device or a browser signed in; the session it had before ended with it (kind 2, schema 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// Key of its row: a hash of the family's name.
    pub family: [u8; 32],
    /// How many devices the account has now.
    pub devices: u32,
    /// When the device signed in for the first time, in ms since 1970.
    pub first_seen: i64,
    /// What it is.
    pub row: SessionRow,
    /// Key of the session that ended with this one.
    pub replaced: Option<[u8; 32]>,
}

/// A session as the catalog keeps it (schema 2): one row for all its generations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// The account.
    pub account: u64,
    /// The device's name.
    pub device: String,
    /// The device's number.
    pub number: u32,
    /// When the device signed in, in ms since 1970.
    pub opened: i64,
    /// How often it has rotated.
    pub generation: u32,
    /// The newest generation.
    pub newest: Generation,
    /// What makes the newest generation's secret out of the one before; there until the newest is used.
    pub salt: Option<[u8; 32]>,
    /// When the newest generation was used first, in ms since 1970.
    pub used: Option<i64>,
    /// The generation before, as long as it may be used.
    pub before: Option<Generation>,
    /// When it was last seen in use, in ms since 1970: written now and then. Nothing for a row of schema 1, whose lifetimes begin
    /// when it is next used.
    pub last_used: Option<i64>,
    /// From where it was last used.
    pub address: String,
    /// With what.
    pub agent: String,
}

/// One generation of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Hash of its secret.
    pub hash: [u8; 32],
    /// The data key wrapped by the key from that secret.
    pub wrap: Vec<u8>,
}

/// A session rotated, or was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionChanged {
    /// Key of its row.
    pub family: [u8; 32],
    /// What it is now.
    pub row: SessionRow,
}

/// A token was made, or used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenChanged {
    /// Hash of its secret.
    pub hash: [u8; 32],
    /// What it is now.
    pub row: TokenRow,
}

/// A token as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// The account.
    pub account: u64,
    /// Its number: the seq of the record that made it.
    pub token: u64,
    /// What its owner calls it.
    pub label: String,
    /// What it may do: a bit for each scope, as `model::Rights` has them.
    pub scopes: u8,
    /// The only device it may see: name and number.
    pub device: Option<(String, u32)>,
    /// The only path, or repository, at or below which it may see anything.
    pub prefix: Option<Vec<u8>>,
    /// When it was made, in ms since 1970.
    pub made: i64,
    /// When it ends by itself, in ms since 1970.
    pub expires: Option<i64>,
    /// When it was last seen in use, in ms since 1970: written now and then.
    pub last_used: Option<i64>,
    /// From where.
    pub address: String,
    /// With what.
    pub agent: String,
    /// The data key wrapped by the key from its secret.
    pub wrap: Vec<u8>,
}

/// An account changed, or sessions and tokens of it ended: all of it at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessChanged {
    /// The account's id.
    pub account: u64,
    /// The account as it is now, when it changed.
    pub row: Option<AccountRow>,
    /// Sessions that ended.
    pub sessions: Vec<EndedSession>,
    /// Tokens that ended: number and hash.
    pub tokens: Vec<(u64, [u8; 32])>,
    /// When, in ms since 1970.
    pub at: i64,
    /// Why, in a word.
    pub why: String,
}

/// A session that ended, with what its device's row needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSession {
    /// Key of its row.
    pub family: [u8; 32],
    /// Its device's name.
    pub device: String,
    /// Its device's number.
    pub number: u32,
    /// When that device signed in for the first time, in ms since 1970.
    pub first_seen: i64,
}

/// A device as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    /// Its number in the account.
    pub number: u32,
    /// When it signed in for the first time, in ms since 1970.
    pub first_seen: i64,
    /// Key of its session's row.
    pub session: Option<[u8; 32]>,
}

impl AccountRow {
    /// Reads a row of either schema.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.first() {
            Some(&ROW_SCHEMA) => parse_row_of(ROW_SCHEMA, bytes),
            _ => Ok(Self { added: parse_row(bytes)?, epoch: 0, disabled: None }),
        }
    }
}

impl SessionRow {
    /// Reads a row of either schema. One of schema 1 stands under the hash of the only secret it had.
    pub fn parse(family: &[u8; 32], bytes: &[u8]) -> Result<Self, Error> {
        if bytes.first() == Some(&ROW_SCHEMA) {
            return parse_row_of(ROW_SCHEMA, bytes);
        }
        let OldSessionRow { account, device, number, wrap, opened } = parse_row(bytes)?;
        Ok(Self {
            account,
            device,
            number,
            opened,
            generation: 0,
            newest: Generation { hash: *family, wrap },
            salt: None,
            used: Some(opened),
            before: None,
            last_used: None,
            address: String::new(),
            agent: String::new(),
        })
    }
}

impl AccountAdded {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        changes.set(keys::account(self.account), self)?;
        changes.set(keys::account_name(&self.folded), &self.account)
    }
}

impl OldSessionOpened {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        if let Some(replaced) = &self.replaced {
            changes.remove(keys::session(replaced));
        }
        let Self { account, device, number, devices, first_seen, session, wrap, opened, .. } = self;
        let (account, number, opened) = (*account, *number, *opened);
        let row = OldSessionRow { account, device: device.clone(), number, wrap: wrap.clone(), opened };
        changes.set(keys::session(session), &row)?;
        let row = DeviceRow { number, first_seen: *first_seen, session: Some(*session) };
        changes.set(keys::device(account, device), &row)?;
        changes.set(keys::device_count(account), devices)
    }
}

impl SessionOpened {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        let Self { family, devices, first_seen, row, replaced } = self;
        if let Some(replaced) = replaced {
            changes.remove(keys::session(replaced));
        }
        changes.set_as(ROW_SCHEMA, keys::session(family), row)?;
        let device = DeviceRow { number: row.number, first_seen: *first_seen, session: Some(*family) };
        changes.set(key_of(row.account, row.number, &row.device), &device)?;
        if row.number == BROWSER_NUMBER {
            return Ok(());
        }
        changes.set(keys::device_count(row.account), devices)
    }
}

/// Under which key a device, or a browser, stands.
fn key_of(account: u64, number: u32, name: &str) -> Vec<u8> {
    if number == BROWSER_NUMBER { keys::browser(account, name) } else { keys::device(account, name) }
}

impl SessionChanged {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        changes.set_as(ROW_SCHEMA, keys::session(&self.family), &self.row)
    }
}

impl TokenChanged {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        changes.set(keys::token(&self.hash), &self.row)?;
        changes.set(keys::account_token(self.row.account, self.row.token), &self.hash)
    }
}

impl EndedSession {
    /// Its row goes; its device stays known.
    pub(super) fn changes(&self, account: u64, changes: &mut Changes) -> Result<(), Error> {
        let Self { family, device, number, first_seen } = self;
        changes.remove(keys::session(family));
        let row = DeviceRow { number: *number, first_seen: *first_seen, session: None };
        changes.set(key_of(account, *number, device), &row)
    }
}

impl AccessChanged {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        if let Some(row) = &self.row {
            changes.set_as(ROW_SCHEMA, keys::account(self.account), row)?;
        }
        self.sessions.iter().try_for_each(|session| session.changes(self.account, changes))?;
        for (token, hash) in &self.tokens {
            changes.remove(keys::token(hash));
            changes.remove(keys::account_token(self.account, *token));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::records::Record;

    #[test]
    fn the_record_of_a_login_takes_the_old_session_away_and_sets_the_new_one() {
        let newest = Generation { hash: [1; 32], wrap: Vec::new() };
        let (device, address, agent) = ("laptop".to_owned(), String::new(), String::new());
        let row = SessionRow {
            account: 1,
            device,
            number: 1,
            opened: 5,
            generation: 0,
            newest,
            salt: None,
            used: None,
            before: None,
            last_used: None,
            address,
            agent,
        };
        let opened = SessionOpened { family: [2; 32], devices: 1, first_seen: 4, row, replaced: Some([3; 32]) };
        let changes = Record::SessionOpened(opened).changes(7).expect("its rows");
        let is_set = |key: Vec<u8>| {
            let found: Vec<_> = changes.iter().filter(|change| change.key == key).collect();
            assert_eq!(found.len(), 1, "one change of each row");
            found[0].value.is_some()
        };
        assert!(!is_set(keys::session(&[3; 32])), "the old one goes");
        assert!(is_set(keys::session(&[2; 32])) && is_set(keys::device(1, "laptop")) && is_set(keys::device_count(1)));
        assert!(changes.len() == 4 && changes.iter().all(|change| change.seq == 7), "{changes:?}");
    }
}
