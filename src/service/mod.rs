//! What RBackup does, in its own words: accounts, sessions, uploads, listings, downloads, removals.
//!
//! Every call blocks and belongs on a plain thread. Nothing here knows HTTP. A request gets at data only with a [`Caller`],
//! which is made of what was presented, or with a [`restic::RepoAccess`], which only `server/guard` makes.

mod account;
mod admin;
mod archive;
mod audit;
pub mod browse;
mod browser;
mod caller;
mod content;
mod download;
mod error;
mod follow;
mod hashing;
mod htpasswd;
mod keys;
mod listing;
mod password;
mod quota;
mod registration;
mod removal;
pub mod restic;
mod restore;
mod secrets;
mod session;
mod status;
mod token;
mod upload;

use std::collections::HashSet;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

pub use self::account::{Registered, SignedIn};
pub use self::admin::{AccountSummary, InviteSummary};
pub use self::archive::{Archive, ArchiveQuery};
pub use self::audit::{AuditLine, AuditPage};
pub use self::browser::SignIn;
pub use self::caller::{Caller, Standing, Visit};
pub use self::download::Download;
pub use self::error::{Error, Thing};
pub use self::follow::Follow;
pub use self::htpasswd::Users;
pub use self::keys::{ContentSummary, Ended, Proof, Recovered};
pub use self::listing::{DeviceSummary, FileListing};
pub use self::quota::{AccountUse, BoundChange, OwnAccount};
pub use self::registration::{Admission, Invited};
pub use self::session::{SessionSummary, WhichSessions};
pub use self::token::{MadeToken, TokenSummary, TokenWish, WhichTokens};
pub use self::upload::{Intake, UploadRequest};

use crate::model::{Clock, Registration, Timestamp};
use crate::store::Store;
pub use crate::store::{AuditEntry, AuditEvent, AuditReport, DamagedObject, DamagedVersion, Report};

/// The rules an owner may set.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How long a removed version can be brought back, in days.
    pub hold_days: u32,
    /// A session that nobody uses for so long ends, in days.
    pub session_idle_days: u32,
    /// A session ends so long after its device signed in, in days.
    pub session_absolute_days: u32,
    /// Who may register, once there is an account.
    pub registration: Registration,
}

impl Default for Policy {
    fn default() -> Self {
        let registration = Registration::Open;
        Self { hold_days: 7, session_idle_days: 30, session_absolute_days: 180, registration }
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
    /// Sessions and tokens whose use is being noted.
    noting: follow::Noting,
    /// What the first account needs from elsewhere, new with each start; without randomness nobody from elsewhere makes it.
    setup_code: Option<secrets::RecoveryCode>,
    /// What accounts have, counted a moment ago.
    counted: Mutex<browse::Counted>,
    /// Bytes of the plans of archives under way.
    planned: Arc<AtomicUsize>,
    /// What the audit log may say of strangers.
    strangers: audit::Strangers,
}

impl Services {
    /// The services of `store`, with the time of `clock`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, policy: Policy) -> Self {
        let remembered = restic::Remembered::fresh();
        let setup_code = secrets::RecoveryCode::fresh().ok();
        let noting = Arc::new(Mutex::new(HashSet::new()));
        let counted = Mutex::default();
        Self {
            inner: Arc::new(Inner {
                store,
                clock,
                policy,
                remembered,
                noting,
                setup_code,
                counted,
                planned: Arc::default(),
                strangers: audit::Strangers::default(),
            }),
        }
    }

    /// The caller that a session's or a token's secret stands for, found by looking alone, and what has to follow from that.
    pub fn caller(&self, presented: &str, visit: &Visit) -> (Result<Caller, Error>, Option<Follow>) {
        match secrets::TokenSecret::is_meant(presented) {
            true => self.caller_by_token(presented, visit),
            false => self.caller_by_session(presented, visit),
        }
    }

    /// Whether a text wants to be a token.
    pub fn is_token(presented: &str) -> bool {
        secrets::TokenSecret::is_meant(presented)
    }

    /// The present moment, as sessions and tokens see it.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Ends in good order: all is written out, and the next start has nothing to replay. Later calls are refused.
    pub fn close(&self) -> Result<(), Error> {
        self.audit_left_out();
        Ok(self.inner.store.close()?)
    }
}
