//! The configuration file exactly as it is written. Unknown keys are errors: a typo must not become a default.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole file; every section and key may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// `[server]`
    pub server: Server,
    /// `[storage]`
    pub storage: Storage,
    /// `[accounts]`
    pub accounts: Accounts,
    /// `[sessions]`
    pub sessions: Sessions,
    /// `[restic]`
    pub restic: Restic,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
}

/// Where the server listens.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// One address or several, `host:port`.
    pub listen: Option<OneOrMany>,
    /// `off` or `auto`.
    pub tls: Option<String>,
    /// A certificate with its chain, PEM.
    pub cert: Option<String>,
    /// Its key, PEM.
    pub key: Option<String>,
    /// What else this machine is called where only it reaches the server.
    pub names: Option<Vec<String>>,
    /// A group whose members reach the data directory's socket.
    pub socket_group: Option<String>,
}

/// Who may have an account.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Accounts {
    /// `open`, `invite` or `closed`.
    pub registration: Option<String>,
}

/// Who may use restic besides the accounts themselves.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Restic {
    /// For each user of this machine the accounts it may use over the socket.
    pub socket_users: Option<BTreeMap<String, Vec<String>>>,
}

/// Where and how data is kept.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// The data directory.
    pub data: Option<String>,
    /// How long a removed version is held, in days.
    pub hold_days: Option<u32>,
    /// Size of the ballast in MiB.
    pub ballast_mib: Option<u64>,
}

/// How long sessions live.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// Days without use.
    pub idle_days: Option<u32>,
    /// Days since the device signed in.
    pub absolute_days: Option<u32>,
}

/// Bounds that may be moved.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections.
    pub connections: Option<usize>,
    /// Silence of a body, in seconds.
    pub body_idle_s: Option<u64>,
    /// Patience of a stop, in seconds.
    pub shutdown_grace_s: Option<u64>,
    /// Patience with a write that hangs, in seconds.
    pub stuck_s: Option<u64>,
    /// Open connections of one address.
    pub connections_per_address: Option<usize>,
    /// Patience with a TLS handshake, in seconds.
    pub handshake_s: Option<u64>,
    /// Patience with a connection's first request, in seconds.
    pub headers_s: Option<u64>,
    /// Bytes a second that a body must bring.
    pub body_bytes_per_s_min: Option<u64>,
    /// Requests at once on an HTTP/2 connection.
    pub streams: Option<u32>,
    /// Requests that an HTTP/2 connection may take back in a minute.
    pub resets_per_minute: Option<u32>,
    /// Sign-ins of one address that may fail in a window.
    pub failed_sign_ins_per_address: Option<u32>,
    /// Sign-ins to one account that may fail in a window.
    pub failed_sign_ins_per_account: Option<u32>,
    /// Other calls of one address that may be refused in a window.
    pub refused_calls_per_address: Option<u32>,
    /// That window, in seconds.
    pub failures_window_s: Option<u64>,
    /// Proxies that are believed about addresses.
    pub trusted_proxies: Option<Vec<String>>,
}

/// What is told on stderr.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Option<String>,
}

/// A string or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// `listen = "127.0.0.1:3369"`
    One(String),
    /// `listen = ["127.0.0.1:3369", "[::1]:3369"]`
    Many(Vec<String>),
}

impl OneOrMany {
    /// The strings.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}
