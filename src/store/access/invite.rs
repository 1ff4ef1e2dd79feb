//! Invitations: a hash, who made it, until when; and the account that used it, in the record that removes it.
//!
//! Promises: an invitation lets one account in, however many come with it at once; one whose time is over lets nobody in, and
//! goes when another is made.

use serde::{Deserialize, Serialize};

use super::records::AccountAdded;
use crate::store::error::Error;
use crate::store::header::Counters;
use crate::store::keys;
use crate::store::operation::{Decided, Done, View};
use crate::store::records::{Changes, Record, parse_row};

/// An invitation as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteRow {
    /// The account that made it; 0 for the machine's owner.
    pub by: u64,
    /// When, in ms since 1970.
    pub made: i64,
    /// Until when it lets somebody in.
    pub expires: i64,
}

/// An invitation was made, used or taken back; others went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitesChanged {
    /// The one that was made, by a hash of its code.
    pub made: Option<([u8; 32], InviteRow)>,
    /// Those that were used or taken back, or whose time was over.
    pub gone: Vec<[u8; 32]>,
    /// The account that used one.
    pub added: Option<AccountAdded>,
}

/// Why an account may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Anybody may.
    Anyone,
    /// It is the first.
    First,
    /// It was invited.
    Invited {
        /// Hash of the code.
        hash: [u8; 32],
        /// When it was presented.
        at: i64,
    },
}

impl InvitesChanged {
    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        self.gone.iter().for_each(|hash| changes.remove(keys::invite(hash)));
        if let Some((hash, row)) = &self.made {
            changes.set(keys::invite(hash), row)?;
        }
        self.added.as_ref().map_or(Ok(()), |added| added.changes(changes))
    }

    /// The account it is about: who made one, or who used one.
    pub(in crate::store) fn account(&self) -> u64 {
        let made = self.made.as_ref().map(|(_, row)| row.by);
        self.added.as_ref().map(|added| added.account).or(made).unwrap_or_default()
    }
}

/// Adds an account, if the way it comes in by is open at this moment.
pub(super) fn add_account(
    view: &View,
    added: AccountAdded,
    entry: Entry,
    counters: &mut Counters,
) -> Result<Decided, Error> {
    if view.has(&keys::account_name(&added.folded))? {
        return Err(Error::Exists);
    }
    let account = counters.account;
    let is_first = account == 1;
    let used = match entry {
        Entry::Anyone => None,
        Entry::First if is_first => None,
        Entry::First => return Err(Error::NotInvited),
        Entry::Invited { hash, at } => {
            let row = view.get::<InviteRow>(&keys::invite(&hash))?.filter(|row| at < row.expires);
            Some(row.map(|_| hash).ok_or(Error::NotInvited)?)
        }
    };
    counters.account += 1;
    let added = AccountAdded { account, administrator: is_first, ..added };
    let record = match used {
        None => Record::AccountAdded(added),
        Some(hash) => Record::InvitesChanged(InvitesChanged { made: None, gone: vec![hash], added: Some(added) }),
    };
    Ok(Decided::Record(Box::new(record), Done::Account(account)))
}

/// Takes an invitation back.
pub(super) fn revoke(view: &View, hash: [u8; 32]) -> Result<Decided, Error> {
    if !view.has(&keys::invite(&hash))? {
        return Err(Error::Missing);
    }
    let record = Record::InvitesChanged(InvitesChanged { made: None, gone: vec![hash], added: None });
    Ok(Decided::Record(Box::new(record), Done::Noted))
}

/// Makes an invitation, unless `most` wait already.
pub(super) fn make(view: &View, hash: [u8; 32], row: InviteRow, most: usize) -> Result<Decided, Error> {
    let (mut gone, mut waiting) = (Vec::new(), 0);
    for (key, value) in view.range(keys::invites())? {
        let is_over = parse_row::<InviteRow>(&value)?.expires <= row.made;
        match keys::parse_invite(&key).filter(|_| is_over) {
            Some(hash) => gone.push(hash),
            None => waiting += 1,
        }
    }
    if waiting >= most {
        return Err(Error::TooManyInvites);
    }
    let record = Record::InvitesChanged(InvitesChanged { made: Some((hash, row)), gone, added: None });
    Ok(Decided::Record(Box::new(record), Done::Noted))
}
