//! Accounts and invitations as the machine's owner sees them: what there is, and what becomes of it.
//!
//! Promises: an account that is removed is gone at once, with its sessions and tokens, and its content is held like everything that is
//! removed. Never: opens an account's content, or shows what was presented to anybody.

use super::caller::Visit;
use super::error::{Error, Thing};
use super::registration::{DAY_MS, Invited, hash};
use super::secrets::RecoveryCode;
use super::{Ended, Services};
use crate::model::{AccountId, Timestamp, Username, limits};
use crate::store::{self, AccessOperation, AccountRow, Catalog, Done, InviteRow, Operation, Origin};

/// Who removes accounts, in the records of their removal; and what stands for an account that makes invitations.
const OWNER: &str = "the machine's owner";
const OWNER_ID: u64 = 0;

/// An account with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// Its id.
    pub account: AccountId,
    /// Its name as it was written.
    pub name: String,
    /// Whether it may administer the server.
    pub administrator: bool,
    /// Since when nobody may use it.
    pub disabled: Option<Timestamp>,
    /// When it was registered.
    pub added: Timestamp,
    /// Devices that ever signed in.
    pub devices: u64,
    /// Sessions of devices and browsers.
    pub sessions: u64,
    /// Tokens.
    pub tokens: u64,
    /// restic repositories.
    pub repos: u64,
}

/// An invitation that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteSummary {
    /// Names it among the others.
    pub id: String,
    /// Who made it; nobody for the machine's owner.
    pub by: Option<String>,
    /// When.
    pub made: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
}

impl Services {
    /// All accounts in the order they were made.
    pub fn accounts(&self) -> Result<Vec<AccountSummary>, Error> {
        let catalog = self.inner.store.catalog();
        catalog.accounts()?.into_iter().map(|row| summary(catalog, row)).collect()
    }

    /// One of them.
    pub fn account_summary(&self, name: &Username) -> Result<AccountSummary, Error> {
        summary(self.inner.store.catalog(), self.account_named(name)?)
    }

    /// Removes an account with all that is in it, unless it administers the server.
    pub fn remove_account(&self, name: &Username) -> Result<Ended, Error> {
        let account = self.account_named(name)?.added.account;
        let removal = self.removal_by(OWNER);
        let operation = Operation::access(AccessOperation::RemoveAccount { account, removal });
        match self.inner.store.commit(operation.from(self.owner_origin())) {
            Ok(Done::Ended { sessions, tokens }) => Ok(Ended { sessions, tokens }),
            Ok(other) => Err(Error::Internal(format!("removing an account did {other:?}").into())),
            Err(store::Error::Missing) => Err(Error::NotFound(Thing::Account)),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes an invitation for so many days, for the machine's owner.
    pub fn invite_for_owner(&self, days: u32) -> Result<Invited, Error> {
        self.make_invite(OWNER_ID, days, |operation| operation.from(self.owner_origin()))
    }

    /// The invitations that are still good, those that end first before the others.
    pub fn invites(&self) -> Result<Vec<InviteSummary>, Error> {
        let (catalog, now) = (self.inner.store.catalog(), self.inner.clock.now().0);
        let mut invites = Vec::new();
        for (hash, InviteRow { by, made, expires }) in catalog.invites()? {
            if now < expires {
                let by = catalog.account(by)?.map(|row| row.added.name);
                let (made, expires) = (Timestamp(made), Timestamp(expires));
                invites.push(InviteSummary { id: invite_id(&hash), by, made, expires });
            }
        }
        invites.sort_by(|one, other| (one.expires, &one.id).cmp(&(other.expires, &other.id)));
        Ok(invites)
    }

    /// Takes an invitation back, for the machine's owner.
    pub fn revoke_invite(&self, id: &str) -> Result<(), Error> {
        self.take_back_invite(id, |operation| operation.from(self.owner_origin()))
    }

    /// Takes an invitation back; `as_whom` says what has to be valid when it commits.
    pub(super) fn take_back_invite(&self, id: &str, as_whom: impl FnOnce(Operation) -> Operation) -> Result<(), Error> {
        let invites = self.inner.store.catalog().invites()?.into_iter();
        let hash = invites.map(|(hash, _)| hash).find(|hash| invite_id(hash) == id);
        let operation = AccessOperation::RevokeInvite { hash: hash.ok_or(Error::NotFound(Thing::Invite))? };
        match self.inner.store.commit(as_whom(Operation::access(operation))) {
            Ok(_) => Ok(()),
            Err(store::Error::Missing) => Err(Error::NotFound(Thing::Invite)),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes an invitation of account `by`; `as_whom` says what has to be valid when it commits.
    pub(super) fn make_invite(
        &self,
        by: u64,
        days: u32,
        as_whom: impl FnOnce(Operation) -> Operation,
    ) -> Result<Invited, Error> {
        let code = RecoveryCode::fresh()?;
        let made = self.inner.clock.now().0;
        let expires = made.saturating_add(i64::from(days) * DAY_MS);
        let row = InviteRow { by, made, expires };
        let operation = AccessOperation::MakeInvite { hash: hash(&code), row, most: limits::INVITES_MAX };
        match self.inner.store.commit(as_whom(Operation::access(operation)))? {
            Done::Noted => Ok(Invited { id: invite_id(&hash(&code)), code: code.text(), expires: Timestamp(expires) }),
            other => Err(Error::Internal(format!("inviting did {other:?}").into())),
        }
    }

    /// The machine's owner in the audit log.
    pub(super) fn owner_origin(&self) -> Origin {
        Visit::of_owner().origin(OWNER, self.inner.clock.now())
    }

    pub(super) fn account_named(&self, name: &Username) -> Result<AccountRow, Error> {
        self.inner.store.catalog().account_by_name(&name.folded())?.ok_or(Error::NotFound(Thing::Account))
    }
}

fn summary(catalog: &Catalog, AccountRow { added, disabled, .. }: AccountRow) -> Result<AccountSummary, Error> {
    let (devices, browsers) = (catalog.devices(added.account)?, catalog.browsers(added.account)?);
    let sessions = devices.iter().chain(&browsers).filter(|(_, row)| row.session.is_some()).count();
    let mut repos = 0;
    for repo in catalog.repos(added.account) {
        repo?;
        repos += 1;
    }
    Ok(AccountSummary {
        account: AccountId(added.account),
        name: added.name,
        administrator: added.administrator,
        disabled: disabled.map(Timestamp),
        added: Timestamp(added.added),
        devices: devices.len() as u64,
        sessions: sessions as u64,
        tokens: catalog.tokens(added.account)?.len() as u64,
        repos,
    })
}

/// What people call an invitation: the beginning of its hash, which lets nobody in.
fn invite_id(hash: &[u8; 32]) -> String {
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
