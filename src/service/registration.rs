//! Who may make an account: everybody, who was invited, or nobody; and the first one, which administers the server.
//!
//! Promises: the first account is made by somebody at this machine or somebody who has read what the server printed; an invitation
//! lets one account in and ends by itself; who may not register learns no name. Never: keeps a code, only its hash.

use super::caller::{Caller, Visit};
use super::error::Error;
use super::secrets::RecoveryCode;
use super::{InviteSummary, Services};
use crate::model::{Registration, Scope, Secret, Timestamp};
use crate::store::Entry;

pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What somebody brings who wants an account.
#[derive(Debug, Default)]
pub struct Admission {
    /// Whether it is at this machine.
    pub is_local: bool,
    /// Whether nothing but this machine can have led it here.
    pub is_near: bool,
    /// From where, and with what.
    pub visit: Visit,
    /// What the server printed when it started without an account.
    pub setup_code: Option<Secret<String>>,
    /// What somebody gave it.
    pub invite: Option<Secret<String>>,
}

impl Admission {
    /// Somebody at this machine who brings nothing.
    pub fn local() -> Self {
        Self { is_local: true, is_near: true, ..Self::default() }
    }
}

/// A new invitation.
#[derive(Debug)]
pub struct Invited {
    /// Names it among the others.
    pub id: String,
    /// What is presented to register. Shown once, stored nowhere.
    pub code: Secret<String>,
    /// Until when.
    pub expires: Timestamp,
}

impl Services {
    /// What the first account needs from elsewhere; nothing once there is one.
    pub fn setup_code(&self) -> Result<Option<Secret<String>>, Error> {
        Ok(if self.is_founded()? { None } else { self.inner.setup_code.as_ref().map(RecoveryCode::text) })
    }

    /// Makes an invitation for so many days. Only an administrator may.
    pub fn invite(&self, caller: &Caller, days: u32) -> Result<Invited, Error> {
        self.require_administrator(caller)?;
        self.make_invite(caller.account, days, |operation| {
            operation.by(&caller.credential).from(caller.origin(self.now()))
        })
    }

    /// The invitations that are still good, for an administrator.
    pub fn invites_for(&self, caller: &Caller) -> Result<Vec<InviteSummary>, Error> {
        self.require_administrator(caller)?;
        self.invites()
    }

    /// Takes an invitation back, for an administrator.
    pub fn revoke_invite_as(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        self.require_administrator(caller)?;
        self.take_back_invite(id, |operation| operation.by(&caller.credential).from(caller.origin(self.now())))
    }

    /// An error unless the caller may do everything for an account that administers the server.
    pub(super) fn require_administrator(&self, caller: &Caller) -> Result<(), Error> {
        caller.require(Scope::Admin)?;
        let account = self.inner.living_account(caller.account)?;
        if account.added.administrator { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// The way in that is open for what somebody brings; the store looks again when the account is added.
    pub(super) fn entry(&self, admission: &Admission) -> Result<Entry, Error> {
        let registration = self.inner.policy.registration;
        if !self.is_founded()? {
            let is_expected = admission.is_local || self.is_setup_code(admission.setup_code.as_ref());
            // Another may be first meanwhile: then this is a later account like all others.
            let is_open = registration.is_open(admission.is_near);
            let entry = if is_open { Entry::Anyone } else { Entry::First };
            return if is_expected { Ok(entry) } else { Err(Error::NeedSetupCode) };
        }
        match registration {
            _ if registration.is_open(admission.is_near) => Ok(Entry::Anyone),
            Registration::Closed => Err(Error::RegistrationClosed),
            Registration::Open | Registration::Near | Registration::Invite => {
                let code = admission.invite.as_ref().and_then(|text| RecoveryCode::parse(text.reveal()));
                let hash = code.as_ref().map(hash).ok_or(Error::NotInvited)?;
                // Looked at before a password is hashed.
                let row = self.inner.store.catalog().invite(&hash)?.ok_or(Error::NotInvited)?;
                let at = self.inner.clock.now().0;
                if at < row.expires { Ok(Entry::Invited { hash, at }) } else { Err(Error::NotInvited) }
            }
        }
    }

    fn is_founded(&self) -> Result<bool, Error> {
        Ok(self.inner.store.catalog().account(FIRST)?.is_some())
    }

    /// Hashes are compared: how long that takes says nothing about the code.
    fn is_setup_code(&self, presented: Option<&Secret<String>>) -> bool {
        let presented = presented.and_then(|text| RecoveryCode::parse(text.reveal()));
        let pair = presented.as_ref().zip(self.inner.setup_code.as_ref());
        pair.is_some_and(|(presented, right)| hash(presented) == hash(right))
    }
}

/// Ids are given from 1 on; the first administers the server, so it is never removed.
const FIRST: u64 = 1;

pub(super) fn hash(code: &RecoveryCode) -> [u8; 32] {
    code.hash("rbackup v1 invite hash")
}
