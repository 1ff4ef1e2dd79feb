//! From a decided record to its entry: what is audited, and what an entry says.
//!
//! Promise: whoever asks cannot leave an entry out, for it is made from what was decided. Never: says what a file is called, or more
//! of a token than its owner calls it.

use super::records::{AuditEntry, AuditEvent, AuditRecord, Head, beginning};
use crate::model::{ObjectKind, Rights};
use crate::store::access::{AccessChanged, AccountRow, BROWSER_NUMBER, InvitesChanged};
use crate::store::error::Error;
use crate::store::keys;
use crate::store::operation::View;
use crate::store::records::{Record, RemovalRow};

/// Who asks for a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// When, in ms since 1970.
    pub at: i64,
    /// A device, a browser, a token, the machine's owner.
    pub by: String,
    /// From where.
    pub address: String,
    /// With what.
    pub agent: String,
}

/// What a record is to the audit log.
struct Told {
    event: AuditEvent,
    subject: String,
    count: u64,
}

fn told(event: AuditEvent, subject: impl Into<String>, count: usize) -> Option<Told> {
    Some(Told { event, subject: subject.into(), count: count as u64 })
}

/// The entry behind the newest one of this view.
pub fn next(entry: AuditEntry, view: &View, store: &[u8; 16]) -> Result<AuditRecord, Error> {
    let head = view.get::<Head>(&keys::audit_head())?;
    let Head { number, hash } = head.unwrap_or(Head { number: 0, hash: beginning(store) });
    Ok(AuditRecord { number: number.saturating_add(1), before: hash, entry })
}

/// The entry of a record, if it is one that is audited.
pub fn of_record(record: &Record, origin: Origin, view: &View) -> Result<Option<AuditEntry>, Error> {
    let Some(Told { event, subject, count }) = tell(record) else { return Ok(None) };
    let account = record.account();
    let name = match record {
        Record::AccountAdded(it) => it.name.clone(),
        Record::InvitesChanged(InvitesChanged { added: Some(it), .. }) => it.name.clone(),
        _ => name_of(view, account)?,
    };
    let Origin { at, by, address, agent } = origin.or(own(record));
    Ok(Some(AuditEntry { at, event: event.code(), account, name, by, address, agent, subject, count }))
}

impl Origin {
    /// What this does not say, as `other` does.
    fn or(self, other: Self) -> Self {
        let text = |one: String, other: String| if one.is_empty() { other } else { one };
        Self {
            at: if self.at == 0 { other.at } else { self.at },
            by: text(self.by, other.by),
            address: text(self.address, other.address),
            agent: text(self.agent, other.agent),
        }
    }
}

/// What a record says itself.
fn own(record: &Record) -> Origin {
    let at = |at: i64| Origin { at, ..Origin::default() };
    let removal = |it: &RemovalRow| Origin { by: it.by.clone(), ..at(it.at) };
    match record {
        Record::AccountAdded(it) => at(it.added),
        Record::InvitesChanged(InvitesChanged { added: Some(it), .. }) => at(it.added),
        Record::InvitesChanged(InvitesChanged { made: Some((_, row)), .. }) => at(row.made),
        Record::SessionOpened(it) => {
            Origin { address: it.row.address.clone(), agent: it.row.agent.clone(), ..at(it.row.opened) }
        }
        Record::TokenChanged(it) => at(it.row.made),
        Record::AccessChanged(it) => at(it.at),
        Record::QuotaSet(it) => at(it.at),
        Record::AccountRemoved(it) => removal(&it.removal),
        Record::VersionsRemoved(it) => removal(&it.removal),
        Record::ObjectRemoved(it) => removal(&it.removal),
        Record::RepoRemoved(it) => removal(&it.removal),
        _ => Origin::default(),
    }
}

fn name_of(view: &View, account: u64) -> Result<String, Error> {
    let row = view.raw(&keys::account(account))?.map(|bytes| AccountRow::parse(&bytes)).transpose()?;
    Ok(row.map_or_else(String::new, |row| row.added.name))
}

fn tell(record: &Record) -> Option<Told> {
    match record {
        Record::AccountAdded(it) => told(AuditEvent::Registered, administrator(it.administrator), 1),
        Record::InvitesChanged(it) => told_of_invites(it),
        Record::SessionOpened(it) if it.row.number == BROWSER_NUMBER => {
            told(AuditEvent::BrowserSignedIn, &*it.row.device, 1)
        }
        Record::SessionOpened(it) => told(AuditEvent::SignedIn, &*it.row.device, 1),
        Record::TokenChanged(it) => {
            let scopes: Vec<&str> =
                Rights::from_byte(it.row.scopes).scopes().into_iter().map(|scope| scope.name()).collect();
            told(AuditEvent::TokenMade, format!("{} {:?}: {}", it.row.token, it.row.label, scopes.join(", ")), 1)
        }
        Record::AccessChanged(it) => told_of_access(it),
        Record::AccountRemoved(_) => told(AuditEvent::AccountRemoved, "", 1),
        Record::VersionsRemoved(it) => {
            let subject = match it.versions.as_slice() {
                [one] => format!("file {}, version {one}", it.file),
                _ => format!("file {}", it.file),
            };
            told(AuditEvent::Removed, subject, it.versions.len())
        }
        Record::ObjectRemoved(it) => match ObjectKind::from_byte(it.kind) {
            Some(kind @ (ObjectKind::Snapshots | ObjectKind::Keys | ObjectKind::Config)) => {
                let name: String = it.name[..8].iter().map(|byte| format!("{byte:02x}")).collect();
                told(AuditEvent::ObjectRemoved, format!("{} {name} of repository {}", kind.word(), it.repo), 1)
            }
            _ => None,
        },
        Record::RepoRemoved(it) => told(AuditEvent::RepoRemoved, format!("{} {:?}", it.repo, it.path), 1),
        Record::QuotaSet(it) => {
            let bound = |bound: Option<crate::model::Bound>| {
                bound.map_or_else(|| "none".to_owned(), |bound| bound.bytes.to_string())
            };
            let (logical, stored) = (bound(it.quota.logical), bound(it.quota.stored));
            told(AuditEvent::QuotaSet, format!("logical {logical}, stored {stored}"), 1)
        }
        _ => None,
    }
}

fn administrator(is: bool) -> &'static str {
    if is { "the administrator" } else { "" }
}

fn told_of_invites(it: &InvitesChanged) -> Option<Told> {
    let id = |hash: &[u8; 32]| hash[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match (&it.added, &it.made) {
        (Some(_), _) => told(AuditEvent::Registered, "by an invitation", 1),
        (None, Some((hash, _))) => told(AuditEvent::InviteMade, id(hash), 1),
        (None, None) => told(AuditEvent::InviteRevoked, it.gone.first().map(id).unwrap_or_default(), it.gone.len()),
    }
}

/// Why an account's access changed, in the words of `service`.
pub const WHYS: [(&str, AuditEvent); 9] = [
    ("the password was changed", AuditEvent::PasswordChanged),
    ("the password was recovered", AuditEvent::Recovered),
    ("the content was given up", AuditEvent::ContentForgotten),
    ("enabled", AuditEvent::Enabled),
    ("disabled", AuditEvent::Disabled),
    ("revoked", AuditEvent::TokenRevoked),
    ("used after it was replaced", AuditEvent::SessionReused),
    ("added from a browser", AuditEvent::DeviceAdded),
    ("signed out", AuditEvent::SignedOut),
];

fn told_of_access(it: &AccessChanged) -> Option<Told> {
    let named = WHYS.into_iter().find(|(why, _)| *why == it.why).map(|(_, event)| event);
    let event = named.unwrap_or(AuditEvent::SignedOut);
    let mut subjects: Vec<String> = it.sessions.iter().map(|session| session.device.clone()).collect();
    subjects.extend(it.tokens.iter().map(|(token, _)| format!("token {token}")));
    let (count, many) = (subjects.len(), subjects.len() > SUBJECTS_MAX);
    subjects.truncate(SUBJECTS_MAX);
    told(event, subjects.join(", ") + if many { ", …" } else { "" }, count)
}

/// Names of devices and tokens in one entry.
const SUBJECTS_MAX: usize = 8;
