//! `/api/v1/tokens`: making, listing and revoking them.
//!
//! Promise: a body with a field that is not known is refused, for a mistyped limit would be none.

use warp::http::StatusCode;

use crate::model::{DeviceName, Invalid, Rights, Scope, Timestamp};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::fields::Fields;
use crate::server::query::QueryError;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::{Caller, TokenSummary, TokenWish, WhichTokens};
use crate::wire::access::{EndedJson, MadeTokenJson, TokenJson};

/// What a token may be told to be.
const FIELDS: [&str; 5] = ["name", "scopes", "device_id", "path", "expires_days"];
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Longer is as good as for ever, which is said by leaving it out.
const EXPIRES_DAYS_MAX: u32 = 3660;

/// Makes a token and shows its secret, once.
pub async fn make(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let fields = Fields::of(&context, request).await?;
    fields.only(&FIELDS)?;
    let wish = TokenWish {
        label: fields.required("name")?,
        rights: rights(&fields.words("scopes")?)?,
        device: fields.text("device_id")?.map(DeviceName::parse).transpose()?,
        prefix: fields.text("path")?.map(String::into_bytes),
        expires: expires(&context, &fields)?,
    };
    let made = context.bridge.call_change(move || context.services.make_token(&caller, wish)).await?;
    let json = MadeTokenJson { id: made.id.to_string(), token: made.secret.reveal() };
    Ok(Reply::json(StatusCode::CREATED, &json))
}

fn rights(words: &[String]) -> Result<Rights, Error> {
    let scope = |word: &String| {
        let unknown = || Invalid::new("scopes", "must name append, read, restore, delete or admin");
        Scope::parse(word).ok_or_else(unknown)
    };
    Ok(Rights::of(words.iter().map(scope).collect::<Result<Vec<_>, _>>()?))
}

fn expires(context: &Context, fields: &Fields) -> Result<Option<Timestamp>, Error> {
    let Some(days) = fields.number("expires_days")? else { return Ok(None) };
    if !(1..=EXPIRES_DAYS_MAX).contains(&days) {
        return Err(Invalid::new("expires_days", "must lie between 1 and 3660").into());
    }
    Ok(Some(Timestamp(context.services.now().0.saturating_add(i64::from(days) * DAY_MS))))
}

/// The account's tokens, without their secrets.
pub async fn list(context: Context, caller: Caller) -> Result<Reply, Error> {
    let tokens = context.bridge.call(move || context.services.tokens(&caller)).await?;
    let tokens: Vec<TokenJson> = tokens.into_iter().map(json).collect();
    Ok(Reply::json(StatusCode::OK, &tokens))
}

/// Revokes the token of that id, or all of them (`id=all`).
pub async fn revoke(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let which = match request.query()?.required_text("id")?.as_str() {
        "all" => WhichTokens::All,
        id => WhichTokens::One(id.parse().map_err(|_| QueryError::NotNumber("id"))?),
    };
    let revoked = context.bridge.call_change(move || context.services.revoke_tokens(&caller, which)).await?;
    Ok(Reply::json(StatusCode::OK, &EndedJson { sessions_ended: 0, tokens_revoked: revoked }))
}

fn json(token: TokenSummary) -> TokenJson {
    TokenJson {
        id: token.id.to_string(),
        name: token.label,
        scopes: token.rights.scopes().into_iter().map(Scope::name).collect(),
        device_id: token.device.map(|device| device.as_str().to_owned()),
        path: token.prefix.map(|path| String::from_utf8_lossy(&path).into_owned()),
        created: token.made.to_string(),
        expires: token.expires.map(|moment| moment.to_string()),
        last_used: token.last_used.map(|moment| moment.to_string()),
        address: token.address,
        user_agent: token.agent,
    }
}
