//! Reception: HTTP in, HTTP out. The only room that says `warp`.
//!
//! Promises: every request gets exactly one answer, one log line and one request id; everything it keeps has a named bound.
//! Never: touches storage on an async thread, decides what a backup is, or shows a library's message to the outside.
//! In reading order: a socket comes in, becomes a request, finds its route, passes the guard, meets its handler.

pub mod transport;

mod crowd;
mod door;
mod listener;
mod socket;
mod tls;

mod request;

mod router;

mod guard;

mod api;
mod restic;
mod ui;

mod bridge;

mod reply;

mod vigil;

mod fields;

mod error;

mod journal;

mod delimiter;
pub mod multipart;
mod part_head;
pub mod query;
pub mod range;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::model::bounds::Bounds;
use crate::model::limits;
use crate::service::Services;

use bridge::Bridge;
pub use door::Door;
pub use guard::errand::run as run_errand;
pub use guard::realm::{Found, Manners, NoRealm, Realm, Wish};
use guard::source::Source;
use guard::throttle::Throttle;
pub use listener::Listener;
pub use router::route_table;
pub use tls::{Error as TlsError, Fingerprint, Tls};

/// What may be chosen about the server; [`Settings::default`] is what a household needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Connections open at once over all listeners.
    pub connections: usize,
    /// A body that sends nothing for so long is given up.
    pub body_idle: Duration,
    /// How long a stop waits for requests under way.
    pub shutdown_grace: Duration,
    /// Stop when there was no connection for so long.
    pub idle: Option<Duration>,
    /// What strangers and slow clients are granted.
    pub bounds: Bounds,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: limits::CONNECTIONS_MAX,
            body_idle: limits::BODY_IDLE,
            shutdown_grace: limits::SHUTDOWN_GRACE,
            idle: None,
            bounds: Bounds::default(),
        }
    }
}

/// What every handler gets: the services, the one bridge to them, and what is served where it stands.
#[derive(Clone)]
struct Context {
    services: Services,
    bridge: Bridge,
    /// Asks a holder to leave; nobody hears it in a server.
    leave: watch::Sender<bool>,
    front: Arc<Front>,
    throttle: Arc<Throttle>,
    bounds: Arc<Bounds>,
    /// From where somebody asks.
    source: Source,
}

impl Context {
    /// The same for one request.
    fn asked_from(self, source: Source) -> Self {
        Self { source, ..self }
    }
}

/// What a listener, or one connection, serves.
enum Front {
    /// The product: the contract's routes, and restic for accounts below [`router::RESTIC_BASE`].
    Main,
    /// Nothing but restic, behind a gate of its own.
    Restic {
        /// What stands before a repository's path; begins and ends with a slash.
        base: String,
        /// Who may do what.
        gate: Box<dyn restic::Gate>,
    },
}

/// The most threads the bridge ever uses at once; the runtime must allow as many blocking ones.
pub const THREADS_MAX: usize = limits::WORK_THREADS_MAX + limits::PASSWORD_RUNS_MAX;
