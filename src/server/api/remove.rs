//! `DELETE /remove/file` and `DELETE /remove/fileVersion`. Never tells an id of another account from one that is not there.

use warp::http::StatusCode;

use crate::model::{FileId, VersionId};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::Caller;

/// Removes a file with all its versions.
pub async fn file(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let file = FileId(request.query()?.required_number("file_id")?);
    context.bridge.call_change(move || context.services.remove_file(&caller, file)).await?;
    Ok(Reply::empty(StatusCode::OK))
}

/// Removes one version.
pub async fn version(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let version = VersionId(request.query()?.required_number("file_version_id")?);
    context.bridge.call_change(move || context.services.remove_version(&caller, version)).await?;
    Ok(Reply::empty(StatusCode::OK))
}
