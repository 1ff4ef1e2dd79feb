//! The audit log: who did what, when and from where, as a chain in which each entry holds the hash of the one before it.
//!
//! Promises: an entry is made from the record of what it tells of, on the storage thread, and lies before that record in the same
//! commit: after a crash there may be an entry too many, never one too few. An entry that is changed, taken out or put elsewhere breaks
//! the chain; one that is made anew from there on has another head. Never: holds a secret, or a name that nobody here has.

mod catalog;
mod entry;
mod records;
mod verify;

pub use self::entry::Origin;
pub use self::records::{AuditEntry, AuditEvent, AuditRecord};
pub use self::verify::AuditReport;

pub(super) use self::entry::{next, of_record};

use std::sync::mpsc::channel;

use super::Store;
use super::commit::Job;
use super::operation::Operation;

impl Store {
    /// Commits an operation that nobody waits for, and that may be lost with this process.
    pub fn note(&self, operation: Operation) {
        let (reply, _) = channel();
        let _ = self.jobs.send(Job::Commit { operation, losses_seen: self.shared.losses(), reply });
    }
}
