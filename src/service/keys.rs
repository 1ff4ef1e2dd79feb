//! Changing what opens an account's data: a new password, with the old one or the recovery code; and, when both are lost, a new key.
//!
//! Promises: the data key is wrapped anew and no content is written again; whoever's password changed, their sessions end in the
//! same commit; a refusal costs the work of an argon2 run, whether or not the name exists. Never: sets a password for somebody who
//! can show nothing, unless the content is given up.

use zeroize::{Zeroize, Zeroizing};

use super::account::{PASSWORD_CONTEXT, RECOVERY_CONTEXT, proved};
use super::caller::Visit;
use super::error::Error;
use super::secrets::{RecoveryCode, random};
use super::{Services, password};
use crate::chunk::keys::{DataKey, unwrap_key, wrap_key};
use crate::model::{Password, Secret, Username};
use crate::store::{
    self, AccessOperation, AccountChange, AccountRow, Credential, Done, Operation, Origin, Sessions, Target, Tokens,
};

/// What shows that somebody may set a new password.
#[derive(Debug)]
pub enum Proof {
    /// The password of now.
    Password(Secret<String>),
    /// The recovery code.
    RecoveryCode(Secret<String>),
}

/// What ended with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Sessions.
    pub sessions: usize,
    /// Tokens.
    pub tokens: usize,
}

/// A password that was set by the recovery code.
#[derive(Debug)]
pub struct Recovered {
    /// The next code; the old one is worth nothing any more.
    pub recovery_code: Secret<String>,
    /// What ended.
    pub ended: Ended,
}

/// An account whose owner has shown who it is, with its key under the new password.
struct Opened {
    account: AccountRow,
    data_key: DataKey,
    password: (String, Vec<u8>),
}

/// What an account's key opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContentSummary {
    /// Files that are listed.
    pub files: u64,
    /// Their versions.
    pub versions: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Services {
    /// Sets a new password and ends all sessions; tokens go on unless `revoke_tokens`. Runs argon2 once when refused, twice at most.
    pub fn change_password(
        &self,
        name: &Username,
        proof: &Proof,
        new: &Password,
        revoke_tokens: bool,
        visit: &Visit,
    ) -> Result<Ended, Error> {
        let by = if matches!(proof, Proof::Password(_)) { "password" } else { "recovery code" };
        let opened = match proof {
            Proof::Password(old) => {
                let (account, data_key) = self.open_account(name, old)?;
                let password = wrapped(new, &data_key)?;
                Opened { account, data_key, password }
            }
            Proof::RecoveryCode(code) => self.open_with_code(name, code, new)?,
        };
        let change = AccountChange { password: Some(opened.password), ..AccountChange::default() };
        let tokens = if revoke_tokens { Tokens::All } else { Tokens::None };
        let origin = visit.origin(by, self.now());
        self.change_account(&opened.account, change, tokens, "the password was changed", origin)
    }

    /// Sets a new password by the recovery code, which is replaced; ends all sessions and tokens. Runs argon2 once.
    pub fn recover(
        &self,
        name: &Username,
        code: &Secret<String>,
        new: &Password,
        visit: &Visit,
    ) -> Result<Recovered, Error> {
        let Opened { account, data_key, password } = self.open_with_code(name, code, new)?;
        let recovery = RecoveryCode::fresh()?;
        let change = AccountChange {
            password: Some(password),
            recovery_wrap: Some(wrap_key(&recovery.wrapping_key(), &data_key, RECOVERY_CONTEXT, random()?)?),
            enabled: None,
        };
        let origin = visit.origin("recovery code", self.now());
        let ended = self.change_account(&account, change, Tokens::All, "the password was recovered", origin)?;
        Ok(Recovered { recovery_code: recovery.text(), ended })
    }

    /// What [`Services::forget_content`] would give up. For the machine's owner.
    pub fn content_of(&self, name: &Username) -> Result<ContentSummary, Error> {
        let account = self.account_named(name)?.added.account;
        let mut content = ContentSummary::default();
        for file in self.inner.store.catalog().files(account) {
            let living: Vec<u64> =
                file?.versions.iter().filter(|version| version.removal.is_none()).map(|one| one.row.size).collect();
            content.files += u64::from(!living.is_empty());
            content.versions += living.len() as u64;
            content.bytes += living.iter().sum::<u64>();
        }
        Ok(content)
    }

    /// Gives an account a new data key and a new password. Nothing that was uploaded before can be read any more, so it is removed
    /// first. restic's objects are sealed by their clients and stay. For the machine's owner.
    pub fn forget_content(&self, name: &Username, new: &Password) -> Result<Recovered, Error> {
        let account = self.account_named(name)?;
        let files: Vec<u64> = {
            let files = self.inner.store.catalog().files(account.added.account);
            files.map(|file| Ok(file?.file)).collect::<Result<_, store::Error>>()?
        };
        for file in files {
            let removal = self.removal_by("forgotten");
            let target = Target::File(file);
            match self.inner.store.commit(Operation::Remove { account: account.added.account, target, removal }) {
                Ok(_) | Err(store::Error::Missing) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let data_key = DataKey::new(random()?);
        let recovery = RecoveryCode::fresh()?;
        let change = AccountChange {
            password: Some(wrapped(new, &data_key)?),
            recovery_wrap: Some(wrap_key(&recovery.wrapping_key(), &data_key, RECOVERY_CONTEXT, random()?)?),
            enabled: None,
        };
        let origin = self.owner_origin();
        let ended = self.change_account(&account, change, Tokens::All, "the content was given up", origin)?;
        Ok(Recovered { recovery_code: recovery.text(), ended })
    }

    /// Lets an account be used, or nobody use it: then its sessions end in the same commit, and its tokens rest. For the machine's owner.
    pub fn set_enabled(&self, name: &Username, enabled: bool) -> Result<Ended, Error> {
        let account = self.account_named(name)?.added.account;
        let operation = AccessOperation::Change {
            account,
            change: AccountChange { enabled: Some(enabled), ..AccountChange::default() },
            sessions: if enabled { Sessions::None } else { Sessions::All },
            tokens: Tokens::None,
            at: self.inner.clock.now().0,
            why: if enabled { "enabled" } else { "disabled" },
        };
        ended(self.inner.store.commit(Operation::access(operation).from(self.owner_origin()))?)
    }

    /// The account and its data key by its recovery code, and the key under the new password. The slow part comes first, so that a
    /// wrong name, a wrong code and a right one take the same time.
    fn open_with_code(&self, name: &Username, code: &Secret<String>, new: &Password) -> Result<Opened, Error> {
        let (phc, password_key) = password::fresh(new.secret())?;
        let password_key = Zeroizing::new(password_key);
        let account = self.inner.store.catalog().account_by_name(&name.folded())?;
        let account = account.filter(|row| row.disabled.is_none()).ok_or(Error::BadRecoveryCode)?;
        let code = RecoveryCode::parse(code.reveal()).ok_or(Error::BadRecoveryCode)?;
        let opened = unwrap_key(&code.wrapping_key(), &account.added.recovery_wrap, RECOVERY_CONTEXT);
        let data_key = opened.map_err(|_| Error::BadRecoveryCode)?;
        let wrap = wrap_key(&password_key, &data_key, PASSWORD_CONTEXT, random()?)?;
        Ok(Opened { account, data_key, password: (phc, wrap) })
    }

    fn change_account(
        &self,
        account: &AccountRow,
        change: AccountChange,
        tokens: Tokens,
        why: &'static str,
        origin: Origin,
    ) -> Result<Ended, Error> {
        // What was shown counts only if nobody has changed the account meanwhile.
        let shown = match account.disabled {
            None => proved(account),
            Some(_) => Credential::Word { account: 0 },
        };
        let account = account.added.account;
        let at = self.inner.clock.now().0;
        let operation = AccessOperation::Change { account, change, sessions: Sessions::All, tokens, at, why };
        ended(self.inner.store.commit(Operation::access(operation).by(&shown).from(origin))?)
    }
}

fn ended(done: Done) -> Result<Ended, Error> {
    match done {
        Done::Ended { sessions, tokens } => Ok(Ended { sessions, tokens }),
        other => Err(Error::Internal(format!("changing an account did {other:?}").into())),
    }
}

/// The data key under a new password, with the parameters and the salt that make it out of that.
fn wrapped(new: &Password, data_key: &DataKey) -> Result<(String, Vec<u8>), Error> {
    let (phc, mut password_key) = password::fresh(new.secret())?;
    let wrap = wrap_key(&password_key, data_key, PASSWORD_CONTEXT, random()?);
    password_key.zeroize();
    Ok((phc, wrap?))
}
