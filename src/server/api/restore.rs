//! `POST /api/v1/restore`: an old or removed version becomes the newest, and nothing is sent.

use warp::http::StatusCode;

use crate::model::VersionId;
use crate::server::Context;
use crate::server::error::Error;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::Caller;
use crate::wire::file::FileJson;

/// Makes the new version and answers with the file.
pub async fn version(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let version = VersionId(request.query()?.required_number("file_version_id")?);
    let file = context.bridge.call_change(move || context.services.restore(&caller, version)).await?;
    Ok(Reply::json(StatusCode::CREATED, &FileJson(&file)))
}
