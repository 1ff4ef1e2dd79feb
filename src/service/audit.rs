//! The audit log as people see it, and what it says of strangers.
//!
//! Promises: what strangers do wrong costs an entry a minute at most, and what is left out is counted in the next one; an account sees its
//! own entries, the administrator's sees all. Never: notes a name that no account here has – people type passwords there – or anything
//! that was presented.

use std::sync::{Mutex, PoisonError};

use super::caller::{Caller, Visit};
use super::error::Error;
use super::{Inner, Services};
use crate::model::{Scope, Timestamp, Username};
use crate::store::{AuditEntry, AuditEvent, AuditRecord, AuditReport, Catalog, Operation};

/// Entries about strangers that may be written at once …
const STRANGERS_MAX: u32 = 60;
/// … and how long it takes until there may be one more: half a million in a year at worst, some 100 MB.
const STRANGER_EVERY_MS: i64 = 60_000;
/// What clients call themselves, in an entry.
const AGENT_BYTES_MAX: usize = 128;
/// Entries that are looked at for one page of an account's own.
const LOOKED_AT_MAX: u64 = 20_000;
/// Entries that are read from the catalog at once.
const AT_ONCE: u64 = 500;

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// Its number.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What happened; nothing for what a newer program wrote.
    pub event: Option<AuditEvent>,
    /// What it is and says.
    pub entry: AuditEntry,
    /// Its hash, by which it is known again.
    pub hash: [u8; 32],
}

/// Some of them, the newest first.
#[derive(Debug, Default)]
pub struct AuditPage {
    /// The entries.
    pub lines: Vec<AuditLine>,
    /// The number before which the next page begins; nothing when there is none.
    pub next: Option<u64>,
}

/// What was left out about strangers, and when there may be an entry again.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<Budget>);

#[derive(Debug, Default)]
struct Budget {
    spent: u32,
    since: i64,
    left_out: u64,
}

impl Strangers {
    /// How many the entry stands for that may be written now; nothing when there may be none.
    fn take(&self, now: i64, is_room: bool) -> Option<u64> {
        let mut budget = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let regained = u32::try_from(now.saturating_sub(budget.since) / STRANGER_EVERY_MS).unwrap_or(0);
        if regained > 0 {
            budget.spent = budget.spent.saturating_sub(regained);
            budget.since = now;
        }
        if budget.spent >= STRANGERS_MAX || !is_room {
            budget.left_out += 1;
            return None;
        }
        budget.spent += 1;
        Some(1 + std::mem::take(&mut budget.left_out))
    }

    fn left_out(&self) -> u64 {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).left_out)
    }
}

impl Inner {
    /// Notes what somebody did wrong who may be nobody. Nobody waits for it.
    fn audit_stranger(&self, event: AuditEvent, account: u64, name: String, subject: String, visit: &Visit) {
        let at = self.clock.now().0;
        // What is kept free on a full disk is not for strangers.
        let Some(count) = self.strangers.take(at, self.store.admit_data().is_ok()) else { return };
        let agent = visit.agent[..visit.agent.floor_char_boundary(AGENT_BYTES_MAX)].to_owned();
        let (by, address) = (String::new(), visit.address.clone());
        let entry = AuditEntry { at, event: event.code(), account, name, by, address, agent, subject, count };
        self.store.note(Operation::Audit(entry));
    }

    pub(super) fn audit_wrong_device(&self, account: u64, subject: String, visit: &Visit) {
        let name = self.store.catalog().account(account).ok().flatten().map(|row| row.added.name);
        self.audit_stranger(AuditEvent::WrongDevice, account, name.unwrap_or_default(), subject, visit);
    }
}

impl Services {
    /// Notes that somebody did not prove to be the account of that name, in lower case.
    pub fn audit_failed_sign_in(&self, folded: &str, visit: &Visit) {
        let known = self.inner.store.catalog().account_by_name(folded).ok().flatten();
        let (account, name, subject) = match known {
            Some(row) => (row.added.account, row.added.name, ""),
            None => (0, String::new(), "an unknown name"),
        };
        self.inner.audit_stranger(AuditEvent::SignInFailed, account, name, subject.to_owned(), visit);
    }

    /// Notes that a user of this machine was refused at the data directory's socket.
    pub fn audit_refused_at_socket(&self, uid: u32) {
        let subject = format!("user {uid}");
        self.inner.audit_stranger(AuditEvent::SocketRefused, 0, String::new(), subject, &Visit::of_owner());
    }

    /// What was left out about strangers is said before the end.
    pub(super) fn audit_left_out(&self) {
        let count = self.inner.strangers.left_out();
        if count > 0 {
            let (at, event) = (self.inner.clock.now().0, AuditEvent::SignInFailed.code());
            let (name, by, address, agent) = Default::default();
            let subject = "left out before".to_owned();
            let entry = AuditEntry { at, event, account: 0, name, by, address, agent, subject, count };
            let _ = self.inner.store.commit(Operation::Audit(entry));
        }
    }

    /// A page of the audit log before the entry of a number, or of its newest entries.
    pub fn audit_for(&self, caller: &Caller, before: Option<u64>, limit: usize) -> Result<AuditPage, Error> {
        caller.require(Scope::Admin)?;
        let account = self.inner.living_account(caller.account)?.added;
        self.page(before, limit, (!account.administrator).then_some(account.account))
    }

    /// The same for the machine's owner, of one account or of all.
    pub fn audit(&self, before: Option<u64>, limit: usize, account: Option<&Username>) -> Result<AuditPage, Error> {
        let account = account.map(|name| Ok::<_, Error>(self.account_named(name)?.added.account)).transpose()?;
        self.page(before, limit, account)
    }

    /// Every entry, the oldest first.
    pub fn each_audit(&self, mut each: impl FnMut(AuditLine)) -> Result<(), Error> {
        let catalog = self.inner.store.catalog();
        for record in catalog.audits(0, u64::MAX) {
            each(line(record?)?);
        }
        Ok(())
    }

    /// Whether the log is the one that was written; `known` is a hash that has to be in it.
    pub fn verify_audit(&self, known: Option<[u8; 32]>) -> Result<AuditReport, Error> {
        Ok(self.inner.store.verify_audit(known)?)
    }

    fn page(&self, before: Option<u64>, limit: usize, account: Option<u64>) -> Result<AuditPage, Error> {
        let catalog = self.inner.store.catalog();
        let newest = catalog.audited()?.saturating_add(1);
        let mut until = before.unwrap_or(newest).min(newest);
        let (mut page, mut looked_at) = (AuditPage::default(), 0);
        while until > 1 && looked_at < LOOKED_AT_MAX {
            let from = until.saturating_sub(AT_ONCE).max(1);
            for record in backwards(catalog, from, until)? {
                if page.lines.len() == limit {
                    page.next = Some(record.number + 1);
                    return Ok(page);
                }
                if account.is_none_or(|account| record.entry.account == account) {
                    page.lines.push(line(record)?);
                }
            }
            looked_at += until - from;
            until = from;
        }
        page.next = (until > 1).then_some(until);
        Ok(page)
    }
}

fn backwards(catalog: &Catalog, from: u64, until: u64) -> Result<Vec<AuditRecord>, Error> {
    let mut some = catalog.audits(from, until).collect::<Result<Vec<_>, _>>()?;
    some.reverse();
    Ok(some)
}

fn line(record: AuditRecord) -> Result<AuditLine, Error> {
    let hash = record.hash()?;
    let AuditRecord { number, entry, .. } = record;
    Ok(AuditLine { number, at: Timestamp(entry.at), event: AuditEvent::from_code(entry.event), entry, hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cost_so_many_entries_and_none_of_them_is_lost() {
        let strangers = Strangers::default();
        let written: Vec<u64> = (0..10_000).filter_map(|_| strangers.take(STRANGER_EVERY_MS, true)).collect();
        assert_eq!((written.len(), written.iter().sum::<u64>()), (60, 60));
        assert_eq!(strangers.take(2 * STRANGER_EVERY_MS, true), Some(9_941), "with all that was left out");
        assert_eq!(strangers.take(2 * STRANGER_EVERY_MS, true), None);
        let hour = (2..62).filter_map(|n| strangers.take(n * STRANGER_EVERY_MS, true)).count();
        assert!((59..=60).contains(&hour), "one a minute: {hour}");
        assert_eq!(strangers.take(100 * STRANGER_EVERY_MS, false), None, "nothing on a full disk");
        assert!(strangers.left_out() >= 1 && strangers.left_out() == 0);
    }
}
