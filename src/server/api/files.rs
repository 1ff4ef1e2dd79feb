//! `GET /list/files`, `GET /list/devices` and `GET /api/v1/devices`. Promises: a listing streams, its memory does not grow with the account.

use bytes::Bytes;
use warp::http::StatusCode;

use crate::model::{DeviceName, limits};
use crate::server::Context;
use crate::server::bridge::PieceSizes;
use crate::server::error::Error;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::{self, Caller, DeviceSummary, FileListing};
use crate::wire;
use crate::wire::access::KnownDeviceJson;

/// The names of the account's devices.
pub async fn devices(context: Context, caller: Caller) -> Result<Reply, Error> {
    let devices = context.bridge.call(move || context.services.devices(&caller)).await?;
    let names: Vec<&str> = devices.iter().map(DeviceName::as_str).collect();
    Ok(Reply::json(StatusCode::OK, &names))
}

/// The same with what is known of each.
pub async fn known_devices(context: Context, caller: Caller) -> Result<Reply, Error> {
    let devices = context.bridge.call(move || context.services.device_summaries(&caller)).await?;
    let json = |DeviceSummary { device, first_seen, signed_in }: DeviceSummary| KnownDeviceJson {
        device_id: device.as_str().to_owned(),
        first_seen: first_seen.to_string(),
        signed_in,
    };
    Ok(Reply::json(StatusCode::OK, &devices.into_iter().map(json).collect::<Vec<_>>()))
}

/// The account's files, or one device's.
pub async fn files(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let device = request.query()?.text("device_id")?.map(DeviceName::parse).transpose()?;
    let services = context.services.clone();
    let listing = context.bridge.call(move || services.files(&caller, device.as_ref())).await?;
    let sizes =
        PieceSizes { bytes_max: 2 * limits::LISTING_PIECE_BYTES, waiting_max: limits::LISTING_PIECES_WAITING_MAX };
    let pieces = context.bridge.body_out(ArrayPieces::new(listing), sizes, &request).await?;
    Ok(Reply::json_flow(pieces))
}

/// A listing as a JSON array, in pieces of about [`limits::LISTING_PIECE_BYTES`].
struct ArrayPieces {
    files: FileListing,
    at: At,
}

enum At {
    First,
    Later,
    Closed,
}

impl ArrayPieces {
    fn new(files: FileListing) -> Self {
        Self { files, at: At::First }
    }

    fn next_piece(&mut self) -> Result<Vec<u8>, service::Error> {
        let mut json = Vec::with_capacity(limits::LISTING_PIECE_BYTES + limits::LISTING_PIECE_BYTES / 4);
        while json.len() < limits::LISTING_PIECE_BYTES {
            let separator = if matches!(self.at, At::First) { b'[' } else { b',' };
            let Some(file) = self.files.next().transpose()? else {
                json.extend_from_slice(if matches!(self.at, At::First) { b"[]" } else { b"]" });
                self.at = At::Closed;
                break;
            };
            json.push(separator);
            wire::file::append(&file, &mut json);
            self.at = At::Later;
        }
        Ok(json)
    }
}

impl Iterator for ArrayPieces {
    type Item = Result<Bytes, service::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.at {
            At::Closed => None,
            At::First | At::Later => Some(self.next_piece().map(Bytes::from)),
        }
    }
}
