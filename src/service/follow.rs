//! What has to be written because somebody asked: a first use, a theft, or just when something was last used.
//!
//! Promise: what only informs is written by one request at a time for each session or token, and nobody waits for it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::Services;
use super::error::Error;
use crate::store::{self, AccessOperation, Operation, Origin};

/// Sessions and tokens whose use is being noted.
pub(super) type Noting = Arc<Mutex<HashSet<[u8; 32]>>>;

/// A change that follows from a request.
#[derive(Debug)]
pub enum Follow {
    /// It has to be on the disk before the request is answered.
    Must(AccessOperation, Origin),
    /// It may be written whenever there is time.
    May(AccessOperation, Noted),
}

/// Keeps others from noting the same meanwhile.
#[derive(Debug)]
pub struct Noted {
    key: [u8; 32],
    noting: Noting,
}

impl Follow {
    /// What follows from a use of `key`; nothing when it need not be, and somebody is at it already.
    pub(super) fn of(operation: AccessOperation, key: [u8; 32], must: bool, noting: &Noting) -> Option<Self> {
        if must {
            return Some(Self::Must(operation, Origin::default()));
        }
        let is_new = noting.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        is_new.then(|| Self::May(operation, Noted { key, noting: Arc::clone(noting) }))
    }

    /// Whether the request has to wait for it.
    pub fn is_must(&self) -> bool {
        matches!(self, Self::Must(..))
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.noting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Services {
    /// Writes it. What ended meanwhile needs no note.
    pub fn follow(&self, follow: Follow) -> Result<(), Error> {
        let (operation, origin, _noted) = match follow {
            Follow::Must(operation, origin) => (operation, origin, None),
            Follow::May(operation, noted) => (operation, Origin::default(), Some(noted)),
        };
        match self.inner.store.commit(Operation::access(operation).from(origin)) {
            Ok(_) | Err(store::Error::Missing) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
