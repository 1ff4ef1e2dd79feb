//! The answers of `/status` and `/api/v1/status`. Never say more about the machine than what a handshake shows anyway.

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

/// `{"status":"RBackup running","version":"0.1.0","tls":{"fingerprint_sha256":"AB:CD:…"}}`; `tls` is null without TLS.
#[derive(Debug, Serialize)]
pub struct ServerJson<'a> {
    #[serde(flatten)]
    status: StatusJson,
    tls: Option<TlsJson<'a>>,
}

#[derive(Debug, Serialize)]
struct TlsJson<'a> {
    fingerprint_sha256: &'a str,
}

impl<'a> ServerJson<'a> {
    /// The running program, asked over a connection that was shown this certificate.
    pub fn running(certificate: Option<&'a str>) -> Self {
        let tls = certificate.map(|fingerprint_sha256| TlsJson { fingerprint_sha256 });
        Self { status: StatusJson::running(), tls }
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
