//! What the configuration means, after flags, environment, file and defaults have spoken, in that order.
//! Behind this border nobody parses again.

mod bounds;
pub mod file;
mod people;
mod tls;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::file::RawConfig;
pub use self::tls::{TlsChoice, TlsWords};
use crate::model::bounds::Bounds;
use crate::model::{Registration, limits};

/// Where it listens unless told otherwise: this machine only.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:3369";
const HOLD_DAYS_DEFAULT: u32 = 7;
const SESSION_IDLE_DAYS_DEFAULT: u32 = 30;
const SESSION_ABSOLUTE_DAYS_DEFAULT: u32 = 180;
/// A session of more than ten years is one that never ends.
const SESSION_DAYS_MAX: u32 = 3660;
/// A ballast larger than that keeps nothing better going.
const BALLAST_MIB_MAX: u64 = 4096;
/// A hold longer than ten years is a slip of the finger.
const HOLD_DAYS_MAX: u32 = 3660;
const SYSTEM_DATA: &str = "/var/lib/rbackup";

/// What was given on the command line or in the environment; each beats the file.
#[derive(Debug, Default, Clone)]
pub struct Overrides {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The data directory.
    pub data: Option<PathBuf>,
    /// Listen addresses.
    pub listen: Vec<String>,
    /// The log's level.
    pub log_level: Option<String>,
    /// Whether an empty, missing or other data directory is meant.
    pub new_store: bool,
    /// What was said about TLS.
    pub tls: TlsWords,
}

/// The configuration as meant.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// Whether somebody named the data directory.
    pub data_named: bool,
    /// Whether an empty, missing or other data directory is meant.
    pub new_store: bool,
    /// Where it is remembered which store was found in which data directory.
    pub known: Option<PathBuf>,
    /// Size of the ballast; by default it follows the size of the disk.
    pub ballast_bytes: Option<u64>,
    /// How long a write may hang before newcomers are refused.
    pub stuck: Duration,
    /// Where to listen; at least one.
    pub listen: Vec<SocketAddr>,
    /// How TCP listeners are encrypted.
    pub tls: TlsChoice,
    /// The group whose members reach the data directory's socket, by its number; without one only its owner and root do.
    pub socket_group: Option<u32>,
    /// For each user's number the accounts whose restic repositories it may use over the socket, `local` among them.
    pub socket_users: BTreeMap<u32, Vec<String>>,
    /// Who may register, once there is an account.
    pub registration: Registration,
    /// How long a removed version is held, in days.
    pub hold_days: u32,
    /// A session that nobody uses for so long ends, in days.
    pub session_idle_days: u32,
    /// A session ends so long after its device signed in, in days.
    pub session_absolute_days: u32,
    /// Open connections.
    pub connections: usize,
    /// Silence after which a body is given up.
    pub body_idle: Duration,
    /// What strangers and slow clients are granted.
    pub bounds: Bounds,
    /// How long a stop waits for requests under way.
    pub shutdown_grace: Duration,
    /// The log's level.
    pub log_level: tracing::Level,
}

/// What is wrong with a configuration, as a sentence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("the configuration file {} is wrong: {reason}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        reason: String,
    },
    /// A value cannot be meant.
    #[error("{key} = {value:?}: {reason}")]
    Value {
        /// The key, with its section.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        reason: &'static str,
    },
    /// Nowhere to keep data.
    #[error("no data directory: give --data DIR, or set RBACKUP_DATA or HOME")]
    NoData,
}

impl Config {
    /// Reads the file, if one is named, and puts everything together.
    pub fn load(overrides: Overrides) -> Result<Self, Error> {
        let raw = match &overrides.config {
            Some(path) => read(path)?,
            None => RawConfig::default(),
        };
        Self::combine(overrides, raw)
    }

    fn combine(overrides: Overrides, raw: RawConfig) -> Result<Self, Error> {
        let tls = TlsChoice::of(overrides.tls, raw.server.tls_words())?;
        let listen = match (overrides.listen, raw.server.listen) {
            (flags, Some(file)) if flags.is_empty() => file.into_vec(),
            (flags, None) if flags.is_empty() => vec![LISTEN_DEFAULT.to_owned()],
            (flags, _) => flags,
        };
        let listen = addresses(&listen)?;
        let is_near = listen.iter().all(|address| address.ip().to_canonical().is_loopback());
        let registration = registration(raw.accounts.registration, is_near)?;
        let names = bounds::names(raw.server.names.unwrap_or_default(), is_near)?;
        let named = overrides.data.or(raw.storage.data.map(PathBuf::from));
        let data_named = named.is_some();
        let data = named.map_or_else(default_data, Ok)?;
        let ballast_mib = raw.storage.ballast_mib;
        bounded("storage.ballast_mib", ballast_mib, 0, 0..=BALLAST_MIB_MAX)?;
        Ok(Self {
            known: known_dir(&data),
            data,
            data_named,
            new_store: overrides.new_store,
            ballast_bytes: ballast_mib.map(|mib| mib << 20),
            stuck: seconds("limits.stuck_s", raw.limits.stuck_s, limits::STUCK)?,
            listen,
            tls,
            socket_group: raw.server.socket_group.map(group).transpose()?,
            socket_users: users(raw.restic.socket_users.unwrap_or_default())?,
            registration,
            hold_days: bounded("storage.hold_days", raw.storage.hold_days, HOLD_DAYS_DEFAULT, 0..=HOLD_DAYS_MAX)?,
            session_idle_days: days("sessions.idle_days", raw.sessions.idle_days, SESSION_IDLE_DAYS_DEFAULT)?,
            session_absolute_days: days(
                "sessions.absolute_days",
                raw.sessions.absolute_days,
                SESSION_ABSOLUTE_DAYS_DEFAULT,
            )?,
            connections: bounded("limits.connections", raw.limits.connections, limits::CONNECTIONS_MAX, 1..=100_000)?,
            body_idle: seconds("limits.body_idle_s", raw.limits.body_idle_s, limits::BODY_IDLE)?,
            shutdown_grace: seconds("limits.shutdown_grace_s", raw.limits.shutdown_grace_s, limits::SHUTDOWN_GRACE)?,
            bounds: Bounds { names, ..bounds::meant(raw.limits)? },
            log_level: level(overrides.log_level.or(raw.log.level))?,
        })
    }
}

fn read(path: &Path) -> Result<RawConfig, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    toml::from_str(&text).map_err(|error| Error::Wrong { path: path.to_owned(), reason: error.to_string() })
}

fn addresses(listen: &[String]) -> Result<Vec<SocketAddr>, Error> {
    let wrong = |value: &str, reason| Error::Value { key: "server.listen", value: value.to_owned(), reason };
    if listen.is_empty() {
        return Err(wrong("[]", "at least one address is needed"));
    }
    let parse =
        |text: &String| text.parse().map_err(|_| wrong(text, "write IP:PORT, such as 127.0.0.1:3369 or [::]:3369"));
    listen.iter().map(parse).collect()
}

/// Where nobody says: who reaches this machine alone is trusted, the network is not.
fn registration(text: Option<String>, is_near: bool) -> Result<Registration, Error> {
    match text.as_deref() {
        None if is_near => Ok(Registration::Near),
        None | Some("invite") => Ok(Registration::Invite),
        Some("open") => Ok(Registration::Open),
        Some("closed") => Ok(Registration::Closed),
        Some(other) => {
            let reason = "write open, invite or closed";
            Err(Error::Value { key: "accounts.registration", value: other.to_owned(), reason })
        }
    }
}

fn group(name: String) -> Result<u32, Error> {
    let reason = "there is no such group in /etc/group; a number works too";
    people::group(&name).ok_or(Error::Value { key: "server.socket_group", value: name, reason })
}

fn users(named: BTreeMap<String, Vec<String>>) -> Result<BTreeMap<u32, Vec<String>>, Error> {
    let wrong = |value: String, reason| Error::Value { key: "restic.socket_users", value, reason };
    let mut users = BTreeMap::new();
    for (name, accounts) in named {
        let Some(uid) = people::user(&name) else {
            return Err(wrong(name, "there is no such user in /etc/passwd; a number works too"));
        };
        if users.insert(uid, accounts).is_some() {
            return Err(wrong(name, "the user is named twice"));
        }
    }
    Ok(users)
}

fn bounded<T>(key: &'static str, given: Option<T>, default: T, allowed: std::ops::RangeInclusive<T>) -> Result<T, Error>
where
    T: PartialOrd + ToString,
{
    match given {
        Some(value) if !allowed.contains(&value) => {
            Err(Error::Value { key, value: value.to_string(), reason: "it is out of bounds" })
        }
        Some(value) => Ok(value),
        None => Ok(default),
    }
}

fn seconds(key: &'static str, given: Option<u64>, default: Duration) -> Result<Duration, Error> {
    bounded(key, given, default.as_secs(), 1..=86_400).map(Duration::from_secs)
}

fn days(key: &'static str, given: Option<u32>, default: u32) -> Result<u32, Error> {
    bounded(key, given, default, 1..=SESSION_DAYS_MAX)
}

fn level(text: Option<String>) -> Result<tracing::Level, Error> {
    let Some(text) = text else { return Ok(tracing::Level::INFO) };
    let reason = "write error, warn, info, debug or trace";
    text.parse().map_err(|_| Error::Value { key: "log.level", value: text.clone(), reason })
}

/// The system's place when it is ours to write, else the user's.
fn default_data() -> Result<PathBuf, Error> {
    let system = Path::new(SYSTEM_DATA);
    if is_ours(system) {
        return Ok(system.to_owned());
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let data_home = std::env::var_os("XDG_DATA_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    data_home.or_else(home).map(|dir| dir.join("rbackup")).ok_or(Error::NoData)
}

/// Where data directories are remembered: a place of the user or the service that is not the data directory itself.
fn known_dir(data: &Path) -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|dir| !dir.is_empty());
    let given = named("RBACKUP_STATE_DIR").map(PathBuf::from);
    let of_service =
        named("STATE_DIRECTORY").into_iter().flat_map(|dirs| std::env::split_paths(&dirs).collect::<Vec<_>>());
    let state = named("XDG_STATE_HOME").map(PathBuf::from);
    let home = named("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let of_user = state.or(home).map(|dir| dir.join("rbackup"));
    given.into_iter().chain(of_service).chain(of_user).find(|dir| !dir.starts_with(data))
}

/// Whether a file could be made in `dir`, or `dir` itself where it is not there yet. Asks the system and makes nothing.
fn is_ours(dir: &Path) -> bool {
    let existing = if dir.exists() { Some(dir) } else { dir.parent() };
    existing.is_some_and(|dir| rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combine(overrides: Overrides, text: &str) -> Result<Config, String> {
        let raw: RawConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        let overrides = Overrides { data: Some(PathBuf::from("/data")), ..overrides };
        Config::combine(overrides, raw).map_err(|error| error.to_string())
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let file = "[server]\nlisten = \"127.0.0.1:1\"";
        let flag = Overrides { listen: vec!["127.0.0.1:2".to_owned()], ..Overrides::default() };
        assert_eq!(combine(flag, file).expect("fine").listen[0].port(), 2);
        assert_eq!(combine(Overrides::default(), file).expect("fine").listen[0].port(), 1);
        assert_eq!(combine(Overrides::default(), "").expect("fine").listen[0].port(), 3369);
    }

    #[test]
    fn a_directory_is_ours_when_it_or_the_one_it_would_lie_in_can_be_written() {
        let place = tempfile::tempdir().expect("a directory");
        let below = |path: &str| is_ours(&place.path().join(path));
        assert!(is_ours(place.path()) && below("missing"));
        assert!(!below("missing/deeper"), "nobody made the directory it would lie in");
        assert!(!place.path().join("missing").exists(), "it was only asked");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_key() {
        for (text, expected) in [
            ("[server]\nlistenn = 1", "unknown field `listenn`"),
            ("[sever]", "unknown field `sever`"),
            ("[accounts]\nopen = true", "unknown field `open`"),
            ("[accounts]\nregistration = \"yes\"", "accounts.registration"),
            ("[server]\nlisten = \"here\"", "server.listen"),
            ("[server]\nlisten = []", "server.listen"),
            ("[server]\nnames = [\"http://nas\"]", "server.names"),
            ("[server]\nnames = [\"nas:3369\"]", "server.names"),
            ("[server]\nsocket_group = \"no such group\"", "server.socket_group"),
            ("[restic.socket_users]\n\"no such user\" = []", "restic.socket_users"),
            ("[restic.socket_users]\nroot = []\n0 = []", "named twice"),
            ("[server]\ntls = \"on\"", "server.tls"),
            ("[server]\ncert = \"c\"", "server.key"),
            ("[server]\nkey = \"k\"", "server.cert"),
            ("[server]\ntls = \"auto\"\ncert = \"c\"\nkey = \"k\"", "server.tls"),
            ("[storage]\nhold_days = 365000", "storage.hold_days"),
            ("[storage]\nballast_mib = 365000", "storage.ballast_mib"),
            ("[limits]\nconnections = 0", "limits.connections"),
            ("[limits]\nstreams = 0", "limits.streams"),
            ("[limits]\nconnections_per_address = 0", "limits.connections_per_address"),
            ("[limits]\ntrusted_proxies = [\"nas\"]", "limits.trusted_proxies"),
            ("[limits]\nbody_idle_s = 0", "limits.body_idle_s"),
            ("[log]\nlevel = \"loud\"", "log.level"),
        ] {
            let error = combine(Overrides::default(), text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_example_names_every_key_and_says_the_defaults() {
        let text = include_str!("../../examples/config/rbackup.toml");
        let config = combine(Overrides::default(), text).expect("the example parses");
        let plain = combine(Overrides::default(), "").expect("fine");
        assert_eq!(format!("{config:?}"), format!("{plain:?}"), "the example says the defaults");
        let source = include_str!("file.rs");
        let keys = source.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": Option<"));
        for (key, _) in keys {
            assert!(text.contains(&format!("{key} = ")), "examples/config/rbackup.toml lacks {key}");
        }
    }
}
