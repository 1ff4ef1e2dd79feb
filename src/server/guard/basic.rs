//! restic's way to say who asks: HTTP Basic, with the name and password of an account.
//!
//! Promises: `/restic/x` is always the caller's own `x`; argon2 runs once per password and ten minutes; a wrong name and a wrong
//! password look the same. Never: keeps or prints what was presented.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use warp::http::{HeaderMap, header};
use zeroize::Zeroizing;

use crate::model::{RepoPath, Secret, Username, limits};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::restic::{Admission, Gate};
use crate::service;
use crate::service::restic::{Credentials, Owner, RepoAccess, Rights};

/// A name and a password in base64, with room for what is longer than either may be.
const BASIC_BYTES_MAX: usize = 2 * (limits::USERNAME_BYTES_MAX + limits::PASSWORD_BYTES_MAX);

/// The name and the password of an `Authorization: Basic` header; nothing when there is none that can be read.
pub fn presented(headers: &HeaderMap) -> Option<(String, Secret<String>)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > BASIC_BYTES_MAX {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let (name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), Secret::new(password.to_owned())))
}

/// The gate of the main listener.
pub struct AccountGate;

impl Gate for AccountGate {
    fn admit<'a>(&'a self, context: &'a Context, headers: &'a HeaderMap, repo: RepoPath) -> Admission<'a> {
        Box::pin(async move {
            let owner = account_owner(context, headers).await?;
            Ok(RepoAccess::new(&owner, repo, Rights::Full))
        })
    }
}

async fn account_owner(context: &Context, headers: &HeaderMap) -> Result<Owner, Error> {
    let (name, password) = presented(headers).ok_or(Error::NeedCredentials)?;
    let name = Username::parse(name).map_err(|_| Error::NeedCredentials)?;
    let credentials = Credentials { name, password };
    let (services, asked) = (context.services.clone(), credentials.clone());
    if let Some(owner) = context.bridge.call(move || services.remembered_owner(&asked)).await? {
        return Ok(owner);
    }
    let services = context.services.clone();
    let verified = context.bridge.call_password(move || services.owner(&credentials)).await;
    verified.map_err(|error| match error {
        Error::Service(service::Error::BadCredentials) => Error::NeedCredentials,
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_basic_header_is_read() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().expect("a value"));
            presented(&headers).map(|(name, password)| (name, password.reveal().clone()))
        };
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(read("Basic YW5uOmE6Yg=="), pair("ann", "a:b"));
        assert_eq!(read("basic Og=="), pair("", ""));
        for value in ["Basic", "Basic ", "Bearer YW5uOmE6Yg==", "Basic YW5u", "Basic ????", "Basic //8="] {
            assert_eq!(read(value), None, "{value}");
        }
        assert_eq!(read(&format!("Basic {}", "Og==".repeat(BASIC_BYTES_MAX))), None);
        assert!(presented(&HeaderMap::new()).is_none());
    }
}
