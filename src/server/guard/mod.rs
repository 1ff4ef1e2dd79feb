//! Who may ask. The only place that turns a presented secret into a [`Session`] or, below it, into a `RepoAccess`.
//!
//! Promises: a request made by somebody else's web page is refused before anything else is looked at; handlers of guarded
//! routes cannot be called without what [`session`] returns. Never: takes a cookie, keeps or prints what was presented.

pub mod basic;
pub mod errand;
pub mod realm;

use warp::http::{HeaderMap, header};

use super::Context;
use super::error::Error;
use crate::service::{self, Session};

/// Carries a session's secret.
const SESSION_PASS: &str = "rbackup-session-pass";
/// Names the device that asks, when the client wants that checked.
const DEVICE: &str = "rbackup-device";

/// Refuses what a browser sends on behalf of another site; other clients send neither header.
pub fn refuse_foreign(headers: &HeaderMap) -> Result<(), Error> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    // One of two that differ would be the one nobody looks at.
    let repeated = |name: &str| headers.get_all(name).iter().nth(1).is_some();
    if ["sec-fetch-site", "origin", "host", "authorization", SESSION_PASS, DEVICE, FILE_HASH.as_str()]
        .into_iter()
        .any(repeated)
    {
        return Err(Error::RepeatedHeader);
    }
    let site_is_foreign = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let origin_is_foreign = text("origin").is_some_and(|origin| !same_host(origin, text("host")));
    if site_is_foreign || origin_is_foreign { Err(Error::ForeignOrigin) } else { Ok(()) }
}

/// Whether `Origin` and `Host` name the same host and port; `null` and anything malformed is not the same.
fn same_host(origin: &str, host: Option<&str>) -> bool {
    let (host_of_origin, port) = match origin.split_once("://") {
        Some(("http", rest)) => (rest, ":80"),
        Some(("https", rest)) => (rest, ":443"),
        _ => return false,
    };
    let without_port = |name: &str| name.strip_suffix(port).unwrap_or(name).to_ascii_lowercase();
    host.is_some_and(|host| !host.is_empty() && without_port(host) == without_port(host_of_origin))
}

/// The live session that the request presents.
pub async fn session(context: &Context, headers: &HeaderMap) -> Result<Session, Error> {
    let presented = headers.get(SESSION_PASS).and_then(|value| value.to_str().ok());
    let presented = zeroize::Zeroizing::new(presented.ok_or(service::Error::NoSession)?.to_owned());
    let services = context.services.clone();
    let session = context.bridge.call(move || services.session(&presented)).await?;
    let named = headers.get(DEVICE).map(|value| value.as_bytes());
    if named.is_some_and(|name| name != session.device().as_str().as_bytes()) {
        return Err(Error::WrongDevice);
    }
    Ok(session)
}

/// The declared hash's header, which raw uploads send and downloads answer.
pub const FILE_HASH: header::HeaderName = header::HeaderName::from_static("rbackup-file-hash");

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(rows: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.insert(*name, value.parse().expect("a value"));
        }
        refuse_foreign(&headers).is_err()
    }

    #[test]
    fn foreign_pages_are_refused() {
        let host = ("host", "nas:3369");
        assert!(!foreign(&[host]));
        assert!(!foreign(&[host, ("sec-fetch-site", "same-origin"), ("origin", "http://nas:3369")]));
        assert!(!foreign(&[host, ("sec-fetch-site", "none")]));
        assert!(!foreign(&[("host", "NAS"), ("origin", "http://nas:80")]));
        assert!(!foreign(&[("host", "nas:443"), ("origin", "https://nas")]));
        assert!(foreign(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(foreign(&[host, ("sec-fetch-site", "same-site")]));
        assert!(foreign(&[host, ("origin", "null")]));
        assert!(foreign(&[host, ("origin", "http://nas:80")]));
        assert!(foreign(&[host, ("origin", "http://evil.example")]));
        assert!(foreign(&[host, ("origin", "http://nas:3369.evil.example")]));
        assert!(foreign(&[("origin", "http://nas")]));
        assert!(foreign(&[host, ("origin", "file://nas:3369")]));
    }
}
