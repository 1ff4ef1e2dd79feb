//! `/api/v1/invites`: letting somebody register, and thinking better of it.
//!
//! Never: shows an invitation's code a second time.

use warp::http::StatusCode;

use crate::model::{Invalid, limits};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::fields::Fields;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::{Caller, InviteSummary};
use crate::wire::access::InvitedJson;
use crate::wire::admin::InviteJson;

/// Makes an invitation and shows its code, once.
pub async fn make(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let fields = Fields::of(&context, request).await?;
    fields.only(&["expires_days"])?;
    let days = fields.number("expires_days")?.unwrap_or(limits::INVITE_DAYS);
    if !(1..=limits::INVITE_DAYS_MAX).contains(&days) {
        return Err(Invalid::new("expires_days", format!("must lie between 1 and {}", limits::INVITE_DAYS_MAX)).into());
    }
    let invited = context.bridge.call_change(move || context.services.invite(&caller, days)).await?;
    let (invite, id, expires) = (invited.code.reveal(), &invited.id, invited.expires.to_string());
    let json = InvitedJson { invite, id, expires };
    Ok(Reply::json(StatusCode::CREATED, &json))
}

/// The invitations that wait, without their codes.
pub async fn list(context: Context, caller: Caller) -> Result<Reply, Error> {
    let waiting = context.bridge.call(move || context.services.invites_for(&caller)).await?;
    let waiting: Vec<InviteJson> = waiting.into_iter().map(json).collect();
    Ok(Reply::json(StatusCode::OK, &waiting))
}

/// Takes the invitation of that id back.
pub async fn revoke(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let id = request.query()?.required_text("id")?;
    context.bridge.call_change(move || context.services.revoke_invite_as(&caller, &id)).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// An invitation as the outside sees it.
pub fn json(InviteSummary { id, by, made, expires }: InviteSummary) -> InviteJson {
    InviteJson { id, by, created: made.to_string(), expires: expires.to_string() }
}
