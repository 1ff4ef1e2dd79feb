//! Registering and signing in.

use std::sync::Arc;

use zeroize::Zeroize;

use super::caller::{Caller, Visit, rights_of};
use super::error::Error;
use super::registration::Admission;
use super::secrets::{RecoveryCode, SessionSecret, random};
use super::{Services, password};
use crate::chunk::keys::{AccountKeys, DataKey, unwrap_key, wrap_key};
use crate::model::{AccountId, DeviceName, Password, Rights, Secret, Timestamp, Username};
use crate::store::{
    AccessOperation, AccountAdded, AccountRow, Credential, Done, Generation, Operation, SessionKind, SessionRow,
};

pub(super) const PASSWORD_CONTEXT: &[u8] = b"password";
pub(super) const RECOVERY_CONTEXT: &[u8] = b"recovery code";
pub(super) const SESSION_CONTEXT: &[u8] = b"session";
pub(super) const TOKEN_CONTEXT: &[u8] = b"token";

/// A new account.
#[derive(Debug)]
pub struct Registered {
    /// Its id.
    pub account: AccountId,
    /// What opens its data when the password is lost. Shown once, stored nowhere.
    pub recovery_code: Secret<String>,
}

/// A new session.
#[derive(Debug)]
pub struct SignedIn {
    /// What the device presents from now on.
    pub session_id: Secret<String>,
    /// Whether an older session of this device ended with it.
    pub renewed: bool,
}

impl Services {
    /// Adds an account with a data key of its own. Runs argon2 once, and not for who may not come in.
    pub fn register(&self, name: Username, password: Password, admission: &Admission) -> Result<Registered, Error> {
        let entry = self.entry(admission)?;
        if self.inner.store.catalog().account_by_name(&name.folded())?.is_some() {
            return Err(Error::AccountExists);
        }
        let data_key = DataKey::new(random()?);
        let (phc, mut password_key) = password::fresh(password.secret())?;
        let recovery = RecoveryCode::fresh()?;
        let added = AccountAdded {
            account: 0,
            administrator: false,
            name: name.as_str().to_owned(),
            folded: name.folded(),
            added: self.inner.clock.now().0,
            password: phc,
            password_wrap: wrap_key(&password_key, &data_key, PASSWORD_CONTEXT, random()?)?,
            recovery_wrap: wrap_key(&recovery.wrapping_key(), &data_key, RECOVERY_CONTEXT, random()?)?,
        };
        password_key.zeroize();
        let origin = admission.visit.origin("", self.inner.clock.now());
        let operation = Operation::access(AccessOperation::AddAccount { added, entry });
        match self.inner.store.commit(operation.from(origin))? {
            Done::Account(id) => Ok(Registered { account: AccountId(id), recovery_code: recovery.text() }),
            other => Err(Error::Internal(format!("registering did {other:?}").into())),
        }
    }

    /// Opens a session for a device; the one it had ends in the same commit. Runs argon2 once, also for unknown names.
    pub fn login(
        &self,
        name: &Username,
        password: &Secret<String>,
        device: DeviceName,
        visit: &Visit,
    ) -> Result<SignedIn, Error> {
        let (account, data_key) = self.open_account(name, password)?;
        self.open_session(&account, &data_key, SessionKind::Device, device, visit)
    }

    /// Opens a session of a kind with a password that was right just now.
    pub(super) fn open_session(
        &self,
        account: &AccountRow,
        data_key: &DataKey,
        kind: SessionKind,
        device: DeviceName,
        visit: &Visit,
    ) -> Result<SignedIn, Error> {
        let secret = SessionSecret::fresh()?;
        let wrap = wrap_key(&secret.wrapping_key(), data_key, SESSION_CONTEXT, random()?)?;
        let now = self.inner.clock.now().0;
        let row = SessionRow {
            account: account.added.account,
            device: device.as_str().to_owned(),
            number: 0,
            opened: now,
            generation: 0,
            newest: Generation { hash: secret.hash(), wrap },
            salt: None,
            used: Some(now),
            before: None,
            last_used: Some(now),
            address: visit.address.clone(),
            agent: visit.agent.clone(),
        };
        let operation = AccessOperation::OpenSession { kind, family: secret.family(), row };
        // The password may have changed while it was looked at.
        let origin = visit.origin("password", Timestamp(now));
        match self.inner.store.commit(Operation::access(operation).by(&proved(account)).from(origin))? {
            Done::Session { renewed } => Ok(SignedIn { session_id: secret.text(), renewed }),
            other => Err(Error::Internal(format!("signing in did {other:?}").into())),
        }
    }

    /// The caller with this name and password, for an account's own affairs. Runs argon2 once, also for unknown names.
    pub fn caller_by_password(
        &self,
        name: &Username,
        password: &Secret<String>,
        visit: &Visit,
    ) -> Result<Caller, Error> {
        let (account, data_key) = self.open_account(name, password)?;
        Ok(Caller {
            account: account.added.account,
            credential: proved(&account),
            rights: Rights::FULL.and(rights_of(&account)),
            device: None,
            browser: None,
            renewable: false,
            bound: false,
            prefix: None,
            until: None,
            origin: Arc::new(visit.origin("password", self.inner.clock.now())),
            keys: Arc::new(AccountKeys::derive(&data_key)),
            data_key: Arc::new(data_key),
        })
    }

    /// The account of this name and password with its data key. Runs argon2 once, also for unknown names; one that is disabled is
    /// told only to who has its password, by nothing but the same refusal.
    pub(super) fn open_account(
        &self,
        name: &Username,
        password: &Secret<String>,
    ) -> Result<(AccountRow, DataKey), Error> {
        let Some(account) = self.inner.store.catalog().account_by_name(&name.folded())? else {
            password::waste(password)?;
            return Err(Error::BadCredentials);
        };
        let mut password_key = password::key(&account.added.password, password)?;
        let opened = unwrap_key(&password_key, &account.added.password_wrap, PASSWORD_CONTEXT);
        password_key.zeroize();
        let data_key = opened.map_err(|_| Error::BadCredentials)?;
        if account.disabled.is_some() {
            return Err(Error::BadCredentials);
        }
        Ok((account, data_key))
    }
}

/// What a password that was right just now stands for.
pub(super) fn proved(account: &AccountRow) -> Credential {
    Credential::Password { account: account.added.account, epoch: account.epoch }
}
