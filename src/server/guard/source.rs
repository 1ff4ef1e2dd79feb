//! From where somebody calls, for limits and the log.
//!
//! Promises: a proxy that is listed is believed about the address it names last, and nobody else about anything; an address counts
//! with all that one household or machine can choose freely: IPv4 whole, IPv6 by its /64.

use std::fmt;
use std::net::IpAddr;

use warp::http::{HeaderMap, header};

use crate::model::bounds::{Network, OwnNames};
use crate::server::Context;
use crate::server::request::{Peer, Request};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// What is counted together: a kind and an address, or its first half.
pub type Group = [u8; 9];

/// From where somebody calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An address.
    Ip(IpAddr),
    /// A process of this machine.
    Local,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Local => f.write_str("this machine"),
        }
    }
}

impl Source {
    /// Who is at the other end of a connection.
    pub fn direct(peer: Peer) -> Self {
        match peer {
            Peer::Tcp(address) => Self::Ip(address.ip().to_canonical()),
            Peer::Unix { .. } => Self::Local,
        }
    }

    /// Who asks, through proxies of these networks or directly.
    pub fn of(peer: Peer, headers: &HeaderMap, proxies: &[Network]) -> Self {
        let direct = Self::direct(peer);
        let Self::Ip(mut nearest) = direct else { return direct };
        let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or("?")).collect();
        // Each proxy adds behind what was there: the last is its own word, what stands before it somebody else's.
        let mut claims = lines.iter().rev().flat_map(|line| line.rsplit(','));
        while proxies.iter().any(|proxy| proxy.has(nearest)) {
            match claims.next().map(|claim| claim.trim().parse::<IpAddr>()) {
                Some(Ok(address)) => nearest = address.to_canonical(),
                Some(Err(_)) | None => break,
            }
        }
        Self::Ip(nearest)
    }

    /// Whether it is in one of these networks.
    pub fn is_in(&self, networks: &[Network]) -> bool {
        matches!(self, Self::Ip(address) if networks.iter().any(|network| network.has(*address)))
    }

    /// What it is counted with; none for processes of this machine, whom the socket's permissions let in.
    pub fn group(&self) -> Option<Group> {
        let mut group = [0; 9];
        match self {
            Self::Local => return None,
            Self::Ip(IpAddr::V4(address)) => {
                group[0] = 4;
                group[1..5].copy_from_slice(&address.octets());
            }
            Self::Ip(IpAddr::V6(address)) => {
                group[0] = 6;
                group[1..].copy_from_slice(&address.octets()[..8]);
            }
        }
        Some(group)
    }
}

/// Whether a request comes from this machine and nobody elsewhere stands behind it: no proxy has passed it on, and no page that
/// had its own name lead here.
pub fn is_at_this_machine(context: &Context, request: &Request) -> bool {
    let is_here = match context.source {
        Source::Local => true,
        Source::Ip(address) => address.is_loopback(),
    };
    is_here && !is_passed_on(request) && request.header(header::HOST).is_some_and(is_loopback_name)
}

/// Whether a request was led to a server that only this machine reaches by nothing but this machine: no proxy has passed it on, and no
/// page that had its own name lead here. True of nothing where the server is on a network.
pub fn is_near(context: &Context, request: &Request) -> bool {
    let OwnNames::Listed(names) = &context.bounds.names else { return false };
    !is_passed_on(request) && request.header(header::HOST).is_some_and(|host| is_own_name(host, names))
}

/// Whether a browser may be signed in where a request says it is: under any name of a server on a network, under its own names on one that
/// only this machine reaches, and under those that a listed proxy passes on.
pub fn is_for_browsers(context: &Context, headers: &HeaderMap, peer: Peer) -> bool {
    let OwnNames::Listed(names) = &context.bounds.names else { return true };
    let by_proxy = context.source != Source::direct(peer);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    by_proxy || host.is_some_and(|host| is_own_name(host, names))
}

fn is_passed_on(request: &Request) -> bool {
    [FORWARDED_FOR, "forwarded", "x-real-ip", "via"].iter().any(|name| request.headers.contains_key(*name))
}

fn is_loopback_name(host: &str) -> bool {
    let name = without_port(host);
    name.eq_ignore_ascii_case("localhost") || address(name).is_some_and(|address| address.is_loopback())
}

/// An address is led nowhere: whoever wrote it meant it.
fn is_own_name(host: &str, names: &[String]) -> bool {
    let name = without_port(host);
    is_loopback_name(host) || address(name).is_some() || names.contains(&name.to_ascii_lowercase())
}

fn without_port(host: &str) -> &str {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    name.map_or(host, |(name, _)| name)
}

fn address(name: &str) -> Option<IpAddr> {
    name.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, lines: &[&'static str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().expect("a value"));
        }
        let proxies: Vec<Network> = proxies.iter().map(|text| Network::parse(text).expect("a network")).collect();
        match Source::of(Peer::Tcp(peer.parse().expect("an address")), &headers, &proxies) {
            Source::Ip(address) => address.to_string(),
            Source::Local => "local".to_owned(),
        }
    }

    #[test]
    fn only_listed_proxies_are_believed_and_only_their_own_word() {
        assert_eq!(of("192.0.2.1:5", &["10.1.1.1"], &[]), "192.0.2.1");
        assert_eq!(of("192.0.2.1:5", &["10.1.1.1"], &["127.0.0.1"]), "192.0.2.1");
        assert_eq!(of("127.0.0.1:5", &["10.1.1.1"], &["127.0.0.1"]), "10.1.1.1");
        assert_eq!(of("127.0.0.1:5", &["6.6.6.6, 10.1.1.1"], &["127.0.0.1"]), "10.1.1.1");
        assert_eq!(of("127.0.0.1:5", &["6.6.6.6", "10.1.1.1"], &["127.0.0.1"]), "10.1.1.1");
        assert_eq!(of("127.0.0.1:5", &["9.9.9.9, 10.1.1.1"], &["127.0.0.1", "10.0.0.0/8"]), "9.9.9.9");
        assert_eq!(of("127.0.0.1:5", &["10.1.1.1, nonsense"], &["127.0.0.1"]), "127.0.0.1");
        assert_eq!(of("127.0.0.1:5", &[], &["127.0.0.1"]), "127.0.0.1");
        assert_eq!(of("[::ffff:127.0.0.1]:5", &["2001:db8::1"], &["127.0.0.1"]), "2001:db8::1");
    }

    #[test]
    fn only_this_machines_own_names_lead_here() {
        for own in ["localhost", "LocalHost:3369", "127.0.0.1", "127.0.0.2:80", "[::1]", "[::1]:3369"] {
            assert!(is_loopback_name(own), "{own}");
        }
        for other in ["", "nas", "evil.example:3369", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1"]
        {
            assert!(!is_loopback_name(other), "{other}");
        }
    }

    #[test]
    fn an_address_or_a_listed_name_is_our_own_and_no_other_is() {
        let names = ["nas.home".to_owned()];
        for own in ["localhost", "127.0.0.1:3369", "192.0.2.7", "[2001:db8::1]:3369", "nas.home", "NAS.home:3369"] {
            assert!(is_own_name(own, &names), "{own}");
        }
        for other in ["", ":3369", "nas", "evil.example", "x.nas.home", "nas.home.", "192.0.2.7.evil.example", "0x7f.1"]
        {
            assert!(!is_own_name(other, &names), "{other}");
        }
    }

    #[test]
    fn ipv6_counts_by_its_64_bits_and_ipv4_whole() {
        let group = |text: &str| Source::Ip(text.parse().expect("an address")).group();
        assert_eq!(group("2001:db8::1"), group("2001:db8::ffff:1"));
        assert_ne!(group("2001:db8::1"), group("2001:db8:0:1::1"));
        assert_ne!(group("127.0.0.1"), group("127.0.0.2"));
        assert_eq!(Source::Local.group(), None);
    }
}
