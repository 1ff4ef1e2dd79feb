//! restic's repositories: objects that come sealed by their client and are kept as they came.
//!
//! Promises: an object is visible only whole, under a name that its content proved, and durable before it is acknowledged; an
//! object that is there is never replaced by other content; what append-only access may not do is refused here, whatever the way
//! in was. Every operation takes a [`RepoAccess`]. Never: looks into an object, or knows HTTP.

mod credentials;
mod intake;
mod object;
mod repo;
mod takeover;

pub(super) use self::credentials::Remembered;
pub use self::credentials::{Credentials, Owner};
pub use self::intake::{ObjectIntake, Proof};
pub use self::object::{ObjectListing, ObjectStat, StoredObject};
pub use self::repo::{RepoReport, RepoSummary, RepoUsage};
pub use self::takeover::Takeover;

use crate::model::{AccountId, ObjectKind, RepoPath};
use crate::service::Error;

/// How much somebody may do to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Everything.
    Full,
    /// Add and read; remove nothing but locks.
    AppendOnly,
}

/// Proof that a request may work on one repository, and how far. Made from an [`Owner`] by `server/guard` alone, and by what reads
/// the socket's preamble (`tests/house.rs` holds that); everything below asks nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoAccess {
    account: AccountId,
    repo: RepoPath,
    rights: Rights,
}

impl RepoAccess {
    /// Access to `repo` among the repositories of `owner`. `repo` must come from the one parse of what was asked for.
    pub fn new(owner: &Owner, repo: RepoPath, rights: Rights) -> Self {
        Self { account: owner.account(), repo, rights }
    }

    /// Whose repository it is.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Its name there.
    pub fn repo(&self) -> &RepoPath {
        &self.repo
    }

    /// How far the access goes.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// Locks come and go with every backup, so they may always be removed.
    fn require_removal(&self, kind: ObjectKind) -> Result<(), Error> {
        match (self.rights, kind) {
            (Rights::Full, _) | (_, ObjectKind::Locks) => Ok(()),
            (Rights::AppendOnly, _) => Err(Error::AppendOnly),
        }
    }
}
