//! `POST /account/session/rotate`, and `/api/v1/sessions`: which devices are signed in, and signing out.

use warp::http::StatusCode;

use crate::server::Context;
use crate::server::error::Error;
use crate::server::guard;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::{Caller, SessionSummary, WhichSessions};
use crate::wire::access::{EndedJson, SessionJson};
use crate::wire::account::SignedInJson;

/// Replaces the session that asks by its next generation.
pub async fn rotate(context: Context, request: Request) -> Result<Reply, Error> {
    let (presented, visit) = guard::session_alone(&request)?;
    let rotated = context.bridge.call_change(move || context.services.rotate(&presented, &visit)).await?;
    Ok(Reply::json(StatusCode::OK, &SignedInJson { session_id: rotated.reveal() }))
}

/// The account's sessions.
pub async fn list(context: Context, caller: Caller) -> Result<Reply, Error> {
    let sessions = context.bridge.call(move || context.services.sessions(&caller)).await?;
    let sessions: Vec<SessionJson> = sessions.into_iter().map(json).collect();
    Ok(Reply::json(StatusCode::OK, &sessions))
}

/// Ends the session that asks (`id=current`), the one of that id, or all of them (`id=all`).
pub async fn end(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let which = match request.query()?.required_text("id")?.as_str() {
        "current" => WhichSessions::Current,
        "all" => WhichSessions::All,
        id => WhichSessions::One(id.to_owned()),
    };
    let ended = context.bridge.call_change(move || context.services.end_sessions(&caller, &which)).await?;
    Ok(Reply::json(StatusCode::OK, &EndedJson { sessions_ended: ended, tokens_revoked: 0 }))
}

fn json(session: SessionSummary) -> SessionJson {
    SessionJson {
        id: session.id,
        device_id: session.device.as_str().to_owned(),
        created: session.opened.to_string(),
        last_used: session.last_used.map(|moment| moment.to_string()),
        expires: session.expires.map(|moment| moment.to_string()),
        address: session.address,
        user_agent: session.agent,
        generation: session.generation,
        browser: session.is_browser,
        current: session.is_current,
    }
}
