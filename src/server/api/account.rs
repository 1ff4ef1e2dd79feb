//! `/account/register` and `/account/login`, by query, form or JSON; a new password below `/api/v1/account/`.
//!
//! Never: keeps a password longer than the call.

use warp::http::StatusCode;

use crate::model::{DeviceName, Password, Secret, Username};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::fields::Fields;
use crate::server::guard;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::{AccountUse, Admission, Caller, OwnAccount, Proof};
use crate::wire::access::{EndedJson, RecoveredJson};
use crate::wire::account::{RegisteredJson, SignedInJson};
use crate::wire::admin::{OwnAccountJson, UsageJson};

/// Makes an account.
pub async fn register(context: Context, request: Request) -> Result<Reply, Error> {
    let is_local = guard::source::is_at_this_machine(&context, &request);
    let is_near = guard::source::is_near(&context, &request);
    let visit = guard::visit(&request);
    let fields = Fields::of(&context, request).await?;
    let name = Username::parse_new(fields.required("username")?)?;
    let password = Password::parse(fields.required("password")?)?;
    let admission = Admission {
        is_local,
        is_near,
        visit,
        setup_code: fields.text("setup_code")?.map(Secret::new),
        invite: fields.text("invite")?.map(Secret::new),
    };
    let services = context.services.clone();
    let register = move || services.register(name, password, &admission);
    let registered = guard::proving(&context, None, register).await?;
    let account_id = registered.account.to_string();
    let json = RegisteredJson { account_id, recovery_code: registered.recovery_code.reveal() };
    Ok(Reply::json(StatusCode::CREATED, &json))
}

/// The caller's account with what it uses and may.
pub async fn show(context: Context, caller: Caller) -> Result<Reply, Error> {
    let own: OwnAccount = context.bridge.call_change(move || context.services.own_account(&caller)).await?;
    let json = OwnAccountJson {
        account_id: own.account.to_string(),
        username: own.name,
        administrator: own.administrator,
        created: own.added.to_string(),
        usage: usage_json(&own.usage),
    };
    Ok(Reply::json(StatusCode::OK, &json))
}

/// What an account uses and may, as the outside sees it.
pub fn usage_json(usage: &AccountUse) -> UsageJson {
    UsageJson {
        logical_bytes: usage.logical_bytes,
        stored_bytes: usage.stored_bytes,
        logical_bytes_max: usage.quota.logical.map(|bound| bound.bytes),
        stored_bytes_max: usage.quota.stored.map(|bound| bound.bytes),
    }
}

/// Opens a session of a device.
pub async fn login(context: Context, request: Request) -> Result<Reply, Error> {
    let visit = guard::visit(&request);
    let fields = Fields::of(&context, request).await?;
    let device = DeviceName::parse(fields.required("device_id")?)?;
    let name = Username::parse(fields.required("username")?)?;
    let password = fields.required_secret("password")?;
    let (services, account) = (context.services.clone(), name.folded());
    let login = move || services.login(&name, &password, device, &visit);
    let signed_in = guard::proving(&context, Some(account), login).await?;
    let status = if signed_in.renewed { StatusCode::OK } else { StatusCode::CREATED };
    Ok(Reply::json(status, &SignedInJson { session_id: signed_in.session_id.reveal() }))
}

/// Sets a new password by the old one or the recovery code.
pub async fn password(context: Context, request: Request) -> Result<Reply, Error> {
    let visit = guard::visit(&request);
    let fields = Fields::of(&context, request).await?;
    let name = Username::parse(fields.required("username")?)?;
    let proof = match fields.text("recovery_code")? {
        Some(code) => Proof::RecoveryCode(Secret::new(code)),
        None => Proof::Password(fields.required_secret("password")?),
    };
    let new = Password::parse(fields.required("new_password")?)?;
    let revoke_tokens = fields.text("revoke_tokens")?.is_some_and(|word| word == "true");
    let (services, account) = (context.services.clone(), name.folded());
    let change = move || services.change_password(&name, &proof, &new, revoke_tokens, &visit);
    let ended = guard::proving(&context, Some(account), change).await?;
    Ok(Reply::json(StatusCode::OK, &EndedJson { sessions_ended: ended.sessions, tokens_revoked: ended.tokens }))
}

/// Sets a new password by the recovery code, and shows the next code.
pub async fn recover(context: Context, request: Request) -> Result<Reply, Error> {
    let visit = guard::visit(&request);
    let fields = Fields::of(&context, request).await?;
    let name = Username::parse(fields.required("username")?)?;
    let code = fields.required_secret("recovery_code")?;
    let new = Password::parse(fields.required("new_password")?)?;
    let (services, account) = (context.services.clone(), name.folded());
    let recover = move || services.recover(&name, &code, &new, &visit);
    let recovered = guard::proving(&context, Some(account), recover).await?;
    let json = RecoveredJson {
        recovery_code: recovered.recovery_code.reveal(),
        sessions_ended: recovered.ended.sessions,
        tokens_revoked: recovered.ended.tokens,
    };
    Ok(Reply::json(StatusCode::OK, &json))
}
