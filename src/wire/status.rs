//! The answer of `/status`. Never says more about the machine than the version.

use serde::Serialize;

/// `{"status":"RBackup running","version":"0.1.0"}`
#[derive(Debug, Serialize)]
pub struct StatusJson {
    status: &'static str,
    version: &'static str,
}

impl StatusJson {
    /// The running program's status; the version is `major.minor.patch`.
    pub fn running() -> Self {
        Self { status: "RBackup running", version: env!("CARGO_PKG_VERSION") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_contracts() {
        let json = String::from_utf8(crate::wire::json(&StatusJson::running())).expect("text");
        assert!(json.starts_with(r#"{"status":"RBackup running","version":""#), "{json}");
        let version = json.rsplit('"').nth(1).expect("a version");
        assert_eq!(version.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3);
    }
}
