//! `GET /status` and `GET /api/v1/status`. Never ask a service: they answer while everything else is busy.

use warp::http::StatusCode;

use crate::server::error::Error;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::wire::status::{ServerJson, StatusJson};

/// The server runs.
pub async fn show() -> Result<Reply, Error> {
    Ok(Reply::json(StatusCode::OK, &StatusJson::running()))
}

/// The same with what a client can see of the server before it signs in.
pub async fn server(request: Request) -> Result<Reply, Error> {
    Ok(Reply::json(StatusCode::OK, &ServerJson::running(request.connection.certificate())))
}
