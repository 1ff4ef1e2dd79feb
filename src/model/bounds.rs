//! The bounds that an owner may move, with what a household needs as their defaults; all others stand in [`super::limits`].

use std::net::IpAddr;
use std::time::Duration;

use super::limits;

/// What strangers and slow clients are granted.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Connections of one address at once.
    pub connections_per_address: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a connection's first request may take to be asked.
    pub headers: Duration,
    /// What a body has to bring while it is waited for, over each idle time.
    pub body_bytes_per_s_min: u64,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Requests that an HTTP/2 connection may take back in a minute.
    pub resets_per_minute: u32,
    /// Sign-ins and registrations of one address that may fail in a window; 0 is no limit, here and below.
    pub failed_sign_ins_per_address: u32,
    /// Sign-ins to one account that may fail in a window, from wherever.
    pub failed_sign_ins_per_account: u32,
    /// Other calls of one address that are refused for want of a right, in a window.
    pub refused_calls_per_address: u32,
    /// How long it takes until all of that is forgotten.
    pub failures_window: Duration,
    /// Whose word about addresses is believed.
    pub trusted_proxies: Vec<Network>,
    /// What the server may be called.
    pub names: OwnNames,
}

/// What the server may be called. Any page can have a name of its own lead to this machine, and then counts as the server's own page in
/// the browser; a server that nobody else reaches knows better.
#[derive(Debug, Clone)]
pub enum OwnNames {
    /// Anything: it is on a network, whose names nobody here knows.
    Any,
    /// An address, `localhost`, or one of these, in lower case.
    Listed(Vec<String>),
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS_MAX,
            handshake: limits::HANDSHAKE,
            headers: limits::HEADERS_READ,
            body_bytes_per_s_min: limits::BODY_BYTES_PER_S_MIN,
            streams: limits::STREAMS_MAX,
            resets_per_minute: limits::RESETS_PER_MINUTE_MAX,
            failed_sign_ins_per_address: limits::FAILED_SIGN_INS_MAX,
            failed_sign_ins_per_account: limits::FAILED_SIGN_INS_MAX,
            refused_calls_per_address: limits::REFUSED_CALLS_MAX,
            failures_window: limits::FAILURES_WINDOW,
            trusted_proxies: Vec::new(),
            names: OwnNames::Any,
        }
    }
}

/// Addresses that begin alike: `10.0.0.0/8`, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `ADDRESS` or `ADDRESS/BITS`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        (bits <= all).then_some(Self { address: address.to_canonical(), bits })
    }

    /// Whether an address lies in it.
    pub fn has(&self, other: IpAddr) -> bool {
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - self.bits.min(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_what_begins_like_it() {
        for (network, inside, outside) in [
            ("127.0.0.2", "127.0.0.2", "127.0.0.3"),
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("0.0.0.0/0", "192.0.2.1", "::1"),
            ("2001:db8::/32", "2001:db8:1::7", "2001:db9::"),
            ("::1", "::1", "127.0.0.1"),
            ("127.0.0.1", "::ffff:127.0.0.1", "::ffff:127.0.0.2"),
        ] {
            let network = Network::parse(network).expect("a network");
            let has = |text: &str| network.has(text.parse().expect("an address"));
            assert!(has(inside) && !has(outside), "{network:?}");
        }
        for wrong in ["", "nas", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0:80"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
