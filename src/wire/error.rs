//! What every error looks like outside. Never holds a path of the server or a library's message: its maker sees to that.

use std::borrow::Cow;

use serde::Serialize;

/// `{"code":"not_found","error":"There is no such file.","request_id":"…"}`
#[derive(Debug, Serialize)]
pub struct ErrorJson<'a> {
    /// For machines; never changes.
    pub code: &'a str,
    /// One sentence for people.
    pub error: Cow<'a, str>,
    /// The request's id, which stands in the log too.
    pub request_id: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_three_fields() {
        let error = ErrorJson { code: "busy", error: "Come back.".into(), request_id: "00ff" };
        assert_eq!(
            String::from_utf8(crate::wire::json(&error)).expect("text"),
            r#"{"code":"busy","error":"Come back.","request_id":"00ff"}"#
        );
    }
}
