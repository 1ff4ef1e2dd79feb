//! Listeners, connections, and their end.
//!
//! Promises: every byte stream, TCP, TLS, a unix socket's or a pump's, goes through [`House::speak`]: HTTP/1.1 or HTTP/2 by prior knowledge,
//! whichever the client begins with. A stop takes no new connection, lets requests finish within the grace, then cuts.
//! Never: accepts more connections than it may hold, or looks into a request.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower_service::Service;
use warp::http::{HeaderValue, Request, Uri, header};

use super::bridge::Bridge;
use super::crowd::{Crowd, Presence, Silent};
use super::door::Door;
use super::guard::source::Source;
use super::guard::throttle::Throttle;
use super::listener::{Arrival, Entrance, Listener};
use super::request::{Connection, Peer, Terms};
use super::socket::Socket;
use super::{Context, Front, Realm, Settings, router, ui};
use crate::model::bounds::Bounds;
use crate::model::limits;
use crate::service::Services;

/// What work that was cut gets to end when requests took all of the grace.
const QUIET_MIN: Duration = Duration::from_millis(500);

/// Serves until `shutdown` resolves, or until nobody came for [`Settings::idle`], then ends as [`Settings::shutdown_grace`] allows.
pub async fn serve(
    listeners: Vec<Listener>,
    services: Services,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) {
    tokio::task::spawn_blocking(ui::prepare);
    let bounds = Arc::new(settings.bounds);
    let bridge = Bridge::new(settings.body_idle, bounds.body_bytes_per_s_min);
    // Where nobody waits for it, asking to leave fails.
    let (leave, asked) = watch::channel(false);
    let asked = settings.idle.map(|idle| (idle, asked));
    let context = Context {
        services,
        bridge: bridge.clone(),
        leave,
        front: Arc::new(Front::Main),
        throttle: Arc::new(Throttle::new(&bounds)),
        bounds: Arc::clone(&bounds),
        source: Source::Local,
    };
    let ((cut, _), (visits, seen)) = (watch::channel(()), watch::channel(0));
    let most = settings.connections;
    let slots = Arc::new(Semaphore::new(settings.connections));
    let house = House {
        context,
        slots,
        cut: cut.clone(),
        visits,
        bounds,
        crowd: Crowd::default(),
        silent: Silent::default(),
        most,
    };
    let graceful = GracefulShutdown::new();
    tokio::select! {
        _ = join_all(listeners.iter().map(|listener| house.accept(listener, &graceful))) => {}
        () = shutdown => {}
        () = deserted(seen, asked) => {}
    }
    drop((listeners, house));
    let began = Instant::now();
    if timeout(settings.shutdown_grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were still open when the grace ended; they are cut");
        cut.send_replace(());
        cut.closed().await;
    }
    // What was cut ends in a moment, unless it waits for a disk that hangs.
    let left = settings.shutdown_grace.saturating_sub(began.elapsed());
    bridge.quiet(left.max(QUIET_MIN)).await;
}

/// The address has as many connections as it may have.
struct TooMany;

/// What all connections share.
#[derive(Clone)]
struct House {
    context: Context,
    slots: Arc<Semaphore>,
    cut: watch::Sender<()>,
    /// How many connections there are.
    visits: watch::Sender<usize>,
    /// How many each address has.
    crowd: Crowd,
    silent: Silent,
    /// How many there may be.
    most: usize,
    bounds: Arc<Bounds>,
}

impl House {
    async fn accept(&self, listener: &Listener, graceful: &GracefulShutdown) {
        loop {
            let Some(slot) = self.slot().await else { return };
            match listener.accept().await {
                Ok((arrival, peer)) => {
                    let Ok(presence) = self.presence(peer) else { continue };
                    let (watcher, counted) = (graceful.watcher(), Counted::new(&self.visits));
                    let visit =
                        Visit { house: self.clone(), watcher, _slot: slot, _counted: counted, _presence: presence };
                    tokio::spawn(visit.receive(arrival, peer, listener.entrance.clone()));
                }
                Err(error) => accept_failed(error).await,
            }
        }
    }

    /// A place for one connection more; when there is none, the one that has been silent for longest makes room.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Some(slot);
        }
        self.silent.cut_first();
        self.slots.clone().acquire_owned().await.ok()
    }

    /// One connection more of whoever it is. Processes of this machine and proxies, who speak for many, have no limit but the common one.
    fn presence(&self, peer: Peer) -> Result<Option<Presence>, TooMany> {
        let source = Source::direct(peer);
        let group = source.group().filter(|_| !source.is_in(&self.bounds.trusted_proxies));
        let enter = |group| self.crowd.enter(group, self.bounds.connections_per_address).ok_or(TooMany);
        group
            .map(enter)
            .transpose()
            .inspect_err(|TooMany| tracing::debug!(%peer, "it has too many connections already"))
    }

    /// Speaks HTTP over any byte stream until it ends.
    async fn speak<IO>(&self, io: IO, connection: Connection, front: Front, watcher: Watcher)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = connection.peer;
        let routes = warp::service(router::routes(Context { front: Arc::new(front), ..self.context.clone() }));
        let first_request = connection.terms().first_request.max(self.bounds.headers);
        let io = TokioIo::new(Socket::new(io, connection.clone(), first_request));
        let resets = self.bounds.resets_per_minute;
        let speaking = connection.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let connection = speaking.speaking(request.version());
            connection.asks();
            let unanswered = connection.begins(resets);
            request.extensions_mut().insert(connection);
            name_the_host(&mut request);
            name_the_path(&mut request);
            let answer = routes.clone().call(request);
            async move {
                let answer = answer.await;
                unanswered.answered();
                answer
            }
        });
        let speaker = self.speaker(connection.terms());
        let mut cut = self.cut.subscribe();
        let spoken = tokio::select! {
            spoken = watcher.watch(speaker.serve_connection(io, service)) => spoken,
            _ = cut.changed() => Ok(()),
            () = connection.was_cut() => Ok(()),
        };
        if let Err(error) = spoken {
            tracing::debug!(%peer, error = &*error, "connection ended");
        }
    }

    fn speaker(&self, terms: Terms) -> auto::Builder<TokioExecutor> {
        let (stream_window, connection_window) = windows(*self.visits.borrow());
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            // Who has said all and closes its half still waits for the answer.
            .half_close(true)
            .header_read_timeout(limits::HEADERS_READ_LATER)
            .max_headers(limits::HEADERS_MAX)
            .max_buf_size(limits::HEAD_BYTES_MAX);
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(stream_window)
            .initial_connection_window_size(connection_window)
            .max_frame_size(limits::FRAME_BYTES)
            .max_send_buf_size(limits::STREAM_SEND_BYTES)
            .max_concurrent_streams(terms.streams.unwrap_or(self.bounds.streams))
            .max_pending_accept_reset_streams(limits::RESETS_WAITING_MAX)
            .max_local_error_reset_streams(limits::RESETS_WAITING_MAX)
            .max_header_list_size(limits::HEADER_LIST_BYTES_MAX)
            .keep_alive_interval(limits::PING_AFTER)
            .keep_alive_timeout(terms.ping_answer);
        builder
    }
}

/// One connection with what it holds while it lasts.
struct Visit {
    house: House,
    watcher: Watcher,
    _slot: OwnedSemaphorePermit,
    _counted: Counted,
    _presence: Option<Presence>,
}

impl Visit {
    async fn receive(self, arrival: Arrival, peer: Peer, entrance: Entrance) {
        let connection = Connection::new(peer);
        self.house.silent.add(connection.clone(), self.house.most);
        let met = connection.clone();
        self.greet(arrival, connection, entrance).await;
        // Nobody cuts what has gone.
        met.asks();
    }

    async fn greet(self, arrival: Arrival, connection: Connection, entrance: Entrance) {
        let peer = connection.peer;
        match arrival {
            Arrival::Tcp(stream, tls) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "TCP_NODELAY refused");
                }
                match tls {
                    None => self.meet(stream, connection, entrance).await,
                    Some(tls) => {
                        let shaken = tokio::select! {
                            shaken = tls.accept(stream, self.house.bounds.handshake) => shaken,
                            () = connection.was_cut() => None,
                        };
                        if let Some((stream, certificate)) = shaken {
                            self.meet(stream, connection.shown(certificate), entrance).await;
                        }
                    }
                }
            }
            Arrival::Unix(stream) => match entrance {
                Entrance::Door(door) => self.admit(stream, connection, &door).await,
                entrance => self.meet(stream, connection, entrance).await,
            },
        }
    }

    async fn meet<IO>(self, io: IO, connection: Connection, entrance: Entrance)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let front = match entrance {
            Entrance::Restic(realm) => behind(realm),
            Entrance::Main | Entrance::Door(_) => Front::Main,
        };
        self.house.speak(io, connection, front, self.watcher).await;
    }

    async fn admit(self, mut stream: UnixStream, connection: Connection, door: &Door) {
        let Peer::Unix { uid, .. } = connection.peer else { return };
        if let Some(realm) = door.admit(&self.house.context, &mut stream, uid).await {
            self.house.speak(stream, connection.only(), behind(realm), self.watcher).await;
        }
    }
}

/// Nothing but this realm.
fn behind(realm: Arc<Realm>) -> Front {
    Front::Restic { base: realm.url_base().to_owned(), gate: Box::new(realm) }
}

/// One connection more, until it goes.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(visits: &watch::Sender<usize>) -> Self {
        visits.send_modify(|count| *count += 1);
        Self(visits.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Resolves when there was no connection for so long, or at once when there is none and it was asked to leave; never without a limit.
async fn deserted(mut visits: watch::Receiver<usize>, patience: Option<(Duration, watch::Receiver<bool>)>) {
    let Some((idle, mut asked)) = patience else { return std::future::pending().await };
    loop {
        let open = *visits.borrow_and_update();
        let idle = if *asked.borrow_and_update() { Duration::ZERO } else { idle };
        tokio::select! {
            changed = visits.changed() => if changed.is_err() { return },
            _ = asked.changed() => {}
            () = sleep(idle), if open == 0 => return,
        }
    }
}

/// Out of descriptors, most likely: waiting is better than spinning.
async fn accept_failed(error: io::Error) {
    tracing::warn!(%error, "a connection was not accepted");
    sleep(Duration::from_millis(100)).await;
}

/// The HTTP/2 windows of a stream and of a connection when `open` connections share the memory for them.
fn windows(open: usize) -> (u32, u32) {
    let open = u32::try_from(open.max(1)).unwrap_or(u32::MAX);
    let share = limits::CONNECTION_WINDOWS_BYTES_MAX / open;
    let connection = share.clamp(limits::WINDOW_BYTES_MIN, limits::CONNECTION_WINDOW_BYTES);
    (connection.min(limits::STREAM_WINDOW_BYTES), connection)
}

/// A target without a path (`CONNECT host:port`) becomes the root, which has no route: warp panics on it.
fn name_the_path<B>(request: &mut Request<B>) {
    if request.uri().path_and_query().is_none() {
        *request.uri_mut() = Uri::from_static("/");
    }
}

/// HTTP/2 names the host in the URI; the guard reads it where HTTP/1.1 has it.
fn name_the_host<B>(request: &mut Request<B>) {
    if request.headers().contains_key(header::HOST) {
        return;
    }
    let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(authority)) = authority {
        request.headers_mut().insert(header::HOST, authority);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_connections_get_smaller_windows() {
        assert_eq!(windows(1), (8 << 20, 32 << 20));
        assert_eq!(windows(4), (8 << 20, 16 << 20));
        assert_eq!(windows(64), (1 << 20, 1 << 20));
        assert_eq!(windows(4096), (64 << 10, 64 << 10));
    }

    #[test]
    fn the_host_comes_from_the_authority() {
        let mut request = Request::new(());
        *request.uri_mut() = "http://nas:3369/status".parse().expect("a URI");
        name_the_host(&mut request);
        assert_eq!(request.headers()[header::HOST], "nas:3369");
    }
}
