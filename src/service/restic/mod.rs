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

use crate::model::{AccountId, ObjectKind, RepoPath, Rights, Scope};
use crate::service::{Error, Inner, Standing};
use crate::store::{Credential, RepoRow};

/// Proof that a request may work on one repository, and how far. Made from an [`Owner`] by `server/guard` alone, and by what reads
/// the socket's preamble (`tests/house.rs` holds that); everything below asks nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoAccess {
    account: AccountId,
    repo: RepoPath,
    rights: Rights,
    standing: Standing,
}

impl RepoAccess {
    /// Access to `repo` among the repositories of `owner`, with as many of its rights as `rights` has. `repo` must come from the one
    /// parse of what was asked for.
    pub fn new(owner: &Owner, repo: RepoPath, rights: Rights) -> Self {
        let sees = owner.sees(&repo);
        let rights = if sees { owner.rights().and(rights) } else { Rights::NONE };
        Self { account: owner.account(), repo, rights, standing: owner.standing() }
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

    /// What has to stay true while it is answered.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What it works with.
    fn credential(&self) -> &Credential {
        &self.standing.credential
    }

    fn require_adding(&self) -> Result<(), Error> {
        self.require_any(&[Scope::Append])
    }

    /// Names and sizes.
    fn require_listing(&self) -> Result<(), Error> {
        self.require_any(&[Scope::Append, Scope::Read])
    }

    /// Contents. A backup reads what is there, so whoever may append may read.
    fn require_reading(&self) -> Result<(), Error> {
        self.require_any(&[Scope::Append, Scope::Restore])
    }

    /// Locks come and go with every backup, so whoever may make them may remove them.
    fn require_removal(&self, kind: ObjectKind) -> Result<(), Error> {
        match (self.rights.has(Scope::Append), kind) {
            (true, ObjectKind::Locks) => Ok(()),
            (true, _) if !self.rights.has(Scope::Delete) => Err(Error::AppendOnly),
            _ => self.require_any(&[Scope::Delete]),
        }
    }

    fn require_any(&self, scopes: &[Scope]) -> Result<(), Error> {
        if scopes.iter().any(|scope| self.rights.has(*scope)) { Ok(()) } else { Err(Error::Forbidden) }
    }
}

impl Inner {
    /// The repository's row, if it is there and what the access rests on is still valid.
    fn repo(&self, access: &RepoAccess) -> Result<Option<RepoRow>, Error> {
        let catalog = self.store.catalog();
        if !catalog.is_valid(access.credential())? {
            return Err(Error::NoSession);
        }
        Ok(catalog.repo(access.account.0, access.repo.as_str())?)
    }
}
