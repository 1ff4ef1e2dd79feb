//! An account that is removed: its name is free again, its sessions and tokens end in the same record, and its content is held like
//! everything that is removed.
//!
//! Never: removes who administers the server, or gives the account's id again.

use serde::{Deserialize, Serialize};

use super::operation::{Sessions, Tokens, ended_sessions, ended_tokens};
use super::records::{AccountRow, EndedSession, ROW_SCHEMA};
use crate::store::error::Error;
use crate::store::keys;
use crate::store::operation::{Decided, Done, View};
use crate::store::records::{Changes, Record, RemovalRow};

/// An account was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRemoved {
    /// The account's id.
    pub account: u64,
    /// What it was.
    pub row: AccountRow,
    /// Sessions that ended.
    pub sessions: Vec<EndedSession>,
    /// Tokens that ended: number and hash.
    pub tokens: Vec<(u64, [u8; 32])>,
    /// When, by whom, and how long its content is held.
    pub removal: RemovalRow,
}

/// A removed account as the catalog keeps it; the rows of its files and repositories are still there under its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedAccountRow {
    /// What it was.
    pub row: AccountRow,
    /// Its removal.
    pub removal: RemovalRow,
}

impl AccountRemoved {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        let Self { account, row, sessions, tokens, removal } = self;
        changes.remove(keys::account(*account));
        changes.remove(keys::account_name(&row.added.folded));
        sessions.iter().try_for_each(|session| session.changes(*account, changes))?;
        for (token, hash) in tokens {
            changes.remove(keys::token(hash));
            changes.remove(keys::account_token(*account, *token));
        }
        let removed = RemovedAccountRow { row: row.clone(), removal: removal.clone() };
        changes.set_as(ROW_SCHEMA, keys::removed_account(*account), &removed)
    }
}

/// Removes an account with all that is in it.
pub(super) fn remove(view: &View, account: u64, removal: RemovalRow) -> Result<Decided, Error> {
    let bytes = view.raw(&keys::account(account))?.ok_or(Error::Missing)?;
    let row = AccountRow::parse(&bytes)?;
    if row.added.administrator {
        return Err(Error::Administrator);
    }
    let sessions = ended_sessions(view, account, Sessions::All)?;
    let tokens = ended_tokens(view, account, Tokens::All)?;
    let done = Done::Ended { sessions: sessions.len(), tokens: tokens.len() };
    let removed = AccountRemoved { account, row, sessions, tokens, removal };
    Ok(Decided::Record(Box::new(Record::AccountRemoved(removed)), done))
}
