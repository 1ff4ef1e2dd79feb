//! restic's way to say who asks: HTTP Basic, with the name of an account and its password or one of its tokens.
//!
//! Promises: `/restic/x` is always the caller's own `x`; argon2 runs once per password and ten minutes, and never for a token; a
//! wrong name, a wrong password and a token that ended look the same. Never: keeps or prints what was presented.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use warp::http::{HeaderMap, header};
use zeroize::Zeroizing;

use super::{Presented, by_secret, by_token, visit};
use crate::model::{RepoPath, Rights, Secret, Username, limits};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::guard;
use crate::server::request::Request;
use crate::server::restic::{Admission, Gate};
use crate::service::restic::{Credentials, Owner, RepoAccess};
use crate::service::{self, Services};

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
    fn admit<'a>(&'a self, context: &'a Context, request: &'a Request, repo: RepoPath) -> Admission<'a> {
        Box::pin(async move {
            let owner = account_owner(context, request).await?;
            Ok(RepoAccess::new(&owner, repo, Rights::FULL))
        })
    }
}

async fn account_owner(context: &Context, request: &Request) -> Result<Owner, Error> {
    let (name, password) = match Presented::of(&request.headers) {
        Presented::Password { name, password } => (name, password),
        Presented::Nothing => return Err(Error::NeedCredentials),
        Presented::Secret(secret) if !Services::is_token(&secret) => return Err(Error::NeedCredentials),
        Presented::Secret(secret) => {
            let caller = by_secret(context, secret, visit(request)).await.map_err(refused)?;
            return Ok(context.services.owner_of(&caller)?);
        }
        Presented::Token { name, secret } => {
            let caller = by_token(context, name, secret, visit(request)).await.map_err(refused)?;
            return Ok(context.services.owner_of(&caller)?);
        }
    };
    let name = Username::parse(name).map_err(|_| Error::NeedCredentials)?;
    let credentials = Credentials { name, password };
    let (services, asked) = (context.services.clone(), credentials.clone());
    if let Some(owner) = context.bridge.call(move || services.remembered_owner(&asked)).await? {
        return Ok(owner);
    }
    let (services, account) = (context.services.clone(), credentials.name.folded());
    let verified = guard::proving(context, Some(account), move || services.owner(&credentials)).await;
    verified.map_err(refused)
}

/// Whoever is refused is asked again for a name and a password.
fn refused(error: Error) -> Error {
    match error {
        Error::Service(service::Error::BadCredentials | service::Error::NoSession) => Error::NeedCredentials,
        other => other,
    }
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
