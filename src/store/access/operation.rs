//! What may be asked about accounts, sessions and tokens, and what the catalog says to it, on the storage thread.

use super::invite::{self, Entry, InviteRow};
use super::records::{
    AccessChanged, AccountAdded, AccountRow, BROWSER_NUMBER, DeviceRow, EndedSession, Generation, SessionChanged,
    SessionOpened, SessionRow, TokenChanged, TokenRow,
};
use super::removed;
use crate::store::error::Error;
use crate::store::header::Counters;
use crate::store::keys;
use crate::store::operation::{Decided, Done, View};
use crate::store::records::{Record, RemovalRow, parse_row};

/// A change of who may do what.
#[derive(Debug, Clone)]
pub enum AccessOperation {
    /// Adds an account; [`Error::Exists`] when the name is taken. Its id and whether it administers are decided here.
    AddAccount {
        /// What it is.
        added: AccountAdded,
        /// Why it may be added; [`Error::NotInvited`] when that is so no more.
        entry: Entry,
    },
    /// Makes an invitation; [`Error::TooManyInvites`] when so many wait already.
    MakeInvite {
        /// Hash of its code.
        hash: [u8; 32],
        /// What it is.
        row: InviteRow,
        /// How many may wait.
        most: usize,
    },
    /// Takes an invitation back; [`Error::Missing`] when nobody waits with it.
    RevokeInvite {
        /// Hash of its code.
        hash: [u8; 32],
    },
    /// Removes an account with all that is in it; [`Error::Administrator`] when it administers the server.
    RemoveAccount {
        /// The account.
        account: u64,
        /// When, by whom, and how long its content is held.
        removal: RemovalRow,
    },
    /// Opens a session for a device and ends the one it had. The device's number is decided here.
    OpenSession {
        /// For what.
        kind: SessionKind,
        /// Key of its row.
        family: [u8; 32],
        /// What it is.
        row: SessionRow,
    },
    /// Makes the next generation. Asked with the newest one, or with the one before while the newest is unused, which gets the
    /// same again; [`Error::Replayed`] with any other.
    Rotate {
        /// Key of the session's row.
        family: [u8; 32],
        /// Hash of the generation that asks.
        from: [u8; 32],
        /// The next one.
        next: NewGeneration,
        /// When.
        at: i64,
    },
    /// A session is used: the salt of a generation that was not used before goes, and the generation before once its time is over.
    UseSession {
        /// Key of its row.
        family: [u8; 32],
        /// Hash of the generation in use; any but the newest only notes when and where.
        hash: [u8; 32],
        /// When.
        at: i64,
        /// How long the generation before goes on.
        grace_ms: i64,
        /// From where.
        address: String,
        /// With what.
        agent: String,
    },
    /// Makes a token. Its number is decided here.
    MakeToken {
        /// Hash of its secret.
        hash: [u8; 32],
        /// What it is.
        row: TokenRow,
    },
    /// A token is used.
    UseToken {
        /// Hash of its secret.
        hash: [u8; 32],
        /// When.
        at: i64,
        /// From where.
        address: String,
        /// With what.
        agent: String,
    },
    /// Changes an account and ends sessions and tokens of it, all at once. What is ended already is no error.
    Change {
        /// The account.
        account: u64,
        /// What becomes of the account itself.
        change: AccountChange,
        /// Sessions that end.
        sessions: Sessions,
        /// Tokens that end.
        tokens: Tokens,
        /// When.
        at: i64,
        /// Why, in a word.
        why: &'static str,
    },
}

/// What a session is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// A device.
    Device,
    /// A device that has never signed in; [`Error::Exists`] when it has.
    NewDevice,
    /// A browser, which is no device and has no files: its number is [`BROWSER_NUMBER`].
    Browser,
}

/// The next generation of a session.
#[derive(Debug, Clone)]
pub struct NewGeneration {
    /// Its hash and wrap.
    pub generation: Generation,
    /// What makes it out of the one before.
    pub salt: [u8; 32],
}

/// What becomes of an account.
#[derive(Debug, Clone, Default)]
pub struct AccountChange {
    /// New parameters and salt, and the data key under the new password.
    pub password: Option<(String, Vec<u8>)>,
    /// The data key under a new recovery code.
    pub recovery_wrap: Option<Vec<u8>>,
    /// Whether it may be used.
    pub enabled: Option<bool>,
}

/// Some sessions of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// None.
    None,
    /// The one with this key.
    One([u8; 32]),
    /// All.
    All,
}

/// Some tokens of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// None.
    None,
    /// The one with this number.
    One(u64),
    /// All.
    All,
}

/// Turns an operation into its record, if it changes anything.
pub fn decide(operation: AccessOperation, view: &View, counters: &mut Counters) -> Result<Decided, Error> {
    match operation {
        AccessOperation::AddAccount { added, entry } => invite::add_account(view, added, entry, counters),
        AccessOperation::MakeInvite { hash, row, most } => invite::make(view, hash, row, most),
        AccessOperation::RevokeInvite { hash } => invite::revoke(view, hash),
        AccessOperation::RemoveAccount { account, removal } => removed::remove(view, account, removal),
        AccessOperation::OpenSession { kind, family, row } => open_session(view, kind, family, row),
        AccessOperation::Rotate { family, from, next, at } => rotate(view, family, from, next, at),
        AccessOperation::UseSession { family, hash, at, grace_ms, address, agent } => {
            let row = session(view, &family)?;
            let row = SessionRow { last_used: Some(at), address, agent, ..in_use(row, &hash, at, grace_ms) };
            record(Record::SessionChanged(SessionChanged { family, row }), Done::Noted)
        }
        AccessOperation::MakeToken { hash, row } => {
            let row = TokenRow { token: counters.seq, ..row };
            let done = Done::Token(row.token);
            record(Record::TokenChanged(TokenChanged { hash, row }), done)
        }
        AccessOperation::UseToken { hash, at, address, agent } => {
            let row = view.get::<TokenRow>(&keys::token(&hash))?.ok_or(Error::SessionEnded)?;
            let row = TokenRow { last_used: Some(at), address, agent, ..row };
            record(Record::TokenChanged(TokenChanged { hash, row }), Done::Noted)
        }
        AccessOperation::Change { account, change, sessions, tokens, at, why } => {
            let row = change.of(view, account, at)?;
            let sessions = ended_sessions(view, account, sessions)?;
            let tokens = ended_tokens(view, account, tokens)?;
            let done = Done::Ended { sessions: sessions.len(), tokens: tokens.len() };
            if row.is_none() && sessions.is_empty() && tokens.is_empty() {
                return Ok(Decided::Already(done));
            }
            let changed = AccessChanged { account, row, sessions, tokens, at, why: why.to_owned() };
            record(Record::AccessChanged(changed), done)
        }
    }
}

fn record(record: Record, done: Done) -> Result<Decided, Error> {
    Ok(Decided::Record(Box::new(record), done))
}

fn open_session(view: &View, kind: SessionKind, family: [u8; 32], row: SessionRow) -> Result<Decided, Error> {
    let known = match kind {
        SessionKind::Browser => view.get::<DeviceRow>(&keys::browser(row.account, &row.device))?,
        SessionKind::Device | SessionKind::NewDevice => view.get(&keys::device(row.account, &row.device))?,
    };
    let count = view.get::<u32>(&keys::device_count(row.account))?.unwrap_or(0);
    let (number, devices, first_seen, replaced) = match known {
        Some(_) if kind == SessionKind::NewDevice => return Err(Error::Exists),
        Some(device) => (device.number, count, device.first_seen, device.session),
        None if kind == SessionKind::Browser => (BROWSER_NUMBER, count, row.opened, None),
        None => (count + 1, count + 1, row.opened, None),
    };
    let opened = SessionOpened { family, devices, first_seen, row: SessionRow { number, ..row }, replaced };
    record(Record::SessionOpened(opened), Done::Session { renewed: replaced.is_some() })
}

fn session(view: &View, family: &[u8; 32]) -> Result<SessionRow, Error> {
    let bytes = view.raw(&keys::session(family))?.ok_or(Error::SessionEnded)?;
    SessionRow::parse(family, &bytes)
}

fn rotate(view: &View, family: [u8; 32], from: [u8; 32], next: NewGeneration, at: i64) -> Result<Decided, Error> {
    let row = session(view, &family)?;
    if row.newest.hash == from {
        let row = SessionRow {
            opened: counted_from(&row, at),
            generation: row.generation.saturating_add(1),
            before: Some(row.newest),
            newest: next.generation,
            salt: Some(next.salt),
            used: None,
            last_used: Some(at),
            ..row
        };
        return record(Record::SessionChanged(SessionChanged { family, row }), Done::Rotated { salt: next.salt });
    }
    let is_before = row.before.is_some_and(|before| before.hash == from);
    match row.salt.filter(|_| is_before && row.used.is_none()) {
        Some(salt) => Ok(Decided::Already(Done::Rotated { salt })),
        None => Err(Error::Replayed),
    }
}

/// From when a session's lifetimes count: from now where nothing was noted before, as in rows of schema 1.
fn counted_from(row: &SessionRow, now: i64) -> i64 {
    if row.last_used.is_none() { now } else { row.opened }
}

/// What a use makes of a session.
fn in_use(row: SessionRow, hash: &[u8; 32], at: i64, grace_ms: i64) -> SessionRow {
    let opened = counted_from(&row, at);
    if row.newest.hash != *hash {
        return SessionRow { opened, ..row };
    }
    let used = row.used.unwrap_or(at);
    let before = row.before.filter(|_| at.saturating_sub(used) <= grace_ms);
    SessionRow { opened, used: Some(used), salt: None, before, ..row }
}

impl AccountChange {
    /// The account's new row; nothing when it stays what it is.
    fn of(self, view: &View, account: u64, at: i64) -> Result<Option<AccountRow>, Error> {
        let bytes = view.raw(&keys::account(account))?.ok_or(Error::Missing)?;
        let before = AccountRow::parse(&bytes)?;
        let mut row = before.clone();
        if let Some((password, wrap)) = self.password {
            (row.added.password, row.added.password_wrap) = (password, wrap);
        }
        if let Some(wrap) = self.recovery_wrap {
            row.added.recovery_wrap = wrap;
        }
        match self.enabled {
            Some(true) => row.disabled = None,
            Some(false) => row.disabled = row.disabled.or(Some(at)),
            None => {}
        }
        if row == before {
            return Ok(None);
        }
        row.epoch = row.epoch.saturating_add(1);
        Ok(Some(row))
    }
}

pub(super) fn ended_sessions(view: &View, account: u64, which: Sessions) -> Result<Vec<EndedSession>, Error> {
    if which == Sessions::None {
        return Ok(Vec::new());
    }
    let mut ended = Vec::new();
    let browsers = view.range(keys::browsers(account))?;
    for (key, value) in view.range(keys::devices(account))?.into_iter().chain(browsers) {
        let device = keys::parse_device(&key).ok_or_else(|| Error::format("row", "a device's key has no name"))?;
        let DeviceRow { number, first_seen, session } = parse_row(&value)?;
        if let Some(family) = session.filter(|family| which == Sessions::All || which == Sessions::One(*family)) {
            ended.push(EndedSession { family, device: device.to_owned(), number, first_seen });
        }
    }
    Ok(ended)
}

pub(super) fn ended_tokens(view: &View, account: u64, which: Tokens) -> Result<Vec<(u64, [u8; 32])>, Error> {
    if which == Tokens::None {
        return Ok(Vec::new());
    }
    let mut ended = Vec::new();
    for (key, value) in view.range(keys::account_tokens(account))? {
        let token =
            keys::parse_account_token(&key).ok_or_else(|| Error::format("row", "a token's key is not whole"))?;
        if which == Tokens::All || which == Tokens::One(token) {
            ended.push((token, parse_row(&value)?));
        }
    }
    Ok(ended)
}
