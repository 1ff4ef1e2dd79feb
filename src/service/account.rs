//! Registering and signing in.

use zeroize::Zeroize;

use super::Services;
use super::error::Error;
use super::password;
use super::secrets::{RecoveryCode, SessionSecret, random};
use crate::chunk::keys::{DataKey, unwrap_key, wrap_key};
use crate::model::{AccountId, DeviceName, Password, Secret, Username};
use crate::store::{AccountAdded, Done, Operation};

const PASSWORD_CONTEXT: &[u8] = b"password";
const RECOVERY_CONTEXT: &[u8] = b"recovery code";
pub(super) const SESSION_CONTEXT: &[u8] = b"session";

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
    /// Adds an account with a data key of its own. Runs argon2 once.
    pub fn register(&self, name: Username, password: Password) -> Result<Registered, Error> {
        if self.inner.store.catalog().account_by_name(&name.folded())?.is_some() {
            return Err(Error::AccountExists);
        }
        let data_key = DataKey::new(random()?);
        let (phc, mut password_key) = password::fresh(password.secret())?;
        let recovery = RecoveryCode::fresh()?;
        let operation = Operation::AddAccount {
            name: name.as_str().to_owned(),
            folded: name.folded(),
            at: self.inner.clock.now().0,
            password: phc,
            password_wrap: wrap_key(&password_key, &data_key, PASSWORD_CONTEXT, random()?)?,
            recovery_wrap: wrap_key(&recovery.wrapping_key(), &data_key, RECOVERY_CONTEXT, random()?)?,
        };
        password_key.zeroize();
        match self.inner.store.commit(operation)? {
            Done::Account(id) => Ok(Registered { account: AccountId(id), recovery_code: recovery.text() }),
            other => Err(Error::Internal(format!("registering did {other:?}").into())),
        }
    }

    /// Opens a session for a device; the one it had ends in the same commit. Runs argon2 once, also for unknown names.
    pub fn login(&self, name: &Username, password: &Secret<String>, device: DeviceName) -> Result<SignedIn, Error> {
        let (account, data_key) = self.open_account(name, password)?;
        let secret = SessionSecret::fresh()?;
        let operation = Operation::OpenSession {
            account: account.account,
            device: device.as_str().to_owned(),
            session: secret.hash(),
            wrap: wrap_key(&secret.wrapping_key(), &data_key, SESSION_CONTEXT, random()?)?,
            at: self.inner.clock.now().0,
        };
        match self.inner.store.commit(operation)? {
            Done::Session { renewed } => Ok(SignedIn { session_id: secret.text(), renewed }),
            other => Err(Error::Internal(format!("signing in did {other:?}").into())),
        }
    }

    /// The account of this name and password, and the seq its row had before the password was looked at. Runs argon2 once, also
    /// for unknown names.
    pub(super) fn verify_password(&self, name: &Username, password: &Secret<String>) -> Result<(u64, u64), Error> {
        let catalog = self.inner.store.catalog();
        let known = catalog.account_by_name(&name.folded())?;
        let epoch = known.map(|account| catalog.account_epoch(account.account)).transpose()?.flatten();
        let (account, _) = self.open_account(name, password)?;
        Ok((account.account, epoch.ok_or(Error::BadCredentials)?))
    }

    fn open_account(&self, name: &Username, password: &Secret<String>) -> Result<(AccountAdded, DataKey), Error> {
        let Some(account) = self.inner.store.catalog().account_by_name(&name.folded())? else {
            password::waste(password)?;
            return Err(Error::BadCredentials);
        };
        let mut password_key = password::key(&account.password, password)?;
        let opened = unwrap_key(&password_key, &account.password_wrap, PASSWORD_CONTEXT);
        password_key.zeroize();
        Ok((account, opened.map_err(|_| Error::BadCredentials)?))
    }
}
