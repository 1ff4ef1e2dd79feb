//! Sessions and tokens as JSON. Never prints a secret: the one type that holds one has no `Debug`.

use serde::Serialize;

/// A session as its account sees it.
#[derive(Serialize)]
pub struct SessionJson {
    /// Names it among the account's.
    pub id: String,
    /// Its device.
    pub device_id: String,
    /// When the device signed in.
    pub created: String,
    /// When it was last used, to the hour.
    pub last_used: Option<String>,
    /// When it ends if nobody uses it.
    pub expires: Option<String>,
    /// From where it was last used.
    pub address: String,
    /// With what.
    pub user_agent: String,
    /// How often it has rotated.
    pub generation: u32,
    /// Whether it is a browser's and no device's.
    pub browser: bool,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// A device that ever signed in.
#[derive(Serialize)]
pub struct KnownDeviceJson {
    /// What it is called.
    pub device_id: String,
    /// When it signed in for the first time.
    pub first_seen: String,
    /// Whether it has a session that has not ended.
    pub signed_in: bool,
}

/// A token as its account sees it.
#[derive(Serialize)]
pub struct TokenJson {
    /// Names it among the account's.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<&'static str>,
    /// The only device it may see.
    pub device_id: Option<String>,
    /// The only path, or repository, at or below which it may see anything.
    pub path: Option<String>,
    /// When it was made.
    pub created: String,
    /// When it ends by itself.
    pub expires: Option<String>,
    /// When it was last used, to the hour.
    pub last_used: Option<String>,
    /// From where.
    pub address: String,
    /// With what.
    pub user_agent: String,
}

/// An invitation that was made: the only answer that has its code.
#[derive(Serialize)]
pub struct InvitedJson<'a> {
    /// What is presented to register.
    pub invite: &'a str,
    /// Names it among the others.
    pub id: &'a str,
    /// Until when.
    pub expires: String,
}

/// A token that was made: the only answer that has its secret.
#[derive(Serialize)]
pub struct MadeTokenJson<'a> {
    /// Names it among the account's.
    pub id: String,
    /// What is presented from now on.
    pub token: &'a str,
}

/// What ended.
#[derive(Serialize)]
pub struct EndedJson {
    /// Sessions.
    pub sessions_ended: usize,
    /// Tokens.
    pub tokens_revoked: usize,
}

/// What ended with a password that was set by the recovery code, and the new code.
#[derive(Serialize)]
pub struct RecoveredJson<'a> {
    /// What opens the account's data when the password is lost again.
    pub recovery_code: &'a str,
    /// Sessions.
    pub sessions_ended: usize,
    /// Tokens.
    pub tokens_revoked: usize,
}
