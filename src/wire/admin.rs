//! Accounts and invitations for whoever administers them: as JSON, and as errands.
//!
//! Promise: a secret among them is [`Hidden`], whose `Debug` is `***`, so that an errand can be written to a log.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::Secret;

/// Something with accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum AccountErrand {
    /// Say every account.
    List {},
    /// Say one.
    Show {
        /// Its name.
        name: String,
    },
    /// Let it be used, or nobody use it.
    Enable {
        /// Its name.
        name: String,
        /// Whether it may be used.
        enabled: bool,
    },
    /// Set a new password.
    Password {
        /// Its name.
        name: String,
        /// What shows that it may be set.
        proof: ProofJson,
        /// The new one.
        new: Hidden,
    },
    /// Say what giving up its content would give up.
    Content {
        /// Its name.
        name: String,
    },
    /// Give up its content and begin with a new key and password.
    Forget {
        /// Its name.
        name: String,
        /// The new password.
        new: Hidden,
    },
    /// Change how much it may keep, and say it.
    Quota {
        /// Its name.
        name: String,
        /// Logical bytes.
        logical: BoundJson,
        /// Stored bytes.
        stored: BoundJson,
    },
    /// Remove it with all that is in it.
    Remove {
        /// Its name.
        name: String,
    },
    /// Make an invitation.
    Invite {
        /// How long it is good.
        days: u32,
    },
    /// Say the invitations that wait.
    Invites {},
    /// Take one back.
    RevokeInvite {
        /// Which.
        id: String,
    },
}

/// What shows that a new password may be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum ProofJson {
    /// The old one.
    Password(Hidden),
    /// The recovery code.
    RecoveryCode(Hidden),
}

/// An account with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountJson {
    /// Its id, as text.
    pub account_id: String,
    /// Its name.
    pub username: String,
    /// Whether it may administer the server.
    pub administrator: bool,
    /// Whether it may be used.
    pub enabled: bool,
    /// Since when it may not.
    pub disabled: Option<String>,
    /// When it was registered.
    pub created: String,
    /// Devices that ever signed in.
    pub devices: u64,
    /// Sessions of devices and browsers.
    pub sessions: u64,
    /// Tokens.
    pub tokens: u64,
    /// restic repositories.
    pub repos: u64,
    /// What it uses and may; not said in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageJson>,
}

/// One bound of a quota, to be changed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum BoundJson {
    /// As it is.
    Keep,
    /// None.
    Lift,
    /// So many bytes.
    Bytes(u64),
}

/// What an account uses and may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageJson {
    /// Bytes of versions and of restic's objects that are not removed.
    pub logical_bytes: u64,
    /// Bytes in the volumes; nothing in a store from before that was counted.
    pub stored_bytes: Option<u64>,
    /// The most of the first; nothing for no bound.
    pub logical_bytes_max: Option<u64>,
    /// The most of the second.
    pub stored_bytes_max: Option<u64>,
}

/// The own account.
#[derive(Serialize)]
pub struct OwnAccountJson {
    /// Its id, as text.
    pub account_id: String,
    /// Its name.
    pub username: String,
    /// Whether it may administer the server.
    pub administrator: bool,
    /// When it was registered.
    pub created: String,
    /// What it uses and may.
    pub usage: UsageJson,
}

/// An invitation that waits. Its code is shown to nobody again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteJson {
    /// Names it among the others.
    pub id: String,
    /// The account that made it; nothing for the machine's owner.
    pub by: Option<String>,
    /// When.
    pub created: String,
    /// Until when it is good.
    pub expires: String,
}

/// A secret on its way between a command and the server.
#[derive(Clone)]
pub struct Hidden(pub Secret<String>);

impl Hidden {
    /// Hides a text.
    pub fn new(text: String) -> Self {
        Self(Secret::new(text))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.0.reveal() == other.0.reveal()
    }
}

impl Eq for Hidden {}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.reveal().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::super::errand::Errand;
    use super::super::preamble::{self, Opening};
    use super::*;
    use crate::model::limits;

    #[test]
    fn a_secret_arrives_and_is_not_shown() {
        let hidden = |text: &str| Hidden::new(text.to_owned());
        let errand = Errand::Account(AccountErrand::Password {
            name: "anna".to_owned(),
            proof: ProofJson::Password(hidden("the old horse")),
            new: hidden("the new horse"),
        });
        let shown = format!("{errand:?}");
        assert!(shown.contains("anna") && !shown.contains("horse"), "{shown}");
        assert_eq!(preamble::opening(&super::super::json(&errand)), Ok(Opening::Errand(errand)));
    }

    #[test]
    fn the_longest_passwords_fit_into_a_message() {
        let longest = || Hidden::new("\u{1}".repeat(limits::PASSWORD_CHARS_MAX));
        let errand = Errand::Account(AccountErrand::Password {
            name: "x".repeat(limits::USERNAME_BYTES_MAX),
            proof: ProofJson::Password(longest()),
            new: longest(),
        });
        assert!(super::super::json(&errand).len() < limits::PREAMBLE_BYTES_MAX);
    }
}
