//! A process that holds the store: its listeners, its socket, its end.
//!
//! Promises: addresses are taken before the store is opened, so that a port that is taken leaves nothing behind; the data
//! directory's socket is there as long as the store is open; a stop ends within its grace even when the disk hangs.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::{Error, open_to_serve, reuse, secured};
use crate::config::{Config, TlsChoice};
use crate::model::limits;
use crate::server::{self, Door, Listener, Settings, Tls, transport};
use crate::service::Services;

/// What the store gets to close when requests took all of the grace.
const CLOSE_MIN: Duration = Duration::from_secs(2);
/// Volumes, catalog runs, listeners.
const DESCRIPTORS_OF_OUR_OWN: usize = 1024;
/// How often memory is given back that was not needed since the last time. A burst of requests has shorter pauses.
const TIDY_EVERY: Duration = Duration::from_secs(1);
/// For threads that end by themselves once their connections are gone.
const SHUTDOWN_REST: Duration = Duration::from_millis(200);

/// Serves until SIGTERM or SIGINT; what people should read goes to `say`.
pub fn serve(config: &Config, say: &dyn Fn(&str)) -> Result<(), Error> {
    let runtime = runtime()?;
    // The address first: a port that is taken must not leave a new store behind.
    let listeners = runtime.block_on(listen(&config.listen))?;
    let given = secured::given(config)?;
    let services = open_to_serve(config)?;
    keep(runtime, services, config, None, |services| {
        let tls = given.map_or_else(|| secured::own(config), |tls| Ok(Some(tls)))?;
        if let Some(tls) = &tls {
            secured::reload_at_hangup(tls.clone()).map_err(Error::Start)?;
        }
        // Whoever reads the first line may use all of them.
        let door = door_if_possible(config);
        introduce(config, &listeners, tls.as_ref(), say).map_err(Error::Start)?;
        // A catalog that cannot be read mends itself once somebody asks for it; it is no reason not to start.
        if let Ok(Some(code)) = services.setup_code() {
            say(&setup(code.reveal()));
        }
        let tcp = |listener| match &tls {
            Some(tls) => Listener::tcp(listener).with_tls(tls.clone()),
            None => Listener::tcp(listener),
        };
        Ok(listeners.into_iter().map(tcp).chain(door).collect())
    })
}

/// Holds the store for pumps until nobody came for a while. `ready` is told once, when they can come.
pub fn hold(config: &Config, ready: impl FnOnce()) -> Result<(), Error> {
    let runtime = runtime()?;
    let services = open_to_serve(config)?;
    keep(runtime, services, config, Some(limits::HOLDER_IDLE), |_| {
        let door = door(config).map_err(|source| Error::Socket { dir: config.data.clone(), source })?;
        ready();
        Ok(vec![door])
    })
}

/// Where everything async runs.
pub fn runtime() -> Result<Runtime, Error> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.on_thread_park(reuse::tidy_thread);
    builder.enable_all().max_blocking_threads(server::THREADS_MAX).build().map_err(Error::Start)
}

/// Serves what `listeners` makes until told to stop, or deserted for `idle`, and closes the store.
pub fn keep(
    runtime: Runtime,
    services: Services,
    config: &Config,
    idle: Option<Duration>,
    listeners: impl FnOnce(&Services) -> Result<Vec<Listener>, Error>,
) -> Result<(), Error> {
    allow_descriptors(config.connections);
    let stopped = Arc::new(OnceLock::new());
    let served: Result<(), Error> = runtime.block_on(async {
        let stop = stop_signal(Arc::clone(&stopped)).map_err(Error::Start)?;
        tokio::spawn(keep_tidy());
        let settings = Settings {
            connections: config.connections,
            body_idle: config.body_idle,
            shutdown_grace: config.shutdown_grace,
            idle,
            bounds: config.bounds.clone(),
        };
        transport::serve(listeners(&services)?, services.clone(), settings, stop).await;
        Ok(())
    });
    // Requests have had their grace; what still waits, waits for the disk.
    runtime.shutdown_timeout(SHUTDOWN_REST);
    let taken = stopped.get().map_or(Duration::ZERO, Instant::elapsed);
    let closed = close(services, config.shutdown_grace.saturating_sub(taken).max(CLOSE_MIN));
    served?;
    closed
}

/// Each connection takes a descriptor, and shells allow 1024 until they are asked for more. What the system does not grant shows
/// when it is needed: connections then wait to be accepted.
fn allow_descriptors(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = (connections + DESCRIPTORS_OF_OUR_OWN) as u64;
    let granted = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if current.is_some_and(|current| current < granted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(granted), maximum });
    }
}

/// Memory that no request needs any more goes back to the system, for as long as the runtime lasts.
async fn keep_tidy() {
    loop {
        sleep(TIDY_EVERY).await;
        reuse::tidy();
    }
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

/// The data directory's socket. The store must be open: its lock is what makes a socket that is there a stale one.
fn door(config: &Config) -> io::Result<Listener> {
    let owner = rustix::process::geteuid().as_raw();
    Listener::door(&config.data, Door { owner, group: config.socket_group, users: config.socket_users.clone() })
}

/// Not every file system has sockets, and a full one has no room for another: a server goes on without.
pub fn door_if_possible(config: &Config) -> Option<Listener> {
    let made = door(config);
    made.inspect_err(|error| {
        tracing::warn!(%error, "the data directory has no socket: `rbackup serve restic --stdio` cannot use it meanwhile");
    })
    .ok()
}

async fn listen(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Error> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|source| Error::Listen { address: address.to_string(), source })?);
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

/// Says where it listens, what is wrong with that, and what to type next.
fn introduce(config: &Config, listeners: &[TcpListener], tls: Option<&Tls>, say: &dyn Fn(&str)) -> io::Result<()> {
    let data = config.data.display().to_string();
    let data = data.escape_debug();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let mut first = None;
    for listener in listeners {
        let address = listener.local_addr()?;
        let url = format!("{scheme}://{address}");
        say(&format!("rbackup {} listening on {url} (data: {data})\n", env!("CARGO_PKG_VERSION")));
        if tls.is_none() && !address.ip().is_loopback() {
            // Also on stdout: a log that tells errors alone must not hide it.
            say(&format!("WARNING: {address} {IN_THE_CLEAR}\n"));
            tracing::warn!(%address, "{IN_THE_CLEAR}");
        }
        first.get_or_insert((url, address));
    }
    if let Some(tls) = tls {
        say(&format!("TLS certificate fingerprint (SHA-256): {}\n", tls.fingerprint()));
    }
    if let Some((url, address)) = first {
        say(&next_steps(&url, address, config.tls == TlsChoice::Own));
    }
    Ok(())
}

fn setup(code: &str) -> String {
    format!(
        "The first account administers the server. From another machine or through a proxy it takes the setup code\n  {code}\n"
    )
}

const IN_THE_CLEAR: &str =
    "is reachable from the network WITHOUT TLS: passwords and files travel in the clear; add --tls auto";

fn next_steps(url: &str, address: SocketAddr, is_own: bool) -> String {
    let network = match address.ip().is_loopback() {
        true => format!(
            "Only this machine can reach it; for the network:\n  rbackup serve --listen 0.0.0.0:{} --tls auto\n",
            address.port()
        ),
        false => String::new(),
    };
    // The certificate is its own authority; its file holds the key too, which stays here.
    let trust = match is_own {
        true => {
            "curl needs --cacert CERT: openssl s_client -connect HOST:PORT </dev/null | openssl x509 > CERT, then compare its fingerprint.\n"
        }
        false => "",
    };
    format!(
        "\n\
         Make an account, sign a device in, send a file:\n\
         \x20 curl {url}/account/register -d username=ann --data-urlencode password='at least 8 characters'\n\
         \x20 curl {url}/account/login -d username=ann -d device_id=laptop --data-urlencode password='at least 8 characters'\n\
         \x20 curl -T FILE '{url}/upload?file_path=/path/of/FILE' -H 'RBackup-Session-Pass: SESSION_ID'\n\
         \x20 curl {url}/list/files -H 'RBackup-Session-Pass: SESSION_ID'\n\
         {trust}Whole folders: examples/curl/backup-folder.sh. {network}\n"
    )
}
