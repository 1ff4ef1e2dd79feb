//! The cookie of a browser's session: how it is read, set and taken back.
//!
//! Promises: it is accepted for the web interface's own routes alone; a change needs an `Origin` that is ours and a header that no
//! form can send. Never: reaches a script, or a path below another site.

use warp::http::{HeaderMap, HeaderValue, Method, header};
use zeroize::Zeroizing;

use super::same_host;
use crate::server::error::Error;
use crate::server::request::Request;

/// Its name over TLS: browsers take it only with `Secure`, for this host and for all paths.
const SECURE: &str = "__Host-rbackup";
/// Its name without, where browsers refuse the other.
const PLAIN: &str = "rbackup";
/// What a change from the web interface carries: a form or an image of another page cannot.
const INTERFACE: &str = "rbackup-ui";
/// How long a browser keeps it, in seconds.
const MAX_AGE_S: u32 = 30 * 24 * 60 * 60;

/// The secret in the request's cookie, if it may be used for this.
pub fn presented(request: &Request) -> Result<Option<Zeroizing<String>>, Error> {
    let Some((_, secret)) = in_headers(&request.headers) else { return Ok(None) };
    if !matches!(request.method, Method::GET | Method::HEAD) {
        require_interface(&request.headers)?;
    }
    Ok(Some(secret))
}

/// An error unless our own page asks.
pub fn require_interface(headers: &HeaderMap) -> Result<(), Error> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_ours = text("origin").is_some_and(|origin| same_host(origin, text("host")));
    if is_ours && headers.contains_key(INTERFACE) { Ok(()) } else { Err(Error::ForeignOrigin) }
}

/// The name and the secret of the request's cookie.
pub fn in_headers(headers: &HeaderMap) -> Option<(&'static str, Zeroizing<String>)> {
    let mut found = [None, None];
    for line in headers.get_all(header::COOKIE) {
        for pair in line.to_str().ok()?.split(';') {
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            let place = match name {
                SECURE => 0,
                PLAIN => 1,
                _ => continue,
            };
            found[place] = Some(Zeroizing::new(value.to_owned()));
        }
    }
    let [secure, plain] = found;
    secure.map(|secret| (SECURE, secret)).or(plain.map(|secret| (PLAIN, secret)))
}

/// The header that gives a browser the secret that follows the one it had under this name: a `GET` says no `Origin`.
pub fn renewed(name: &str, secret: &str) -> Option<HeaderValue> {
    named(name, secret, MAX_AGE_S)
}

/// The header that gives a browser its secret. Whether it came over TLS is known from its `Origin`, also behind a proxy.
pub fn given(headers: &HeaderMap, secret: &str) -> Option<HeaderValue> {
    set(headers, secret, MAX_AGE_S)
}

/// The header that takes it back.
pub fn taken(headers: &HeaderMap) -> Option<HeaderValue> {
    set(headers, "", 0)
}

fn set(headers: &HeaderMap, secret: &str, max_age_s: u32) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
    named(if origin.starts_with(b"https://") { SECURE } else { PLAIN }, secret, max_age_s)
}

fn named(name: &str, secret: &str, max_age_s: u32) -> Option<HeaderValue> {
    let secure = if name == SECURE { "; Secure" } else { "" };
    let text =
        Zeroizing::new(format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}"));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let rows = [
            ("rbackup=a", Some("a")),
            ("x=y; rbackup=a; z=", Some("a")),
            ("rbackup=a; __Host-rbackup=b", Some("b")),
            ("xrbackup=a", None),
            ("rbackup", None),
        ];
        for (cookie, secret) in rows {
            let found = in_headers(&headers(&[("cookie", cookie)]));
            assert_eq!(found.as_ref().map(|(_, text)| text.as_str()), secret, "{cookie}");
        }
    }

    #[test]
    fn its_name_follows_the_scheme_of_the_page() {
        let text = |origin| {
            let value = given(&headers(&[("origin", origin)]), "s").expect("a header");
            value.to_str().expect("text").to_owned()
        };
        assert!(text("https://nas").starts_with("__Host-rbackup=s; Path=/; HttpOnly; SameSite=Strict;"));
        assert!(text("https://nas").ends_with("; Secure"));
        assert!(text("http://nas:3369").starts_with("rbackup=s; Path=/; HttpOnly; SameSite=Strict;"));
        assert!(!text("http://nas:3369").contains("Secure"));
    }

    #[test]
    fn a_renewed_one_keeps_its_name() {
        let text = |name| renewed(name, "s").expect("a header").to_str().expect("text").to_owned();
        assert!(text(SECURE).starts_with("__Host-rbackup=s; Path=/; HttpOnly") && text(SECURE).ends_with("; Secure"));
        assert!(text(PLAIN).starts_with("rbackup=s; Path=/; HttpOnly") && !text(PLAIN).contains("Secure"));
    }

    #[test]
    fn a_change_needs_our_page() {
        let host = ("host", "nas");
        assert!(require_interface(&headers(&[host, ("origin", "http://nas"), ("rbackup-ui", "1")])).is_ok());
        assert!(require_interface(&headers(&[host, ("origin", "http://nas")])).is_err());
        assert!(require_interface(&headers(&[host, ("rbackup-ui", "1")])).is_err());
        assert!(require_interface(&headers(&[host, ("origin", "http://evil"), ("rbackup-ui", "1")])).is_err());
    }
}
