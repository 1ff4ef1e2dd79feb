//! The objects of one kind as JSON, in the version the client asks for.
//!
//! Promises: the type is exactly the version's, without parameters, since restic compares it so; an empty list is `[]`; memory does
//! not grow with the list, and its first bytes do not wait for the rest.

use bytes::Bytes;
use warp::http::{HeaderValue, StatusCode, header};

use crate::model::{ObjectKind, limits};
use crate::server::Context;
use crate::server::bridge::PieceSizes;
use crate::server::error::Error;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service;
use crate::service::restic::{ObjectListing, RepoAccess};
use crate::wire::restic::{self, Version};

/// The list.
pub async fn objects(context: Context, access: RepoAccess, kind: ObjectKind, request: Request) -> Result<Reply, Error> {
    let version = Version::asked_for(request.header(header::ACCEPT));
    let services = context.services.clone();
    let begun = context.bridge.call(move || Begun::of(services.list_objects(&access, kind)?, version)).await?;
    let reply = match begun {
        Begun::All(json) => Reply::whole(StatusCode::OK, json.into()),
        Begun::Some(first, rest) => {
            let sizes = PieceSizes {
                bytes_max: 2 * limits::LISTING_PIECE_BYTES,
                waiting_max: limits::LISTING_PIECES_WAITING_MAX,
            };
            let pieces = std::iter::once(Ok(first.into())).chain(rest);
            Reply::flow(StatusCode::OK, context.bridge.body_out(pieces, sizes, &request).await?)
        }
    };
    let media_type = HeaderValue::from_static(version.media_type());
    Ok(reply.with(header::CONTENT_TYPE, media_type).with(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// A list whose first piece was made.
enum Begun {
    /// It is the only one: such a list has a length, and restic 0.14 reads its connection to the end.
    All(Vec<u8>),
    Some(Vec<u8>, Pieces),
}

impl Begun {
    fn of(listing: ObjectListing, version: Version) -> Result<Self, service::Error> {
        let mut pieces = Pieces { listing, version, at: At::First };
        let first = pieces.next_piece()?;
        Ok(if matches!(pieces.at, At::Closed) { Self::All(first) } else { Self::Some(first, pieces) })
    }
}

/// A JSON array in pieces of about [`limits::LISTING_PIECE_BYTES`].
struct Pieces {
    listing: ObjectListing,
    version: Version,
    at: At,
}

enum At {
    First,
    Later,
    Closed,
}

impl Pieces {
    fn next_piece(&mut self) -> Result<Vec<u8>, service::Error> {
        let mut json = Vec::new();
        while json.len() < limits::LISTING_PIECE_BYTES {
            let first = matches!(self.at, At::First);
            let Some((name, size)) = self.listing.next().transpose()? else {
                json.extend_from_slice(if first { b"[]" } else { b"]" });
                self.at = At::Closed;
                break;
            };
            json.push(if first { b'[' } else { b',' });
            restic::append(self.version, &name, size, &mut json);
            self.at = At::Later;
        }
        Ok(json)
    }
}

impl Iterator for Pieces {
    type Item = Result<Bytes, service::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.at {
            At::Closed => None,
            At::First | At::Later => Some(self.next_piece().map(Bytes::from)),
        }
    }
}
