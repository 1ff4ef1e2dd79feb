//! `GET /api/v1/preview`: a version for a browser to show: PDF, audio, video.
//!
//! Promises: the type is told by the first bytes, never by a name, and is one of those below; nothing of it may run or load
//! anything, and nobody else's page may frame it. Never: answers what a browser would take for a page or a script.

use warp::http::{HeaderValue, header};

use super::download::{self, Face};
use crate::model::VersionId;
use crate::server::Context;
use crate::server::error::Error;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::Caller;

/// What tells the types apart.
const HEAD_BYTES: u64 = 16;
/// A PDF that is sandboxed is not shown; without a sandbox it still may load and run nothing.
const PDF_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// Brings a version, or the range of it that was asked for.
pub async fn version(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let version = VersionId(request.query()?.required_number("file_version_id")?);
    let (services, asked) = (context.services.clone(), caller.clone());
    let head = context.bridge.call(move || services.download(&asked, version)?.head(HEAD_BYTES)).await?;
    let media_type = media_type(&head).ok_or(Error::NoPreview)?;
    let reply = download::bring(context, caller, request, Face::Shown(media_type)).await?;
    if media_type != "application/pdf" {
        return Ok(reply);
    }
    Ok(reply
        .with(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PDF_POLICY))
        .with(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")))
}

/// The type of content that begins like this.
fn media_type(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("application/pdf"),
        [b'I', b'D', b'3', ..] | [0xff, 0xf2 | 0xf3 | 0xfa | 0xfb, ..] => Some("audio/mpeg"),
        [b'f', b'L', b'a', b'C', ..] => Some("audio/flac"),
        [b'O', b'g', b'g', b'S', ..] => Some("application/ogg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some("audio/wav"),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some("video/webm"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a' | b'h', b'v' | b'e', b'i', ..] => None,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("video/mp4"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn nothing_that_browsers_interpret_has_a_type() {
        for content in
            ["<html>", "<svg xmlns", "<?xml", "GIF89a", "#!/bin/sh", "", "%PDF", "RIFF0000WEBP", "\0\0\0 ftypavif"]
        {
            assert_eq!(media_type(content.as_bytes()), None, "{content}");
        }
        for (content, wanted) in [
            (&b"%PDF-1.7 <script>"[..], "application/pdf"),
            (b"\0\0\0 ftypisom", "video/mp4"),
            (b"RIFF0000WAVEfmt ", "audio/wav"),
            (b"ID3\x04", "audio/mpeg"),
        ] {
            assert_eq!(media_type(content), Some(wanted));
        }
    }
}
