//! Who asks, and with what rights: found once per request, handed to whatever is done for it.
//!
//! Promises: the rights are those of what was presented cut down to those of its account at this moment; every service asks a
//! [`Caller`] before it does anything; the keys to the content come only from what was presented. Never: outlives its request,
//! but for a change or an answer under way, which ask again ([`Services::stands`]).

use std::fmt;
use std::sync::Arc;

use super::error::Error;
use super::{Inner, Services};
use crate::chunk::keys::{AccountKeys, DataKey};
use crate::model::{AccountId, DeviceName, Rights, Scope, Timestamp};
use crate::store::{AccountRow, Credential, Origin};

/// Where a request comes from, and with what: shown to the account's owner, decides nothing.
#[derive(Debug, Clone, Default)]
pub struct Visit {
    /// The peer's address.
    pub address: String,
    /// What the client calls itself.
    pub agent: String,
    /// The device that the request says it comes from.
    pub device: Option<Vec<u8>>,
}

impl Visit {
    /// A command of the machine's owner.
    pub fn of_owner() -> Self {
        Self { address: "this machine".to_owned(), ..Self::default() }
    }

    /// The same for the audit log, of whom this says it is.
    pub(super) fn origin(&self, by: impl Into<String>, at: Timestamp) -> Origin {
        Origin { at: at.0, by: by.into(), address: self.address.clone(), agent: self.agent.clone() }
    }
}

/// Whoever asks.
#[derive(Clone)]
pub struct Caller {
    pub(super) account: u64,
    pub(super) credential: Credential,
    pub(super) rights: Rights,
    /// The device it works for.
    pub(super) device: Option<(DeviceName, u32)>,
    /// The browser it is.
    pub(super) browser: Option<DeviceName>,
    /// Whether it is a browser that is to get its session's next generation.
    pub(super) renewable: bool,
    /// Whether that is the only device it may see.
    pub(super) bound: bool,
    /// The only path at or below which it may see anything.
    pub(super) prefix: Option<Vec<u8>>,
    /// When it ends by itself.
    pub(super) until: Option<i64>,
    /// Who it is in the audit log, and from where.
    pub(super) origin: Arc<Origin>,
    pub(super) data_key: Arc<DataKey>,
    pub(super) keys: Arc<AccountKeys>,
}

/// What has to stay true while an answer is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub(super) credential: Credential,
    pub(super) until: Option<i64>,
}

/// What an account may do at this moment; whatever is presented for it can do no more.
pub(super) fn rights_of(account: &AccountRow) -> Rights {
    if account.disabled.is_some() { Rights::NONE } else { Rights::FULL }
}

/// Whether `path` is `prefix` or lies below it.
pub(super) fn lies_below(prefix: &[u8], path: &[u8]) -> bool {
    let ends_a_name = |byte: &u8| matches!(byte, b'/' | b'\\');
    path.strip_prefix(prefix).is_some_and(|rest| {
        rest.is_empty() || prefix.is_empty() || prefix.last().is_some_and(ends_a_name) || ends_a_name(&rest[0])
    })
}

impl Caller {
    /// The account.
    pub fn account(&self) -> AccountId {
        AccountId(self.account)
    }

    /// The device it works for.
    pub fn device(&self) -> Option<&DeviceName> {
        self.device.as_ref().map(|(name, _)| name)
    }

    /// The browser it is.
    pub fn browser(&self) -> Option<&DeviceName> {
        self.browser.as_ref()
    }

    /// Whether [`Services::renew`] may have something for it.
    pub fn is_renewable(&self) -> bool {
        self.renewable
    }

    /// What it may do.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// What has to stay true while it is answered.
    pub fn standing(&self) -> Standing {
        Standing { credential: self.credential.clone(), until: self.until }
    }

    /// An error unless it may do this.
    pub(super) fn require(&self, scope: Scope) -> Result<(), Error> {
        if self.rights.has(scope) { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// An error when it has ended by itself meanwhile.
    pub(super) fn require_in_time(&self, now: Timestamp) -> Result<(), Error> {
        if self.until.is_none_or(|until| now.0 < until) { Ok(()) } else { Err(Error::NoSession) }
    }

    /// The device whose files it uploads.
    pub(super) fn own_device(&self) -> Result<&(DeviceName, u32), Error> {
        self.device.as_ref().ok_or(Error::NeedDevice)
    }

    /// The only device whose files it may list; nothing when all. Without [`Scope::Read`] it is its own.
    pub(super) fn listed_device(&self) -> Result<Option<u32>, Error> {
        if self.rights.has(Scope::Read) {
            return Ok(self.device.as_ref().filter(|_| self.bound).map(|(_, number)| *number));
        }
        self.require(Scope::Append)?;
        self.own_device().map(|(_, number)| Some(*number))
    }

    /// Whether a file of this device and path exists for it.
    pub(super) fn sees(&self, device: u32, path: &[u8]) -> bool {
        let is_other = self.bound && self.device.as_ref().is_none_or(|(_, number)| *number != device);
        !is_other && self.prefix.as_ref().is_none_or(|prefix| lies_below(prefix, path))
    }

    /// Who it is in the audit log, at this moment.
    pub(super) fn origin(&self, at: Timestamp) -> Origin {
        Origin { at: at.0, ..(*self.origin).clone() }
    }

    /// What it does in the records of removals.
    pub(super) fn author(&self) -> &str {
        self.browser().or(self.device()).map_or("token", DeviceName::as_str)
    }
}

impl Services {
    /// Whether an answer under way may go on.
    pub fn stands(&self, standing: &Standing) -> Result<bool, Error> {
        let is_over = standing.until.is_some_and(|until| until <= self.inner.clock.now().0);
        Ok(!is_over && self.inner.store.catalog().is_valid(&standing.credential)?)
    }
}

impl Inner {
    /// The account's row, if anybody may use it.
    pub(super) fn living_account(&self, account: u64) -> Result<AccountRow, Error> {
        let row = self.store.catalog().account(account)?;
        row.filter(|row| row.disabled.is_none()).ok_or(Error::NoSession)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, rights, device, .. } = self;
        f.debug_struct("Caller")
            .field("account", account)
            .field("rights", rights)
            .field("device", device)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::lies_below;

    #[test]
    fn a_prefix_ends_where_a_name_ends() {
        for (prefix, path) in [
            ("/home/anna", "/home/anna"),
            ("/home/anna", "/home/anna/x"),
            ("/home/", "/home/anna"),
            ("", "x"),
            ("C:\\a", "C:\\a\\b"),
        ] {
            assert!(lies_below(prefix.as_bytes(), path.as_bytes()), "{prefix} {path}");
        }
        for (prefix, path) in
            [("/home/anna", "/home/annabel"), ("/home/anna", "/home"), ("/home/", "/home"), ("a", "b"), ("a", "")]
        {
            assert!(!lies_below(prefix.as_bytes(), path.as_bytes()), "{prefix} {path}");
        }
    }
}
