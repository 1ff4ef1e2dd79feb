//! `GET /status`. Never asks a service: it answers while everything else is busy.

use warp::http::StatusCode;

use crate::server::error::Error;
use crate::server::reply::Reply;
use crate::wire::status::StatusJson;

/// The server runs.
pub async fn show() -> Result<Reply, Error> {
    Ok(Reply::json(StatusCode::OK, &StatusJson::running()))
}
