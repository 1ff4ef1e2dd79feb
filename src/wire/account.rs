//! Registration and sign-in as JSON. Never prints what it holds: no type here has `Debug`.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// The body of a registration or a sign-in; fields nobody asks for are ignored.
#[derive(Deserialize)]
pub struct SignInJson {
    /// The account's name.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// The device that signs in.
    pub device_id: Option<String>,
}

impl SignInJson {
    /// Reads a body; none when it is not a JSON object of strings. The reason is not told: it could quote the password.
    pub fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

impl Drop for SignInJson {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

/// The answer of a registration.
#[derive(Serialize)]
pub struct RegisteredJson<'a> {
    /// The account's id, as text.
    pub account_id: String,
    /// What opens the account's data when the password is lost.
    pub recovery_code: &'a str,
}

/// The answer of a sign-in.
#[derive(Serialize)]
pub struct SignedInJson<'a> {
    /// What `RBackup-Session-Pass` carries from now on.
    pub session_id: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json;

    #[test]
    fn answers_are_the_contracts() {
        let registered = RegisteredJson { account_id: 7.to_string(), recovery_code: "abc" };
        assert_eq!(json(&registered), br#"{"account_id":"7","recovery_code":"abc"}"#);
        assert_eq!(json(&SignedInJson { session_id: "s" }), br#"{"session_id":"s"}"#);
    }

    #[test]
    fn bodies_are_objects_of_strings() {
        let body = SignInJson::parse(br#"{"username":"a","password":"b","more":1}"#).expect("an object");
        assert_eq!((body.username.as_deref(), body.device_id.as_deref()), (Some("a"), None));
        assert!(SignInJson::parse(br#"{"username":1}"#).is_none());
        assert!(SignInJson::parse(b"username=a").is_none());
    }
}
