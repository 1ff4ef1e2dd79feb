//! Tokens: long-lived secrets for cron jobs and restic, with as few rights as their work needs.
//!
//! Promises: what a token may do is its own scopes cut down to its account's rights at the moment it is used; its secret is
//! shown once; only a session or the password makes one. Never: makes one that may do more than whoever asks for it.

use std::sync::Arc;

use super::account::TOKEN_CONTEXT;
use super::caller::{Caller, Visit, rights_of};
use super::error::{Error, Thing};
use super::secrets::{TokenSecret, random};
use super::session::NOTED_EVERY_MS;
use super::{Follow, Inner, Services};
use crate::chunk::keys::{AccountKeys, unwrap_key, wrap_key};
use crate::model::{DeviceName, Invalid, Rights, Scope, Secret, Timestamp, limits};
use crate::store::{AccessOperation, AccountChange, Credential, Done, Operation, Sessions, TokenRow, Tokens};

/// What a token is to be.
#[derive(Debug)]
pub struct TokenWish {
    /// What its owner calls it.
    pub label: String,
    /// What it may do.
    pub rights: Rights,
    /// The only device it may see.
    pub device: Option<DeviceName>,
    /// The only path, or repository, at or below which it may see anything.
    pub prefix: Option<Vec<u8>>,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
}

/// A token that was made.
#[derive(Debug)]
pub struct MadeToken {
    /// Its number.
    pub id: u64,
    /// What is presented; stored nowhere.
    pub secret: Secret<String>,
}

/// A token as its owner sees it.
#[derive(Debug)]
pub struct TokenSummary {
    /// Its number.
    pub id: u64,
    /// What its owner calls it.
    pub label: String,
    /// What it may do.
    pub rights: Rights,
    /// The only device it may see.
    pub device: Option<DeviceName>,
    /// The only path at or below which it may see anything.
    pub prefix: Option<Vec<u8>>,
    /// When it was made.
    pub made: Timestamp,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the hour.
    pub last_used: Option<Timestamp>,
    /// From where.
    pub address: String,
    /// With what.
    pub agent: String,
}

/// Some tokens of the own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichTokens {
    /// The one with this number.
    One(u64),
    /// All.
    All,
}

impl Services {
    /// The caller that a token's secret stands for.
    pub(super) fn caller_by_token(&self, presented: &str, visit: &Visit) -> (Result<Caller, Error>, Option<Follow>) {
        match self.inner.caller_by_token(presented, visit) {
            Ok((caller, follow)) => (Ok(caller), follow),
            Err(error) => (Err(error), None),
        }
    }

    /// Makes a token of the caller's account.
    pub fn make_token(&self, caller: &Caller, wish: TokenWish) -> Result<MadeToken, Error> {
        if matches!(caller.credential, Credential::Token { .. }) || wish.rights.and(caller.rights) != wish.rights {
            return Err(Error::Forbidden);
        }
        self.inner.require_sensible(&wish)?;
        let catalog = self.inner.store.catalog();
        if catalog.tokens(caller.account)?.len() >= limits::TOKENS_MAX {
            return Err(Error::TooManyTokens { tokens_max: limits::TOKENS_MAX });
        }
        let device = match wish.device {
            Some(name) => {
                let row = catalog.device(caller.account, name.as_str())?.ok_or(Error::NotFound(Thing::Device))?;
                Some((name.as_str().to_owned(), row.number))
            }
            None => None,
        };
        let secret = TokenSecret::fresh()?;
        let row = TokenRow {
            account: caller.account,
            token: 0,
            label: wish.label,
            scopes: wish.rights.to_byte(),
            device,
            prefix: wish.prefix,
            made: self.inner.clock.now().0,
            expires: wish.expires.map(|moment| moment.0),
            last_used: None,
            address: String::new(),
            agent: String::new(),
            wrap: wrap_key(&secret.wrapping_key(), &caller.data_key, TOKEN_CONTEXT, random()?)?,
        };
        let operation = AccessOperation::MakeToken { hash: secret.hash(), row };
        match self
            .inner
            .store
            .commit(Operation::access(operation).by(&caller.credential).from(caller.origin(self.now())))?
        {
            Done::Token(id) => Ok(MadeToken { id, secret: secret.text() }),
            other => Err(Error::Internal(format!("making a token did {other:?}").into())),
        }
    }

    /// The account's tokens in the order they were made, those that have ended by themselves too.
    pub fn tokens(&self, caller: &Caller) -> Result<Vec<TokenSummary>, Error> {
        caller.require(Scope::Admin)?;
        let tokens = self.inner.store.catalog().tokens(caller.account)?.into_iter().map(|entry| entry.row);
        tokens.map(summary).collect()
    }

    /// Ends tokens of the caller's account, and returns how many.
    pub fn revoke_tokens(&self, caller: &Caller, which: WhichTokens) -> Result<usize, Error> {
        caller.require(Scope::Admin)?;
        let change = AccessOperation::Change {
            account: caller.account,
            change: AccountChange::default(),
            sessions: Sessions::None,
            tokens: match which {
                WhichTokens::One(token) => Tokens::One(token),
                WhichTokens::All => Tokens::All,
            },
            at: self.inner.clock.now().0,
            why: "revoked",
        };
        match self
            .inner
            .store
            .commit(Operation::access(change).by(&caller.credential).from(caller.origin(self.now())))?
        {
            Done::Ended { tokens: 0, .. } if which != WhichTokens::All => Err(Error::NotFound(Thing::Token)),
            Done::Ended { tokens, .. } => Ok(tokens),
            other => Err(Error::Internal(format!("revoking did {other:?}").into())),
        }
    }
}

fn summary(row: TokenRow) -> Result<TokenSummary, Error> {
    Ok(TokenSummary {
        id: row.token,
        label: row.label,
        rights: Rights::from_byte(row.scopes),
        device: row.device.map(|(name, _)| DeviceName::parse(name)).transpose()?,
        prefix: row.prefix,
        made: Timestamp(row.made),
        expires: row.expires.map(Timestamp),
        last_used: row.last_used.map(Timestamp),
        address: row.address,
        agent: row.agent,
    })
}

impl Inner {
    fn caller_by_token(&self, presented: &str, visit: &Visit) -> Result<(Caller, Option<Follow>), Error> {
        let secret = TokenSecret::parse(presented).ok_or(Error::NoSession)?;
        let (hash, now) = (secret.hash(), self.clock.now().0);
        let row = self.store.catalog().token(&hash)?.ok_or(Error::NoSession)?;
        if row.expires.is_some_and(|end| end <= now) {
            return Err(Error::NoSession);
        }
        let account = self.living_account(row.account)?;
        let device = self.device_of(&row, visit)?;
        let data_key = unwrap_key(&secret.wrapping_key(), &row.wrap, TOKEN_CONTEXT)?;
        let is_due = row.last_used.is_none_or(|last| now.saturating_sub(last) >= NOTED_EVERY_MS);
        let (address, agent) = (visit.address.clone(), visit.agent.clone());
        let used = || AccessOperation::UseToken { hash, at: now, address, agent };
        let follow = if is_due { Follow::of(used(), hash, false, &self.noting) } else { None };
        let caller = Caller {
            account: row.account,
            credential: Credential::Token { account: row.account, hash },
            rights: Rights::from_byte(row.scopes).and(rights_of(&account)),
            bound: row.device.is_some(),
            device,
            browser: None,
            renewable: false,
            prefix: row.prefix,
            until: row.expires,
            origin: Arc::new(visit.origin(format!("token {} {:?}", row.token, row.label), Timestamp(now))),
            keys: Arc::new(AccountKeys::derive(&data_key)),
            data_key: Arc::new(data_key),
        };
        Ok((caller, follow))
    }

    /// The device a token works for: its own, or any that the request names when it is bound to none.
    fn device_of(&self, row: &TokenRow, visit: &Visit) -> Result<Option<(DeviceName, u32)>, Error> {
        let named = visit.device.as_ref();
        match (&row.device, named) {
            (Some((name, _)), Some(named)) if name.as_bytes() != named => {
                let (account, token) = (row.account, row.token);
                tracing::warn!(account, token, address = visit.address, "audit: a token was used for another device");
                self.audit_wrong_device(account, format!("token {token}"), visit);
                Err(Error::WrongDevice)
            }
            (Some((name, number)), _) => Ok(Some((DeviceName::parse(name.clone())?, *number))),
            (None, Some(named)) => {
                let name = String::from_utf8(named.clone()).map_err(|_| Error::WrongDevice)?;
                let device = self.store.catalog().device(row.account, &name)?.ok_or(Error::WrongDevice)?;
                Ok(Some((DeviceName::parse(name)?, device.number)))
            }
            (None, None) => Ok(None),
        }
    }

    fn require_sensible(&self, wish: &TokenWish) -> Result<(), Error> {
        let problem = if wish.rights == Rights::NONE {
            ("scopes", "must name append, read, restore, delete or admin")
        } else if wish.label.is_empty() || wish.label.len() > limits::TOKEN_LABEL_BYTES_MAX {
            ("name", "must have 1 to 128 bytes")
        } else if wish.label.chars().any(char::is_control) {
            ("name", "contains control characters")
        } else if wish.expires.is_some_and(|end| end <= self.clock.now()) {
            ("expires_days", "must lie in the future")
        } else if wish.prefix.as_ref().is_some_and(|path| path.is_empty() || path.len() > limits::FILE_PATH_BYTES_MAX) {
            ("path", "must have 1 to 4096 bytes")
        } else {
            return Ok(());
        };
        Err(Invalid::new(problem.0, problem.1).into())
    }
}
