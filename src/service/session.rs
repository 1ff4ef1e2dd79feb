//! What a request may do: a session, found by the hash of what the client presents. One lookup per request, no cache,
//! so a session that ended is refused at once.

use std::fmt;
use std::sync::Arc;

use super::Services;
use super::account::SESSION_CONTEXT;
use super::error::Error;
use super::secrets::SessionSecret;
use crate::chunk::keys::{AccountKeys, unwrap_key};
use crate::model::{AccountId, DeviceName};

/// A live session: proof of who asks, and the keys to what is theirs.
#[derive(Clone)]
pub struct Session {
    pub(super) account: u64,
    pub(super) device: DeviceName,
    pub(super) device_number: u32,
    pub(super) hash: [u8; 32],
    pub(super) keys: Arc<AccountKeys>,
}

impl Services {
    /// The session that `presented` stands for, if it is live.
    pub fn session(&self, presented: &str) -> Result<Session, Error> {
        let secret = SessionSecret::parse(presented).ok_or(Error::NoSession)?;
        let hash = secret.hash();
        let row = self.inner.store.catalog().session(&hash)?.ok_or(Error::NoSession)?;
        let data_key = unwrap_key(&secret.wrapping_key(), &row.wrap, SESSION_CONTEXT)?;
        Ok(Session {
            account: row.account,
            device: DeviceName::parse(row.device)?,
            device_number: row.number,
            hash,
            keys: Arc::new(AccountKeys::derive(&data_key)),
        })
    }
}

impl Session {
    /// The account it belongs to.
    pub fn account(&self) -> AccountId {
        AccountId(self.account)
    }

    /// The device it is bound to.
    pub fn device(&self) -> &DeviceName {
        &self.device
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("account", &self.account).field("device", &self.device).finish_non_exhaustive()
    }
}
