//! What people call themselves and their machines.

use std::fmt;

use super::{Invalid, Secret, limits};

/// An account's name: 1 to [`limits::USERNAME_BYTES_MAX`] bytes of UTF-8 without control characters or white space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

impl Username {
    /// What the realm without an account is called where an account's name may stand.
    pub const LOCAL: &'static str = "local";

    /// Takes the text over if a new account can be called so: besides what [`Username::parse`] asks, the name must be able to stand
    /// before the colon of `account:repo`. Accounts that are called otherwise already keep their names.
    pub fn parse_new(text: String) -> Result<Self, Invalid> {
        let name = Self::parse(text)?;
        if name.folded() == Self::LOCAL {
            return Err(Invalid::new("username", format!("is {}, which means no account", Self::LOCAL)));
        }
        if name.0.contains([':', '/']) {
            return Err(Invalid::new(
                "username",
                "contains a colon or a slash, which end an account where a repository is named",
            ));
        }
        Ok(name)
    }

    /// Takes the text over if it can be a name.
    pub fn parse(text: String) -> Result<Self, Invalid> {
        name("username", text, limits::USERNAME_BYTES_MAX).map(Self)
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in lower case: two names that differ only in case are one account.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

/// A device's name: 1 to [`limits::DEVICE_NAME_BYTES_MAX`] bytes of UTF-8 without control characters or white space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName(String);

impl DeviceName {
    /// Takes the text over if it can be a device's name.
    pub fn parse(text: String) -> Result<Self, Invalid> {
        name("device_id", text, limits::DEVICE_NAME_BYTES_MAX).map(Self)
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn name(what: &'static str, text: String, bytes_max: usize) -> Result<String, Invalid> {
    let problem = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > bytes_max {
        format!("is longer than {bytes_max} bytes")
    } else if text.chars().any(char::is_control) {
        "contains control characters".to_owned()
    } else if text.trim() != text {
        "begins or ends with white space".to_owned()
    } else {
        return Ok(text);
    };
    Err(Invalid::new(what, problem))
}

/// Who may make an account of their own, once there is a first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Whoever reaches the server.
    Open,
    /// Whoever asks at the server's own machine by a name that leads nowhere else; elsewhere who was invited.
    Near,
    /// Who was invited.
    Invite,
    /// Nobody.
    Closed,
}

impl Registration {
    /// Whether somebody may register who brings nothing, and whom nothing but this machine can have led here, or not.
    pub fn is_open(self, is_near: bool) -> bool {
        self == Self::Open || self == Self::Near && is_near
    }
}

/// The commonest passwords in lower case, one a line: what is tried first against every account of the world.
const COMMONEST: &str = include_str!("commonest_passwords.txt");

/// A new password: [`limits::PASSWORD_CHARS_MIN`] to [`limits::PASSWORD_CHARS_MAX`] characters, and none of the commonest.
#[derive(Debug, Clone)]
pub struct Password(Secret<String>);

impl Password {
    /// Takes the text over if it is long enough to protect anything and short enough to hash.
    pub fn parse(text: String) -> Result<Self, Invalid> {
        let chars = text.chars().count();
        let problem = if chars < limits::PASSWORD_CHARS_MIN {
            format!("has fewer than {} characters", limits::PASSWORD_CHARS_MIN)
        } else if chars > limits::PASSWORD_CHARS_MAX {
            format!("has more than {} characters", limits::PASSWORD_CHARS_MAX)
        } else if is_commonest(&text) {
            "is one of those that everybody tries first".to_owned()
        } else {
            return Ok(Self(Secret::new(text)));
        };
        Err(Invalid::new("password", problem))
    }

    /// The password itself.
    pub fn secret(&self) -> &Secret<String> {
        &self.0
    }
}

fn is_commonest(text: &str) -> bool {
    let folded = zeroize::Zeroizing::new(text.to_lowercase());
    COMMONEST.lines().any(|common| common == *folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_account_can_be_named_before_a_colon_and_an_old_one_keeps_its_name() {
        for right in ["ann", "locals", "ann@nas.example", "Änne B.", "a\\b"] {
            assert!(Username::parse_new(right.to_owned()).is_ok(), "{right}");
        }
        for wrong in ["local", "LOCAL", "Local", "ann:b", ":", "a/b", "/", "https://ann"] {
            assert!(Username::parse_new(wrong.to_owned()).is_err(), "{wrong}");
            assert!(Username::parse(wrong.to_owned()).is_ok(), "{wrong} signs in");
        }
        assert!(Username::parse_new(String::new()).is_err());
    }

    #[test]
    fn a_password_has_8_to_1024_characters_and_is_not_what_everybody_tries() {
        let parse = |text: &str| Password::parse(text.to_owned()).map_err(|invalid| invalid.problem);
        for right in ["ae8F-_x!", "ääääöööö", &"ß".repeat(1024), &"\u{1f511}".repeat(1024), "password of anna"]
        {
            assert!(parse(right).is_ok(), "{right}");
        }
        for (wrong, problem) in [
            ("1234567", "has fewer than 8 characters"),
            ("ääääööö", "has fewer than 8 characters"),
            (&"ß".repeat(1025), "has more than 1024 characters"),
            ("password", "is one of those that everybody tries first"),
            ("PassWord", "is one of those that everybody tries first"),
        ] {
            assert_eq!(parse(wrong).expect_err(wrong), problem);
        }
        for common in COMMONEST.lines() {
            assert!(
                common.chars().count() >= limits::PASSWORD_CHARS_MIN && common == common.to_lowercase(),
                "{common}"
            );
            assert!(parse(common).is_err(), "{common}");
        }
    }
}
