//! `[limits]` for strangers and slow clients, as meant.

use super::file::Limits;
use super::{Error, bounded, seconds};
use crate::model::bounds::{Bounds, Network, OwnNames};

/// More failures than that in a window are no limit; 0 says so.
const FAILURES_MAX: u32 = 1_000_000;

/// What the file says, and the defaults of all else.
pub(super) fn meant(raw: Limits) -> Result<Bounds, Error> {
    let plain = Bounds::default();
    let failures = |key, given, default| bounded(key, given, default, 0..=FAILURES_MAX);
    let connections = bounded(
        "limits.connections_per_address",
        raw.connections_per_address,
        plain.connections_per_address,
        1..=100_000,
    )?;
    let rate =
        bounded("limits.body_bytes_per_s_min", raw.body_bytes_per_s_min, plain.body_bytes_per_s_min, 0..=1 << 20)?;
    let (addresses, accounts) = (raw.failed_sign_ins_per_address, raw.failed_sign_ins_per_account);
    let refused = raw.refused_calls_per_address;
    Ok(Bounds {
        connections_per_address: connections,
        handshake: seconds("limits.handshake_s", raw.handshake_s, plain.handshake)?,
        headers: seconds("limits.headers_s", raw.headers_s, plain.headers)?,
        body_bytes_per_s_min: rate,
        streams: bounded("limits.streams", raw.streams, plain.streams, 1..=1024)?,
        resets_per_minute: bounded(
            "limits.resets_per_minute",
            raw.resets_per_minute,
            plain.resets_per_minute,
            1..=1 << 20,
        )?,
        failed_sign_ins_per_address: failures(
            "limits.failed_sign_ins_per_address",
            addresses,
            plain.failed_sign_ins_per_address,
        )?,
        failed_sign_ins_per_account: failures(
            "limits.failed_sign_ins_per_account",
            accounts,
            plain.failed_sign_ins_per_account,
        )?,
        refused_calls_per_address: failures(
            "limits.refused_calls_per_address",
            refused,
            plain.refused_calls_per_address,
        )?,
        failures_window: seconds("limits.failures_window_s", raw.failures_window_s, plain.failures_window)?,
        trusted_proxies: networks(raw.trusted_proxies.unwrap_or_default())?,
        ..plain
    })
}

/// What a server that only its own machine reaches, if it is one, may be called besides its addresses.
pub(super) fn names(texts: Vec<String>, is_near: bool) -> Result<OwnNames, Error> {
    let reason = "write names without scheme and port, such as nas.home";
    let letter = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | '_');
    if let Some(value) = texts.iter().find(|text| text.is_empty() || !text.chars().all(letter)) {
        return Err(Error::Value { key: "server.names", value: value.clone(), reason });
    }
    let listed = texts.iter().map(|text| text.to_ascii_lowercase()).collect();
    Ok(if is_near { OwnNames::Listed(listed) } else { OwnNames::Any })
}

fn networks(texts: Vec<String>) -> Result<Vec<Network>, Error> {
    let reason = "write an address or a network, such as 127.0.0.1 or 10.0.0.0/8";
    let parse =
        |text: String| Network::parse(&text).ok_or(Error::Value { key: "limits.trusted_proxies", value: text, reason });
    texts.into_iter().map(parse).collect()
}
