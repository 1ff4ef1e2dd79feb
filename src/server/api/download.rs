//! `GET /download`: a version's bytes, whole or a range.
//!
//! Promises: the ETag is the content's SHA-256, so it is strong; a name reaches a header only as RFC 6266's `filename*`.
//! Never: names a directory to the client, or lets a browser guess a type.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::ops::Range;
use warp::http::{HeaderValue, StatusCode, header};

use crate::model::{FilePath, VersionId, limits};
use crate::server::Context;
use crate::server::bridge::PieceSizes;
use crate::server::error::Error;
use crate::server::guard::FILE_HASH;
use crate::server::range::{self, Outcome};
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::{Caller, Download};

/// What a version is answered as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// A file to be kept.
    File,
    /// Something of this type, to be shown.
    Shown(&'static str),
}

/// Brings a version.
pub async fn version(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    bring(context, caller, request, Face::File).await
}

/// The same, as one or the other.
pub(super) async fn bring(context: Context, caller: Caller, request: Request, face: Face) -> Result<Reply, Error> {
    let version = VersionId(request.query()?.required_number("file_version_id")?);
    let services = context.services.clone();
    let download = context.bridge.call(move || services.download(&caller, version)).await?;
    let etag = format!("\"{}\"", download.hash());
    if range::if_none_match(request.header(header::IF_NONE_MATCH), &etag) {
        return Ok(described(Reply::empty(StatusCode::NOT_MODIFIED), &download, &etag));
    }
    let size = download.size();
    match wanted(&request, &etag, size) {
        Outcome::Whole => send(&context, &request, (download, face), &etag, StatusCode::OK, 0..size).await,
        Outcome::Part(part) => {
            send(&context, &request, (download, face), &etag, StatusCode::PARTIAL_CONTENT, part).await
        }
        Outcome::Unsatisfiable => Err(Error::RangeNotSatisfiable { size }),
    }
}

fn wanted(request: &Request, etag: &str, size: u64) -> Outcome {
    let unchanged = range::if_range(request.header(header::IF_RANGE), etag);
    range::parse(request.header(header::RANGE).filter(|_| unchanged), size)
}

async fn send(
    context: &Context,
    request: &Request,
    (download, face): (Download, Face),
    etag: &str,
    status: StatusCode,
    part: Range<u64>,
) -> Result<Reply, Error> {
    let size = download.size();
    let (media_type, disposition) = match face {
        Face::File => ("application/octet-stream", disposition(download.path())),
        Face::Shown(media_type) => (media_type, "inline".to_owned()),
    };
    let mut head = described(Reply::empty(status), &download, etag)
        .with_text(header::CONTENT_LENGTH, &(part.end - part.start).to_string())
        .with_text(header::CONTENT_DISPOSITION, &disposition)
        .with(header::CONTENT_TYPE, HeaderValue::from_static(media_type))
        .with(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::PARTIAL_CONTENT {
        let place = format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1));
        head = head.with_text(header::CONTENT_RANGE, &place);
    }
    let sizes =
        PieceSizes { bytes_max: limits::DOWNLOAD_PIECE_BYTES_MAX, waiting_max: limits::DOWNLOAD_PIECES_WAITING_MAX };
    let pieces = context.bridge.body_out(download.read(part), sizes, request).await?;
    Ok(Reply { headers: head.headers, ..Reply::flow(status, pieces) })
}

/// What 200, 206 and 304 share.
fn described(reply: Reply, download: &Download, etag: &str) -> Reply {
    reply
        .with_text(header::ETAG, etag)
        .with_text(FILE_HASH, &download.hash().to_string())
        .with(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        .with(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))
}

/// RFC 8187's `attr-char`: everything else is percent-encoded.
const NOT_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// `Content-Disposition` with the path's last component, by the separators of either world.
pub(super) fn disposition(path: &FilePath) -> String {
    let text = path.to_text();
    let name = text.rsplit(['/', '\\']).find(|name| !matches!(*name, "" | "." | ".."));
    format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(name.unwrap_or("file"), NOT_ATTR_CHAR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reaches_the_header_encoded() {
        let rows: [(&[u8], &str); 6] = [
            (b"/etc/hosts", "hosts"),
            (b"C:\\Users\\me\\a b.txt", "a%20b.txt"),
            (b"/x/a\"\r\nSet-Cookie: b", "a%22%0D%0ASet-Cookie%3A%20b"),
            ("/ä+%".as_bytes(), "%C3%A4+%25"),
            (b"/x/\xff", "%EF%BF%BD"),
            (b"/../..", "file"),
        ];
        for (path, name) in rows {
            let path = FilePath::parse(path.to_vec()).expect("a path");
            assert_eq!(disposition(&path), format!("attachment; filename*=UTF-8''{name}"));
        }
    }
}
