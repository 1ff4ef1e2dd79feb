//! What RBackup does, in its own words: accounts, sessions, uploads, listings, downloads, removals.
//!
//! Every call blocks and belongs on a plain thread. Nothing here knows HTTP. A request gets at data only with a
//! [`Session`], which only [`Services::session`] makes, or with a [`restic::RepoAccess`], which only `server/guard` makes.

mod account;
mod content;
mod download;
mod error;
mod hashing;
mod htpasswd;
mod listing;
mod password;
mod removal;
pub mod restic;
mod secrets;
mod session;
mod status;
mod upload;

use std::sync::Arc;

pub use self::account::{Registered, SignedIn};
pub use self::download::Download;
pub use self::error::{Error, Thing};
pub use self::htpasswd::Users;
pub use self::listing::FileListing;
pub use self::session::Session;
pub use self::upload::{Intake, UploadRequest};

use crate::model::Clock;
use crate::store::Store;
pub use crate::store::{DamagedObject, DamagedVersion, Report};

/// The rules an owner may set.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How long a removed version can be brought back, in days.
    pub hold_days: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { hold_days: 7 }
    }
}

/// All services over one store. Cloning is cheap.
#[derive(Clone)]
pub struct Services {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    policy: Policy,
    /// Names and passwords of restic's that were right a moment ago.
    remembered: restic::Remembered,
}

impl Services {
    /// The services of `store`, with the time of `clock`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, policy: Policy) -> Self {
        let remembered = restic::Remembered::fresh();
        Self { inner: Arc::new(Inner { store, clock, policy, remembered }) }
    }

    /// Ends in good order: all is written out, and the next start has nothing to replay. Later calls are refused.
    pub fn close(&self) -> Result<(), Error> {
        Ok(self.inner.store.close()?)
    }
}
