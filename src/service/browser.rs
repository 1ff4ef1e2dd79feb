//! Browsers: they sign in to an account, have no files, and work for a device when they send something.
//!
//! Promises: one session for each browser's name; signing in from a browser ends no device's session, and the other way round.
//! Never: makes a browser a device.

use super::account::SESSION_CONTEXT;
use super::caller::{Caller, Visit};
use super::error::{Error, Thing};
use super::secrets::{SessionSecret, random};
use super::{Services, SignedIn};
use crate::chunk::keys::wrap_key;
use crate::model::{DeviceName, Registration, Scope, Secret, Timestamp, Username};
use crate::store::{
    self, AccessOperation, AccountChange, Generation, Operation, SessionKind, SessionRow, Sessions, Tokens,
};

/// A sign-in of before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// When.
    pub at: Timestamp,
    /// Which device or browser.
    pub name: String,
    /// From where its session was last used.
    pub address: String,
}

impl Services {
    /// Whether nobody has registered yet.
    pub fn is_first_run(&self) -> Result<bool, Error> {
        Ok(!self.inner.store.catalog().has_accounts()?)
    }

    /// Who may register, once there is an account.
    pub fn registration(&self) -> Registration {
        self.inner.policy.registration
    }

    /// Opens a session of a browser; the one it had under this name ends. Runs argon2 once. The newest sign-in before it is told
    /// too, as far as the session that it opened is still there.
    pub fn sign_in_browser(
        &self,
        name: &Username,
        password: &Secret<String>,
        browser: DeviceName,
        visit: &Visit,
    ) -> Result<(SignedIn, Option<SignIn>), Error> {
        let (account, data_key) = self.open_account(name, password)?;
        let before = self.last_sign_in(account.added.account)?;
        let signed_in = self.open_session(&account, &data_key, SessionKind::Browser, browser, visit)?;
        Ok((signed_in, before))
    }

    fn last_sign_in(&self, account: u64) -> Result<Option<SignIn>, Error> {
        let catalog = self.inner.store.catalog();
        let mut newest: Option<SignIn> = None;
        for (name, row) in catalog.devices(account)?.into_iter().chain(catalog.browsers(account)?) {
            let Some(family) = row.session else { continue };
            let Some(session) = catalog.session(&family)? else { continue };
            if newest.as_ref().is_none_or(|newest| newest.at.0 < session.opened) {
                newest = Some(SignIn { at: Timestamp(session.opened), name, address: session.address });
            }
        }
        Ok(newest)
    }

    /// Adds a device that has not signed in yet, so that a browser can send files for it. False when it is there already.
    /// A device comes by signing in: this one does with a secret that nobody gets, and out again.
    pub fn add_device(&self, caller: &Caller, device: DeviceName) -> Result<bool, Error> {
        caller.require(Scope::Admin)?;
        let secret = SessionSecret::fresh()?;
        let wrap = wrap_key(&secret.wrapping_key(), &caller.data_key, SESSION_CONTEXT, random()?)?;
        let now = self.inner.clock.now().0;
        let row = SessionRow {
            account: caller.account,
            device: device.as_str().to_owned(),
            number: 0,
            opened: now,
            generation: 0,
            newest: Generation { hash: secret.hash(), wrap },
            salt: None,
            used: Some(now),
            before: None,
            last_used: Some(now),
            address: String::new(),
            agent: String::new(),
        };
        let open = AccessOperation::OpenSession { kind: SessionKind::NewDevice, family: secret.family(), row };
        match self.inner.store.commit(Operation::access(open).by(&caller.credential)) {
            Ok(_) => {}
            Err(store::Error::Exists) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let close = AccessOperation::Change {
            account: caller.account,
            change: AccountChange::default(),
            sessions: Sessions::One(secret.family()),
            tokens: Tokens::None,
            at: now,
            why: "added from a browser",
        };
        let close = Operation::access(close).by(&caller.credential).from(caller.origin(self.now()));
        self.inner.store.commit(close)?;
        Ok(true)
    }

    /// The name of the caller's account.
    pub fn account_name(&self, caller: &Caller) -> Result<String, Error> {
        Ok(self.inner.living_account(caller.account)?.added.name)
    }

    /// The same browser, working for a device.
    pub fn on_behalf_of(&self, caller: &Caller, device: DeviceName) -> Result<Caller, Error> {
        let row = self.inner.store.catalog().device(caller.account, device.as_str())?;
        let number = row.ok_or(Error::NotFound(Thing::Device))?.number;
        Ok(Caller { device: Some((device, number)), ..caller.clone() })
    }
}
