//! Counting: what the rows say an account has, what a record changes of that, and what all volumes hold.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;

use super::meter::Logical;
use super::recover::Tally;
use crate::model::{ObjectKind, Purpose, Quota};
use crate::store::Store;
use crate::store::catalog::Catalog;
use crate::store::commit::Job;
use crate::store::error::Error;
use crate::store::keys;
use crate::store::operation::View;
use crate::store::records::{Record, VersionRow};
use crate::store::scan::Until;

/// What an account uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of what is not removed.
    pub logical_bytes: u64,
    /// Bytes in the volumes; nothing in a store from before that was counted.
    pub stored_bytes: Option<u64>,
}

/// What may still come for an account; nothing stands for no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Of what is not removed.
    pub logical: Option<Share>,
    /// Of what the volumes hold.
    pub stored: Option<Share>,
}

/// How much an account may have of something, and has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The most.
    pub bytes_max: u64,
    /// What it had when it was asked.
    pub bytes_used: u64,
}

impl Share {
    /// Whether so many bytes more may come.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        bytes == 0 || self.bytes_used.saturating_add(bytes) <= self.bytes_max
    }
}

/// The logical bytes of an account as its rows say them. Reads all of them.
pub fn count_logical(catalog: &Catalog, account: u64) -> Result<u64, Error> {
    let mut bytes = 0;
    for file in catalog.files(account) {
        let living = file?.versions.into_iter().filter(|version| version.removal.is_none());
        bytes += living.map(|version| version.row.size).sum::<u64>();
    }
    for repo in catalog.repos(account) {
        let repo = repo?.row.repo;
        for kind in ObjectKind::ALL {
            for object in catalog.objects(account, repo, kind) {
                bytes += object?.row.size;
            }
        }
    }
    Ok(bytes)
}

/// How a record changes the logical bytes of its account.
pub fn delta(record: &Record, view: &View) -> Result<i64, Error> {
    let bytes = match record {
        Record::VersionAdded(it) => return Ok(signed(it.content.size)),
        Record::ObjectAdded(it) => return Ok(signed(it.object.size)),
        Record::ObjectRemoved(it) => it.object.size,
        Record::RepoRemoved(it) => view.bytes_of_objects(it.account, it.repo)?,
        Record::VersionsRemoved(it) => {
            let mut bytes = 0;
            for version in &it.versions {
                let row = view.get::<VersionRow>(&keys::version(it.account, it.file, *version))?;
                bytes += row.map_or(0, |row| row.size);
            }
            bytes
        }
        _ => 0,
    };
    Ok(-signed(bytes))
}

/// What a record adds something for.
pub fn purpose_of(record: &Record) -> Purpose {
    match record {
        Record::ObjectAdded(it) => ObjectKind::from_byte(it.kind).map_or(Purpose::Keeping, ObjectKind::purpose),
        _ => Purpose::Keeping,
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Catalog {
    /// How much an account may keep.
    pub fn quota(&self, account: u64) -> Result<Quota, Error> {
        Ok(self.get(&keys::quota(account))?.unwrap_or_default())
    }
}

impl Store {
    /// What an account uses. The first that asks after a start waits until its rows are counted.
    pub fn usage(&self, account: u64) -> Result<Usage, Error> {
        let logical_bytes = self.logical(account)?.bytes;
        Ok(Usage { logical_bytes, stored_bytes: self.shared.meter.stored(account) })
    }

    /// What may still come for an account with this purpose.
    pub fn allowance(&self, account: u64, purpose: Purpose) -> Result<Allowance, Error> {
        let Quota { logical, stored } = self.catalog().quota(account)?;
        let mut allowance = Allowance::default();
        if let Some(bound) = logical {
            let Logical { bytes, lowest } = self.logical(account)?;
            allowance.logical = Some(Share { bytes_max: bound.most(purpose, lowest), bytes_used: bytes });
        }
        if let Some(bound) = stored {
            // What is stored becomes no less before it is compacted.
            let bytes_max = bound.most(purpose, u64::MAX);
            allowance.stored = Some(Share { bytes_max, bytes_used: self.shared.meter.stored(account).unwrap_or(0) });
        }
        Ok(allowance)
    }

    fn logical(&self, account: u64) -> Result<Logical, Error> {
        match self.shared.meter.logical(account) {
            Some(logical) => Ok(logical),
            None => {
                // Nobody joins those who wait for a disk that hangs.
                self.shared.watch.require()?;
                let (reply, answer) = channel();
                self.jobs.send(Job::CountLogical { account, reply }).map_err(|_| Error::Closed)?;
                answer.recv().map_err(|_| Error::Closed)?
            }
        }
    }

    /// Makes the stored bytes known for good, also in a store from before they were counted: then all volumes are read, once.
    pub fn count_stored(&self) -> Result<(), Error> {
        let meter = &self.shared.meter;
        if meter.is_noted() {
            return Ok(());
        }
        self.shared.watch.require()?;
        let counted_since = self.opened.ending.volume;
        let missing = if meter.is_complete() { BTreeMap::new() } else { self.tally(|number| number < counted_since)? };
        let (reply, answer) = channel();
        self.jobs.send(Job::StoredCounted { missing, reply }).map_err(|_| Error::Closed)?;
        answer.recv().map_err(|_| Error::Closed)?
    }

    /// What all volumes hold, by account, counted anew: what [`Store::usage`] has to say when nobody writes.
    pub fn recount_stored(&self) -> Result<BTreeMap<u64, u64>, Error> {
        self.tally(|_| true)
    }

    fn tally(&self, which: impl Fn(u32) -> bool) -> Result<BTreeMap<u64, u64>, Error> {
        let mut all = BTreeMap::new();
        for number in self.shared.log.numbers().into_iter().filter(|number| which(*number)) {
            let newest = Until::AtLeast(self.opened_at(number));
            Tally::of_volume(&self.shared.log, number, newest)?.add_to(&mut all);
        }
        Ok(all)
    }
}
