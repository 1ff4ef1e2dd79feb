//! One object: whether it is there, its bytes or a range of them, taking it in, removing it.

use std::ops::Range;

use bytes::Bytes;
use warp::http::{HeaderValue, StatusCode, header};

use crate::model::{ObjectName, limits};
use crate::server::Context;
use crate::server::bridge::{PieceSizes, Sink};
use crate::server::error::Error;
use crate::server::range::{self, Outcome};
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::restic::{ObjectIntake, Proof, RepoAccess, StoredObject};

/// The length, in a header of its own: over HTTP/2 a client reads it nowhere else.
pub async fn stat(context: Context, access: RepoAccess, name: ObjectName) -> Result<Reply, Error> {
    let stat = context.bridge.call(move || context.services.stat_object(&access, name)).await?;
    Ok(described(Reply::empty(StatusCode::OK), stat.size))
}

/// The bytes, whole or a range.
pub async fn read(context: Context, access: RepoAccess, name: ObjectName, request: Request) -> Result<Reply, Error> {
    let services = context.services.clone();
    let object = context.bridge.call(move || services.open_object(&access, name)).await?;
    let size = object.size();
    match range::parse(request.header(header::RANGE), size) {
        Outcome::Whole => send(&context, &request, object, StatusCode::OK, 0..size).await,
        Outcome::Part(part) => {
            let place = format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1));
            let reply = send(&context, &request, object, StatusCode::PARTIAL_CONTENT, part).await?;
            Ok(reply.with_text(header::CONTENT_RANGE, &place))
        }
        Outcome::Unsatisfiable => Err(Error::RangeNotSatisfiable { size }),
    }
}

async fn send(
    context: &Context,
    request: &Request,
    object: StoredObject,
    status: StatusCode,
    part: Range<u64>,
) -> Result<Reply, Error> {
    let bytes = part.end - part.start;
    // Most reads are of a few kilobytes: they wait for as much of the common budget as they need.
    let bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX).min(limits::OBJECT_PART_BYTES);
    let sizes = PieceSizes { bytes_max, waiting_max: limits::DOWNLOAD_PIECES_WAITING_MAX };
    let pieces = context.bridge.body_out(object.read(part), sizes, request).await?;
    Ok(described(Reply::flow(status, pieces), bytes))
}

fn described(reply: Reply, bytes: u64) -> Reply {
    reply
        .with_text(header::CONTENT_LENGTH, &bytes.to_string())
        .with(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
        .with(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .with(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        .with(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))
}

/// Takes an object in. What can be refused is refused before the body is asked for.
pub async fn receive(
    context: Context,
    access: RepoAccess,
    name: ObjectName,
    proof: Proof,
    request: Request,
) -> Result<Reply, Error> {
    let (services, length) = (context.services.clone(), request.content_length());
    let intake = context.bridge.call_change(move || services.receive_object(&access, name, length, proof)).await?;
    context.bridge.body_in(request.body, intake).await?;
    Ok(Reply::empty(StatusCode::OK))
}

impl Sink for ObjectIntake {
    type Done = ();

    fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        Ok(ObjectIntake::push(self, bytes)?)
    }

    fn finish(self) -> Result<(), Error> {
        Ok(ObjectIntake::finish(self)?)
    }
}

/// Removes an object; one that is not there is as good as removed.
pub async fn remove(context: Context, access: RepoAccess, name: ObjectName) -> Result<Reply, Error> {
    context.bridge.call_change(move || context.services.remove_object(&access, name)).await?;
    Ok(Reply::empty(StatusCode::OK))
}
