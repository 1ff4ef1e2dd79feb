//! The record of an audit entry, the rows it sets, and its hash.

use serde::{Deserialize, Serialize};

use crate::store::error::Error;
use crate::store::keys;
use crate::store::records::{Changes, encode_row};

/// One entry with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// 1 for the first, then one more each time.
    pub number: u64,
    /// The hash of the entry before it; of the first, [`beginning`].
    pub before: [u8; 32],
    /// What happened.
    pub entry: AuditEntry,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, in ms since 1970.
    pub at: i64,
    /// The code of an [`AuditEvent`]; one that is not known was written by a newer program.
    pub event: u8,
    /// Whose account it is about; 0 for nobody's.
    pub account: u64,
    /// What the account was called then.
    pub name: String,
    /// Who did it: a device, a browser, a token, the machine's owner.
    pub by: String,
    /// From where.
    pub address: String,
    /// With what.
    pub agent: String,
    /// What it was done to: a device, a token's label, a file's number.
    pub subject: String,
    /// How many it was done to, or how often.
    pub count: u64,
}

/// The end of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The newest entry's number.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// What stands for the entry before the first: another in each store.
pub fn beginning(store: &[u8; 16]) -> [u8; 32] {
    blake3::derive_key("rbackup v1 audit beginning", store)
}

impl AuditRecord {
    /// Its hash: of all that is in it, as its row holds it.
    pub fn hash(&self) -> Result<[u8; 32], Error> {
        Ok(blake3::derive_key("rbackup v1 audit chain", &encode_row(self)?))
    }

    pub(in crate::store) fn changes(&self, changes: &mut Changes) -> Result<(), Error> {
        changes.set(keys::audit(self.number), self)?;
        changes.set(keys::audit_head(), &Head { number: self.number, hash: self.hash()? })
    }
}

macro_rules! events {
    ($($(#[$doc:meta])* $event:ident = $code:literal $name:literal,)*) => {
        /// Kinds of entries. A code is never given twice.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum AuditEvent {
            $($(#[$doc])* $event,)*
        }

        impl AuditEvent {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$event),*];

            /// What stands in the record.
            pub fn code(self) -> u8 {
                match self { $(Self::$event => $code),* }
            }

            /// What people read.
            pub fn name(self) -> &'static str {
                match self { $(Self::$event => $name),* }
            }
        }
    };
}

events! {
    /// An account was registered.
    Registered = 1 "registered",
    /// A device signed in.
    SignedIn = 2 "signed_in",
    /// A browser signed in.
    BrowserSignedIn = 3 "browser_signed_in",
    /// A password or recovery code was wrong.
    SignInFailed = 4 "sign_in_failed",
    /// Sessions were ended by their account.
    SignedOut = 5 "signed_out",
    /// A token was made.
    TokenMade = 6 "token_made",
    /// Tokens were revoked.
    TokenRevoked = 7 "token_revoked",
    /// The password was changed.
    PasswordChanged = 8 "password_changed",
    /// The password was set by the recovery code.
    Recovered = 9 "recovered",
    /// The account may be used again.
    Enabled = 10 "enabled",
    /// Nobody may use the account.
    Disabled = 11 "disabled",
    /// The account's content was given up.
    ContentForgotten = 12 "content_forgotten",
    /// A session was used after it had been replaced: it was stolen, or the new one was.
    SessionReused = 13 "session_reused",
    /// A session or a token was used for another device.
    WrongDevice = 14 "wrong_device",
    /// An invitation was made.
    InviteMade = 15 "invite_made",
    /// An invitation was taken back.
    InviteRevoked = 16 "invite_revoked",
    /// A quota was set.
    QuotaSet = 17 "quota_set",
    /// The account was removed.
    AccountRemoved = 18 "account_removed",
    /// Versions of a file were removed.
    Removed = 19 "removed",
    /// A restic repository was removed.
    RepoRemoved = 20 "repo_removed",
    /// A snapshot, a key or the configuration of a restic repository was removed.
    ObjectRemoved = 21 "object_removed",
    /// A user of this machine was refused at the data directory's socket.
    SocketRefused = 22 "socket_refused",
    /// A device was added by a browser.
    DeviceAdded = 23 "device_added",
}

impl AuditEvent {
    /// The event of a code; nothing for one of a newer program.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_event_has_a_code_and_a_name_of_its_own() {
        let codes: BTreeSet<u8> = AuditEvent::ALL.iter().map(|event| event.code()).collect();
        let names: BTreeSet<&str> = AuditEvent::ALL.iter().map(|event| event.name()).collect();
        assert_eq!((codes.len(), names.len()), (AuditEvent::ALL.len(), AuditEvent::ALL.len()));
        assert!(AuditEvent::ALL.iter().all(|event| AuditEvent::from_code(event.code()) == Some(*event)));
        assert_eq!(AuditEvent::from_code(255), None);
    }
}
