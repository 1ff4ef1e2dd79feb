//! Repositories as a whole: what there is, how much is in it, and its removal.

use super::object::AUTHOR;
use super::{Owner, RepoAccess};
use crate::model::{ObjectKind, RepoPath, Rights, Scope, Timestamp};
use crate::service::{Caller, Error, Services, Thing};
use crate::store::{self, Operation, RepoOperation};

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoSummary {
    /// Its name.
    pub path: RepoPath,
    /// When it was made.
    pub created: Timestamp,
}

/// A repository with what is in it, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoReport {
    /// The repository.
    pub repo: RepoSummary,
    /// What is in it.
    pub usage: RepoUsage,
    /// The moment it was looked at, for ages.
    pub now: Timestamp,
}

/// What is in a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepoUsage {
    /// Objects of all kinds.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Snapshots among them.
    pub snapshots: u64,
    /// When the newest object arrived, locks not counted.
    pub last_write: Option<Timestamp>,
    /// When each lock arrived.
    pub locks: Vec<Timestamp>,
}

impl Services {
    /// The owner's repositories, by name.
    pub fn repos(&self, owner: &Owner) -> Result<Vec<RepoSummary>, Error> {
        let repos = self.inner.store.catalog().repos(owner.account().0);
        let summary = |entry: store::RepoEntry| {
            Ok(RepoSummary { path: RepoPath::parse(&entry.path)?, created: Timestamp(entry.row.created) })
        };
        repos.map(|entry| summary(entry?)).collect()
    }

    /// The repositories that a caller may see with what is in them. Reads the rows of all their objects.
    pub fn repo_reports(&self, caller: &Caller) -> Result<Vec<RepoReport>, Error> {
        caller.require(Scope::Read)?;
        let owner = self.owner_of(caller)?;
        let reports = self.repo_reports_of(&owner)?.into_iter();
        Ok(reports.filter(|report| owner.sees(&report.repo.path)).collect())
    }

    /// The same for an owner.
    pub fn repo_reports_of(&self, owner: &Owner) -> Result<Vec<RepoReport>, Error> {
        let now = self.inner.clock.now();
        let report = |repo: RepoSummary| {
            let access = RepoAccess::new(owner, repo.path.clone(), Rights::APPEND_ONLY);
            Ok(RepoReport { usage: self.repo_usage(&access)?, repo, now })
        };
        self.repos(owner)?.into_iter().map(report).collect()
    }

    /// One of them, if it is there.
    pub fn repo_report(&self, access: &RepoAccess) -> Result<Option<RepoReport>, Error> {
        let catalog = self.inner.store.catalog();
        let Some(row) = catalog.repo(access.account.0, access.repo.as_str())? else { return Ok(None) };
        let repo = RepoSummary { path: access.repo.clone(), created: Timestamp(row.created) };
        Ok(Some(RepoReport { usage: self.repo_usage(access)?, repo, now: self.inner.clock.now() }))
    }

    /// What is in a repository. Reads the rows of all its objects.
    pub fn repo_usage(&self, access: &RepoAccess) -> Result<RepoUsage, Error> {
        let catalog = self.inner.store.catalog();
        let repo = catalog.repo(access.account.0, access.repo.as_str())?.ok_or(Error::NotFound(Thing::Repo))?;
        let mut usage = RepoUsage::default();
        for kind in ObjectKind::ALL {
            for object in catalog.objects(access.account.0, repo.repo, kind) {
                let row = object?.row;
                usage.count(kind, row.size, Timestamp(row.added));
            }
        }
        Ok(usage)
    }

    /// Removes a repository with all that is in it. It is held like any removal.
    pub fn remove_repo(&self, access: &RepoAccess) -> Result<(), Error> {
        if !access.rights.has(Scope::Delete) {
            return Err(Error::AppendOnly);
        }
        let (account, path) = (access.account.0, access.repo.as_str().to_owned());
        let operation = RepoOperation::Drop { account, path, removal: self.removal_by(AUTHOR) };
        match self.inner.store.commit(Operation::Repo(operation).by(access.credential())) {
            Ok(_) => Ok(()),
            Err(store::Error::Missing) => Err(Error::NotFound(Thing::Repo)),
            Err(error) => Err(error.into()),
        }
    }
}

impl RepoUsage {
    fn count(&mut self, kind: ObjectKind, size: u64, added: Timestamp) {
        self.objects += 1;
        self.bytes += size;
        match kind {
            ObjectKind::Locks => return self.locks.push(added),
            ObjectKind::Snapshots => self.snapshots += 1,
            _ => {}
        }
        self.last_write = self.last_write.max(Some(added));
    }
}
