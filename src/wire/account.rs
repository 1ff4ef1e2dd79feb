//! Registration and sign-in as JSON. Never prints what it holds: no type here has `Debug`.

use serde::Serialize;

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
}
