//! Builds the house from its configuration and runs it until it is told to stop.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{self, Config};
use crate::model::SystemClock;
use crate::server::{self, Settings, transport};
use crate::service::{self, Policy, Report, Services};
use crate::store::{self, Known, Options, Store};
pub use crate::store::{Counts, EXPORT_MAGIC, Imported};

/// What the store gets to close when requests took all of the grace.
const CLOSE_MIN: Duration = Duration::from_secs(2);
/// For threads that end by themselves once their connections are gone.
const SHUTDOWN_REST: Duration = Duration::from_millis(200);

/// Why the house could not be built or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The data directory could not be opened.
    #[error("cannot open the data directory {}", dir.display())]
    Store {
        /// The data directory.
        dir: PathBuf,
        /// What the store says.
        source: store::Error,
    },
    /// The store could not be exported.
    #[error("cannot export")]
    Export(#[source] store::Error),
    /// No store could be made from an export.
    #[error("cannot import into {}", dir.display())]
    Import {
        /// The new data directory.
        dir: PathBuf,
        /// What the store says.
        source: store::Error,
    },
    /// An address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The runtime or a signal could not be had.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// The disk hangs.
    #[error("the disk did not answer within {seconds} s; what was acknowledged is safe, and the next start finds it")]
    Stuck {
        /// How long was waited.
        seconds: u64,
    },
    /// Something failed on the way.
    #[error(transparent)]
    Service(#[from] service::Error),
}

/// What an error is about, for whoever must choose a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// What was typed or configured.
    Usage,
    /// The data directory is in use, or is no store.
    Directory,
    /// There is nothing to look at.
    NotFound,
    /// The disk is full.
    NoSpace,
    /// Acknowledged bytes are gone or changed.
    Damage,
    /// Anything else.
    Other,
}

impl Error {
    /// What it is about.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Config(_) => Cause::Usage,
            Self::Store { source, .. } | Self::Export(source) | Self::Import { source, .. } => cause_of(source),
            Self::Service(service::Error::NoSpace) => Cause::NoSpace,
            Self::Listen { .. } | Self::Start(_) | Self::Stuck { .. } | Self::Service(_) => Cause::Other,
        }
    }
}

fn cause_of(error: &store::Error) -> Cause {
    use store::Error as E;
    match error {
        E::InUse { .. } | E::Foreign { .. } | E::NotEmpty { .. } | E::NoParent { .. } => Cause::Directory,
        E::NoStore { .. } => Cause::NotFound,
        E::NoSpace => Cause::NoSpace,
        E::Rows(error) if error.is_damage() => Cause::Damage,
        E::NotExport => Cause::Usage,
        error if error.is_damage() => Cause::Damage,
        _ => Cause::Other,
    }
}

/// Sends the log to stderr. A second call changes nothing.
pub fn log_to_stderr(level: tracing::Level) {
    // Libraries print what they parse when they are asked for more than `info`: a query would reach the log.
    let libraries = level.min(tracing::Level::INFO);
    let targets = Targets::new().with_default(libraries).with_target("rbackup", level);
    let ansi = io::IsTerminal::is_terminal(&io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_ansi(ansi).with_target(false).with_writer(io::stderr);
    let _ = tracing_subscriber::registry().with(lines.with_filter(targets)).try_init();
}

/// Serves until SIGTERM or SIGINT; what people should read goes to `say`.
pub fn serve(config: &Config, say: &dyn Fn(&str)) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(server::THREADS_MAX)
        .build()
        .map_err(Error::Start)?;
    // The address first: a port that is taken must not leave a new store behind.
    let listeners = runtime.block_on(listen(config))?;
    let services = open(config)?;
    let stopped = Arc::new(OnceLock::new());
    let served: Result<(), Error> = runtime.block_on(async {
        let stop = stop_signal(Arc::clone(&stopped)).map_err(Error::Start)?;
        introduce(config, &listeners, say).map_err(Error::Start)?;
        run(listeners, services.clone(), config, stop).await;
        Ok(())
    });
    // Requests have had their grace; what still waits, waits for the disk.
    runtime.shutdown_timeout(SHUTDOWN_REST);
    let taken = stopped.get().map_or(Duration::ZERO, Instant::elapsed);
    let closed = close(services, config.shutdown_grace.saturating_sub(taken).max(CLOSE_MIN));
    served?;
    closed
}

/// Closes the store, but waits no longer than `patience`: a disk that hangs must not keep the process. What was acknowledged
/// is safe either way.
fn close(services: Services, patience: Duration) -> Result<(), Error> {
    let (say, closed) = mpsc::channel();
    thread::spawn(move || say.send(services.close()));
    match closed.recv_timeout(patience) {
        Ok(closed) => Ok(closed?),
        Err(_) => Err(Error::Stuck { seconds: patience.as_secs() }),
    }
}

/// Serves on `listeners` until `stop` resolves.
pub async fn run(listeners: Vec<TcpListener>, services: Services, config: &Config, stop: impl Future<Output = ()>) {
    let settings = Settings {
        connections: config.connections,
        body_idle: config.body_idle,
        shutdown_grace: config.shutdown_grace,
    };
    transport::serve(listeners, services, settings, stop).await;
}

/// Re-reads everything in the data directory.
pub fn check(config: &Config) -> Result<Report, Error> {
    require_store(config)?;
    let services = open(config)?;
    let report = services.check()?;
    services.close()?;
    Ok(report)
}

/// Re-reads everything, mends what can be mended, and re-reads everything once more.
pub fn salvage(config: &Config) -> Result<(u64, Report), Error> {
    require_store(config)?;
    let services = open(config)?;
    let forgotten = services.salvage(&services.check()?)?;
    let report = services.check()?;
    services.close()?;
    Ok((forgotten, report))
}

/// Makes the catalog anew from the volumes; returns how many versions it has.
pub fn rebuild(config: &Config) -> Result<u64, Error> {
    require_store(config)?;
    let store = Store::rebuild(&config.data, options(config)).map_err(|source| refused(config, source))?;
    let services = services_of(config, store);
    let versions = services.count_versions()?;
    services.close()?;
    Ok(versions)
}

/// Writes everything in the data directory to `out`; what damage made unreadable is told to `left_out`.
pub fn export(config: &Config, out: &mut dyn Write, left_out: &mut dyn FnMut(&str)) -> Result<Counts, Error> {
    require_store(config)?;
    let store = open_store(config)?;
    let exported = store.export(out, left_out).map_err(Error::Export);
    if let Err(error) = store.close() {
        // Everything was read; the next start recovers as after a crash.
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "the data directory was not closed in good order");
    }
    exported
}

/// Makes the data directory anew from what [`export`] wrote.
pub fn import(config: &Config, input: &mut dyn Read) -> Result<Imported, Error> {
    let refused = |source| Error::Import { dir: config.data.clone(), source };
    let imported = store::import(&config.data, input, options(config)).map_err(refused)?;
    Known::at(config.known.clone()).remember(&config.data);
    Ok(imported)
}

/// Opens the data directory, unless it is not what it was the last time.
fn open(config: &Config) -> Result<Services, Error> {
    Ok(services_of(config, open_store(config)?))
}

/// Opens the data directory, unless it is not what it was the last time.
fn open_store(config: &Config) -> Result<Store, Error> {
    let known = Known::at(config.known.clone());
    if !config.new_store {
        known.require(&config.data, config.data_named).map_err(|source| refused(config, source))?;
    }
    let store = Store::open(&config.data, options(config)).map_err(|source| refused(config, source))?;
    known.remember(&config.data);
    Ok(store)
}

fn options(config: &Config) -> Options {
    Options { ballast_bytes: config.ballast_bytes, stuck: config.stuck, ..Options::DEFAULT }
}

fn services_of(config: &Config, store: Store) -> Services {
    Services::new(store, Arc::new(SystemClock), Policy { hold_days: config.hold_days })
}

/// A command that looks at a store must not make one.
fn require_store(config: &Config) -> Result<(), Error> {
    store::require(&config.data).map_err(|source| refused(config, source))
}

fn refused(config: &Config, source: store::Error) -> Error {
    Error::Store { dir: config.data.clone(), source }
}

async fn listen(config: &Config) -> Result<Vec<TcpListener>, Error> {
    let mut listeners = Vec::with_capacity(config.listen.len());
    for address in &config.listen {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|source| Error::Listen { address: *address, source })?);
    }
    Ok(listeners)
}

/// Resolves at the first SIGTERM or SIGINT; the second ends the process at once, which is safe at any moment.
fn stop_signal(stopped: Arc<OnceLock<Instant>>) -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopped.get_or_init(Instant::now);
        tracing::info!("stopping; what is under way is finished");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("stopped at once by a second signal");
            std::process::exit(1);
        });
    })
}

/// Says where it listens and what to type next.
fn introduce(config: &Config, listeners: &[TcpListener], say: &dyn Fn(&str)) -> io::Result<()> {
    let data = config.data.display().to_string();
    let data = data.escape_debug();
    let mut first = None;
    for listener in listeners {
        let address = listener.local_addr()?;
        let url = format!("http://{address}");
        say(&format!("rbackup {} listening on {url} (data: {data})\n", env!("CARGO_PKG_VERSION")));
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "reachable from the network WITHOUT TLS: passwords and files travel in the clear; put a TLS proxy in front");
        }
        first.get_or_insert((url, address));
    }
    if let Some((url, address)) = first {
        say(&next_steps(&url, address));
    }
    Ok(())
}

fn next_steps(url: &str, address: SocketAddr) -> String {
    let network = match address.ip().is_loopback() {
        true => format!(
            "Only this machine can reach it; for the network, behind a TLS proxy:\n  rbackup serve --listen 0.0.0.0:{}\n",
            address.port()
        ),
        false => String::new(),
    };
    format!(
        "\n\
         Make an account, sign a device in, send a file:\n\
         \x20 curl {url}/account/register -d username=ann --data-urlencode password='at least 8 characters'\n\
         \x20 curl {url}/account/login -d username=ann -d device_id=laptop --data-urlencode password='at least 8 characters'\n\
         \x20 curl -T FILE '{url}/upload?file_path=/path/of/FILE' -H 'RBackup-Session-Pass: SESSION_ID'\n\
         \x20 curl {url}/list/files -H 'RBackup-Session-Pass: SESSION_ID'\n\
         Whole folders: examples/curl/backup-folder.sh. {network}\n"
    )
}
