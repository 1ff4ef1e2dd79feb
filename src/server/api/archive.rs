//! `GET /api/v1/zip`: a folder, or a selection in it, as of any moment, as one file.
//!
//! Promises: its length is told before its first byte, and ranges are honoured: a download that broke goes on. The ETag names
//! all that is in it.

use std::ops::Range;

use warp::http::{HeaderValue, StatusCode, header};

use super::browse::{folder_path, moment};
use super::download::disposition;
use crate::model::{DeviceName, FileId, FilePath, Invalid, limits};
use crate::server::Context;
use crate::server::bridge::PieceSizes;
use crate::server::error::Error;
use crate::server::query::Query;
use crate::server::range::{self, Outcome};
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::{Archive, ArchiveQuery, Caller};

/// Files and folders that are named one by one; more of a folder is all of it, or comes in parts. So many fit into a request's head.
const SELECTED_MAX: usize = 2000;

/// Brings the archive.
pub async fn zip(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let wanted = wanted(&request.query()?)?;
    let services = context.services.clone();
    let archive = context.bridge.call(move || services.archive(&caller, &wanted)).await?;
    let (etag, size) = (format!("\"{}\"", archive.digest()), archive.size());
    if range::if_none_match(request.header(header::IF_NONE_MATCH), &etag) {
        return Ok(described(Reply::empty(StatusCode::NOT_MODIFIED), &etag));
    }
    let unchanged = range::if_range(request.header(header::IF_RANGE), &etag);
    match range::parse(request.header(header::RANGE).filter(|_| unchanged), size) {
        Outcome::Whole => send(&context, &request, archive, StatusCode::OK, 0..size).await,
        Outcome::Part(part) => send(&context, &request, archive, StatusCode::PARTIAL_CONTENT, part).await,
        Outcome::Unsatisfiable => Err(Error::RangeNotSatisfiable { size }),
    }
}

fn wanted(query: &Query) -> Result<ArchiveQuery, Error> {
    let wanted = ArchiveQuery {
        device: DeviceName::parse(query.required_text("device_id")?)?,
        folder: folder_path(query)?,
        files: files(query)?,
        folders: folders(query)?,
        at: moment(query)?,
    };
    if wanted.files.len() + wanted.folders.len() > SELECTED_MAX {
        return Err(Invalid::new("files", format!("names more than {SELECTED_MAX} files and folders")).into());
    }
    Ok(wanted)
}

/// Ids with commas between them.
fn files(query: &Query) -> Result<Vec<FileId>, Error> {
    let text = query.text("files")?.unwrap_or_default();
    let ids = text.split(',').filter(|id| !id.is_empty());
    let id = |id: &str| id.parse().map(FileId).map_err(|_| Invalid::new("files", "is not a list of ids").into());
    ids.map(id).collect()
}

/// Paths with a NUL byte between them, which no path has in it.
fn folders(query: &Query) -> Result<Vec<Vec<u8>>, Error> {
    let bytes = query.bytes("folders")?.unwrap_or_default();
    let folder = |path: &[u8]| match path.last() {
        Some(b'/' | b'\\') => Ok(path.to_vec()),
        _ => Err(Invalid::new("folders", "has one that does not end with a separator").into()),
    };
    bytes.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(folder).collect()
}

async fn send(
    context: &Context,
    request: &Request,
    archive: Archive,
    status: StatusCode,
    part: Range<u64>,
) -> Result<Reply, Error> {
    let (etag, size) = (format!("\"{}\"", archive.digest()), archive.size());
    let name = FilePath::parse(format!("{}.zip", archive.name()).into_bytes())?;
    let mut head = described(Reply::empty(status), &etag)
        .with_text(header::CONTENT_LENGTH, &(part.end - part.start).to_string())
        .with_text(header::CONTENT_DISPOSITION, &disposition(&name))
        .with(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    if status == StatusCode::PARTIAL_CONTENT {
        let place = format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1));
        head = head.with_text(header::CONTENT_RANGE, &place);
    }
    let sizes =
        PieceSizes { bytes_max: limits::DOWNLOAD_PIECE_BYTES_MAX, waiting_max: limits::DOWNLOAD_PIECES_WAITING_MAX };
    let pieces = context.bridge.body_out(archive.read(part), sizes, request).await?;
    Ok(Reply { headers: head.headers, ..Reply::flow(status, pieces) })
}

fn described(reply: Reply, etag: &str) -> Reply {
    reply
        .with_text(header::ETAG, etag)
        .with(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        .with(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))
}
