//! Who may ask. The only place that turns a presented secret into a [`Caller`] or, below it, into a `RepoAccess`.
//!
//! Promises: a request made by somebody else's web page is refused before anything else is looked at; handlers of guarded
//! routes cannot be called without what [`caller`] returns. A browser's session is for
//! its cookie, and its cookie for `/api/v1/`. Never: keeps or prints what was presented.

pub mod basic;
pub mod cookie;
pub mod errand;
pub mod realm;
pub mod source;
pub mod throttle;

use std::sync::Arc;

use warp::http::{HeaderMap, HeaderValue, header};

use zeroize::Zeroizing;

use self::source::Source;
use self::throttle::Claim;
use super::error::Error;
use super::request::{Peer, Request};
use super::{Context, Front};
use crate::model::{Secret, Username, limits};
use crate::service::{self, Caller, Services, Visit};

/// Carries a session's secret.
const SESSION_PASS: &str = "rbackup-session-pass";
/// Where cookies count.
const INTERFACE: &str = "/api/v1/";
/// Names the device that asks, when the client wants that checked.
const DEVICE: &str = "rbackup-device";

/// Refuses what a browser sends on behalf of another site; other clients send neither header.
pub fn refuse_foreign(headers: &HeaderMap) -> Result<(), Error> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    // One of two that differ would be the one nobody looks at.
    let repeated = |name: &str| headers.get_all(name).iter().nth(1).is_some();
    // Where two say how a body ends, a server in between may have ended it elsewhere.
    let framing = ["content-length", "transfer-encoding"];
    let who = ["sec-fetch-site", "origin", "host", "authorization", SESSION_PASS, DEVICE, "rbackup-file-hash"];
    if framing.into_iter().any(repeated) || who.into_iter().any(repeated) {
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

/// Where the request comes from, and with what.
pub fn visit(request: &Request) -> Visit {
    let agent = request.headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let agent = agent.unwrap_or_default().chars().filter(|letter| !letter.is_control()).collect::<String>();
    Visit {
        address: match (request.connection.forwarded(), Source::direct(request.connection.peer)) {
            (Some(address), _) | (None, Source::Ip(address)) => address.to_string(),
            (None, Source::Local) => request.connection.peer.to_string(),
        },
        agent: agent[..agent.floor_char_boundary(limits::USER_AGENT_BYTES_MAX)].to_owned(),
        device: request.headers.get(DEVICE).map(|name| name.as_bytes().to_vec()),
    }
}

/// Whoever presents a session or a token; found once, for the whole request.
pub async fn caller(context: &Context, request: &Request) -> Result<Caller, Error> {
    match Presented::of(&request.headers) {
        Presented::Secret(secret) => {
            let caller = by_secret(context, secret, visit(request)).await?;
            if caller.browser().is_some() { Err(service::Error::NoSession.into()) } else { Ok(caller) }
        }
        Presented::Token { name, secret } => by_token(context, name, secret, visit(request)).await,
        Presented::Nothing if request.path.starts_with(INTERFACE) => by_cookie(context, request).await,
        Presented::Password { .. } | Presented::Nothing => Err(service::Error::NoSession.into()),
    }
}

/// A browser, by its cookie.
async fn by_cookie(context: &Context, request: &Request) -> Result<Caller, Error> {
    let presented = cookie::presented(request)?.ok_or(service::Error::NoSession)?;
    require_own_name(context, &request.headers, request.connection.peer)?;
    let caller = by_secret(context, presented, visit(request)).await?;
    if caller.browser().is_some() { Ok(caller) } else { Err(service::Error::NoSession.into()) }
}

/// The cookie with the next generation of a browser's session, when its time has come. What it had goes on until that is used.
pub async fn renewal(context: &Context, request: &Request, caller: &Caller) -> Option<HeaderValue> {
    if !caller.is_renewable() {
        return None;
    }
    let (name, presented) = cookie::in_headers(&request.headers)?;
    let (services, caller) = (context.services.clone(), caller.clone());
    let renewed = context.bridge.call_change(move || Ok::<_, Error>(services.renew(&caller, &presented))).await;
    cookie::renewed(name, renewed.ok()??.reveal())
}

/// An error when a page may have led a browser here under a name of its own.
pub fn require_own_name(context: &Context, headers: &HeaderMap, peer: Peer) -> Result<(), Error> {
    if source::is_for_browsers(context, headers, peer) { Ok(()) } else { Err(Error::ForeignName) }
}

/// The same for an account's own affairs, where its name and password do too.
pub async fn caller_or_password(context: &Context, request: &Request) -> Result<Caller, Error> {
    let Presented::Password { name, password } = Presented::of(&request.headers) else {
        return caller(context, request).await;
    };
    let name = Username::parse(name).map_err(|_| service::Error::BadCredentials)?;
    let services = context.services.clone();
    let visit = visit(request);
    proving(context, Some(name.folded()), move || services.caller_by_password(&name, &password, &visit)).await
}

/// What a request presents that only a session may ask.
pub fn session_alone(request: &Request) -> Result<(Zeroizing<String>, Visit), Error> {
    let presented = request.headers.get(SESSION_PASS).and_then(|value| value.to_str().ok());
    let presented = presented.ok_or(service::Error::NoSession)?;
    Ok((Zeroizing::new(presented.to_owned()), visit(request)))
}

/// What a request presents. The header of our own counts before `Authorization`, which a proxy in between may want for itself.
pub enum Presented {
    /// A session or a token.
    Secret(Zeroizing<String>),
    /// A token in the place of a password.
    Token {
        /// The account's name.
        name: String,
        /// The token.
        secret: Zeroizing<String>,
    },
    /// A name and a password.
    Password {
        /// The account's name.
        name: String,
        /// Its password.
        password: Secret<String>,
    },
    /// Nothing that could be read.
    Nothing,
}

impl Presented {
    /// What stands in the headers.
    pub fn of(headers: &HeaderMap) -> Self {
        if let Some(value) = headers.get(SESSION_PASS) {
            let text = value.to_str().map(|text| Zeroizing::new(text.to_owned()));
            return text.map_or(Self::Nothing, Self::Secret);
        }
        if let Some(token) = bearer(headers).filter(|text| Services::is_token(text)) {
            return Self::Secret(token);
        }
        match basic::presented(headers) {
            Some((name, password)) if Services::is_token(password.reveal()) => {
                Self::Token { name, secret: Zeroizing::new(password.reveal().clone()) }
            }
            Some((name, password)) => Self::Password { name, password },
            None => Self::Nothing,
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Zeroizing::new(token.trim().to_owned()))
}

/// The caller with this secret. What has to be on the disk first is; what need not is written beside.
pub async fn by_secret(context: &Context, secret: Zeroizing<String>, visit: Visit) -> Result<Caller, Error> {
    let services = context.services.clone();
    let found = context.bridge.call(move || Ok::<_, Error>(services.caller(&secret, &visit))).await;
    let (caller, follow) = found?;
    if let Some(follow) = follow {
        let (services, bridge, must) = (context.services.clone(), context.bridge.clone(), follow.is_must());
        let written = async move { bridge.call_change(move || services.follow(follow)).await };
        if must {
            written.await?;
        } else {
            tokio::spawn(
                async move { written.await.inspect_err(|error| tracing::debug!(%error, "a use was not noted")) },
            );
        }
    }
    Ok(caller?)
}

/// The same for a token that came with a name, which must be its account's.
pub async fn by_token(
    context: &Context,
    name: String,
    secret: Zeroizing<String>,
    visit: Visit,
) -> Result<Caller, Error> {
    let name = Username::parse(name).map_err(|_| service::Error::NoSession)?;
    let caller = by_secret(context, secret, visit).await?;
    let (services, asked) = (context.services.clone(), caller.clone());
    let is_named = context.bridge.call(move || services.is_named(&asked, &name)).await?;
    if is_named { Ok(caller) } else { Err(service::Error::NoSession.into()) }
}

/// Runs `work`, which hashes a password to prove that somebody is `account`, unless one of them failed too often.
pub async fn proving<T, E, F>(context: &Context, account: Option<String>, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    E: Into<Error> + Send + 'static,
    F: FnOnce() -> Result<T, E> + Send + 'static,
{
    let claim = Claim::new(context.source, account);
    context.throttle.may_try(&claim)?;
    let (throttle, asked) = (Arc::clone(&context.throttle), claim.clone());
    let is_main = matches!(*context.front, Front::Main);
    let (services, from) =
        (context.services.clone(), Visit { address: context.source.to_string(), ..Visit::default() });
    // Those that waited together have learned meanwhile what became of the first.
    let proved = context.bridge.call_password(context.source.group(), move || {
        throttle.may_try(&asked)?;
        let proved = work().map_err(Into::into);
        match &proved {
            Ok(_) => throttle.proved(&asked),
            Err(error) if error.is_wrong_claim() => {
                throttle.failed(&asked);
                if let Some(account) = asked.account() {
                    // Users of a realm of restic's are no accounts, whatever they are called.
                    services.audit_failed_sign_in(if is_main { account } else { "" }, &from);
                }
            }
            Err(_) => {}
        }
        proved
    });
    proved.await
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
