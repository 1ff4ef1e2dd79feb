//! A browser's way in and out: `/api/v1/hello`, `/api/v1/session` and `/api/v1/devices`.
//!
//! Promises: the session's secret leaves in a cookie that no script can read, never in a body.

use warp::http::{StatusCode, header};

use crate::model::{DeviceName, Registration, Username};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::fields::Fields;
use crate::server::guard::{self, cookie};
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::{Caller, SignIn, WhichSessions};
use crate::wire::browse::{BrowserJson, HelloJson, LastSignInJson};

/// What a page has to know before anybody signs in.
pub async fn hello(context: Context, request: Request) -> Result<Reply, Error> {
    let is_local = guard::source::is_at_this_machine(&context, &request);
    let is_near = guard::source::is_near(&context, &request);
    let registration = match context.services.registration() {
        rule if rule.is_open(is_near) => "open",
        Registration::Open | Registration::Near | Registration::Invite => "invite",
        Registration::Closed => "closed",
    };
    let first_run = context.bridge.call(move || context.services.is_first_run()).await?;
    let setup_code = first_run && !is_local;
    let version = env!("CARGO_PKG_VERSION");
    Ok(Reply::json(StatusCode::OK, &HelloJson { version, first_run, setup_code, registration }))
}

/// Signs a browser in.
pub async fn sign_in(context: Context, request: Request) -> Result<Reply, Error> {
    let (headers, peer) = (request.headers.clone(), request.connection.peer);
    let visit = guard::visit(&request);
    let fields = Fields::of(&context, request).await?;
    let browser = DeviceName::parse(fields.required("device_id")?)?;
    let name = Username::parse(fields.required("username")?)?;
    let password = fields.required_secret("password")?;
    cookie::require_interface(&headers)?;
    guard::require_own_name(&context, &headers, peer)?;
    let mut json = browser_json(name.as_str().to_owned(), Some(browser.as_str().to_owned()));
    let (services, account) = (context.services.clone(), name.folded());
    let sign_in = move || services.sign_in_browser(&name, &password, browser, &visit);
    let (signed_in, before) = guard::proving(&context, Some(account), sign_in).await?;
    json.last_sign_in = before.map(|SignIn { at, name, address }| LastSignInJson { at_ms: at.0, name, address });
    let reply = Reply::json(StatusCode::CREATED, &json);
    match cookie::given(&headers, signed_in.session_id.reveal()) {
        Some(cookie) => Ok(reply.with(header::SET_COOKIE, cookie)),
        None => Ok(reply),
    }
}

/// Who is signed in.
pub async fn show(context: Context, caller: Caller) -> Result<Reply, Error> {
    let browser = caller.browser().map(|name| name.as_str().to_owned());
    let account = context.bridge.call(move || context.services.account_name(&caller)).await?;
    Ok(Reply::json(StatusCode::OK, &browser_json(account, browser)))
}

fn browser_json(account: String, browser: Option<String>) -> BrowserJson {
    BrowserJson { account, browser, last_sign_in: None }
}

/// Signs a browser out. A device's session is not ended by it.
pub async fn sign_out(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    if caller.browser().is_none() {
        return Err(Error::Forbidden);
    }
    context.bridge.call_change(move || context.services.end_sessions(&caller, &WhichSessions::Current)).await?;
    let reply = Reply::empty(StatusCode::NO_CONTENT);
    match cookie::taken(&request.headers) {
        Some(cookie) => Ok(reply.with(header::SET_COOKIE, cookie)),
        None => Ok(reply),
    }
}

/// Adds a device, so that files can be sent for it: 201 when it is new, 200 when it is there.
pub async fn add_device(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let device = DeviceName::parse(request.query()?.required_text("device_id")?)?;
    let is_new = context.bridge.call_change(move || context.services.add_device(&caller, device)).await?;
    Ok(Reply::empty(if is_new { StatusCode::CREATED } else { StatusCode::OK }))
}
