//! How much accounts may keep, what they have, and whether what comes may come.
//!
//! Promises: an upload that cannot fit is refused before its body where its length is known, and while it comes otherwise; the store
//! looks again when it commits, so that two that race do not both fit. Never: refuses what removing begins with.

use std::collections::BTreeMap;

use super::Services;
use super::caller::Caller;
use super::error::{Error, Thing};
use crate::model::{AccountId, Bound, Quota, Scope, Timestamp, Username};
use crate::store::{self, Allowance, Operation, QuotaSet, Share, Usage};

/// What an account uses, and may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountUse {
    /// Bytes of versions and of restic's objects that are not removed.
    pub logical_bytes: u64,
    /// Bytes in the volumes; nothing in a store from before that was counted.
    pub stored_bytes: Option<u64>,
    /// The most.
    pub quota: Quota,
}

/// The caller's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAccount {
    /// Its id.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Whether it may administer the server.
    pub administrator: bool,
    /// When it was registered.
    pub added: Timestamp,
    /// What it uses.
    pub usage: AccountUse,
}

/// What becomes of one bound of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundChange {
    /// It stays.
    Keep,
    /// It goes.
    Lift,
    /// So many bytes from now on.
    Bytes(u64),
}

/// The name of the realm that belongs to no account, unless somebody has it.
const LOCAL: &str = "local";

impl Services {
    /// What an account uses, and may.
    pub fn account_use(&self, account: AccountId) -> Result<AccountUse, Error> {
        let Usage { logical_bytes, stored_bytes } = self.inner.store.usage(account.0)?;
        Ok(AccountUse { logical_bytes, stored_bytes, quota: self.inner.store.catalog().quota(account.0)? })
    }

    /// The caller's account, for who may look at all of it.
    pub fn own_account(&self, caller: &Caller) -> Result<OwnAccount, Error> {
        caller.require(Scope::Read)?;
        if caller.bound || caller.prefix.is_some() {
            return Err(Error::Forbidden);
        }
        let added = self.inner.living_account(caller.account)?.added;
        Ok(OwnAccount {
            account: caller.account(),
            name: added.name,
            administrator: added.administrator,
            added: Timestamp(added.added),
            usage: self.account_use(caller.account())?,
        })
    }

    /// Changes how much an account may keep, or the local realm. What it has already stays, however much that is. The first bound on
    /// stored bytes in a store from before they were counted reads all volumes. For the machine's owner.
    pub fn set_quota(&self, name: &Username, logical: BoundChange, stored: BoundChange) -> Result<AccountUse, Error> {
        let account = self.bounded(name)?;
        let before = self.inner.store.catalog().quota(account)?;
        if matches!(stored, BoundChange::Bytes(_)) {
            self.inner.store.count_stored()?;
        }
        // Counted first: from then on commits that are under way are held to it too.
        let Usage { logical_bytes, stored_bytes } = self.inner.store.usage(account)?;
        let quota = Quota {
            logical: logical.of(before.logical, logical_bytes),
            stored: stored.of(before.stored, stored_bytes.unwrap_or(0)),
        };
        if quota != before {
            let set = QuotaSet { account, quota, at: self.inner.clock.now().0 };
            match self.inner.store.commit(Operation::SetQuota(set).from(self.owner_origin())) {
                Ok(_) => {}
                Err(store::Error::Missing) => return Err(Error::NotFound(Thing::Account)),
                Err(error) => return Err(error.into()),
            }
            tracing::info!(account, ?logical, ?stored, "audit: a quota was set");
        }
        self.account_use(AccountId(account))
    }

    fn bounded(&self, name: &Username) -> Result<u64, Error> {
        match self.account_named(name) {
            Ok(row) => Ok(row.added.account),
            Err(Error::NotFound(_)) if name.folded() == LOCAL => Ok(AccountId::LOCAL.0),
            Err(error) => Err(error),
        }
    }

    /// What all volumes hold, by account, counted anew. Nobody may write meanwhile.
    pub fn recount_stored(&self) -> Result<BTreeMap<u64, u64>, Error> {
        Ok(self.inner.store.recount_stored()?)
    }
}

impl BoundChange {
    fn of(self, before: Option<Bound>, had: u64) -> Option<Bound> {
        match self {
            Self::Keep => before,
            Self::Lift => None,
            Self::Bytes(bytes) if before.is_some_and(|before| before.bytes == bytes) => before,
            Self::Bytes(bytes) => Some(Bound { bytes, had }),
        }
    }
}

/// An error unless so many bytes may come for an account.
pub(super) fn require_logical(allowance: &Allowance, bytes: u64) -> Result<(), Error> {
    require("logical", allowance.logical, bytes)
}

/// The same for what takes as many bytes in the volumes.
pub(super) fn require_stored(allowance: &Allowance, bytes: u64) -> Result<(), Error> {
    require("stored", allowance.stored, bytes)
}

fn require(what: &'static str, share: Option<Share>, bytes: u64) -> Result<(), Error> {
    match share.filter(|share| !share.has_room_for(bytes)) {
        Some(Share { bytes_max, bytes_used }) => Err(Error::QuotaReached { what, bytes_max, bytes_used }),
        None => Ok(()),
    }
}
