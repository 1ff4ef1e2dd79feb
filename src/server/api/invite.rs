//! `/api/v1/invites`: letting somebody register.

use warp::http::StatusCode;

use crate::model::{Invalid, limits};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::fields::Fields;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::Caller;
use crate::wire::access::InvitedJson;

/// Makes an invitation and shows its code, once.
pub async fn make(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let fields = Fields::of(&context, request).await?;
    fields.only(&["expires_days"])?;
    let days = fields.number("expires_days")?.unwrap_or(limits::INVITE_DAYS);
    if !(1..=limits::INVITE_DAYS_MAX).contains(&days) {
        return Err(Invalid::new("expires_days", format!("must lie between 1 and {}", limits::INVITE_DAYS_MAX)).into());
    }
    let invited = context.bridge.call_change(move || context.services.invite(&caller, days)).await?;
    let json = InvitedJson { invite: invited.code.reveal(), expires: invited.expires.to_string() };
    Ok(Reply::json(StatusCode::CREATED, &json))
}
