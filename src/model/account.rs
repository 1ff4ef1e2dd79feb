//! What people call themselves and their machines.

use std::fmt;

use super::{Invalid, Secret, limits};

/// An account's name: 1 to [`limits::USERNAME_BYTES_MAX`] bytes of UTF-8 without control characters or white space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

impl Username {
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

/// A new password: [`limits::PASSWORD_CHARS_MIN`] characters to [`limits::PASSWORD_BYTES_MAX`] bytes.
#[derive(Debug, Clone)]
pub struct Password(Secret<String>);

impl Password {
    /// Takes the text over if it is long enough to protect anything and short enough to hash.
    pub fn parse(text: String) -> Result<Self, Invalid> {
        let problem = if text.chars().count() < limits::PASSWORD_CHARS_MIN {
            format!("has fewer than {} characters", limits::PASSWORD_CHARS_MIN)
        } else if text.len() > limits::PASSWORD_BYTES_MAX {
            format!("is longer than {} bytes", limits::PASSWORD_BYTES_MAX)
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
