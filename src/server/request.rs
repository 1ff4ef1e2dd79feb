//! A request as handlers see it, and the connection it came by.
//!
//! Promises: the body is not read before a handler asks, so `Expect: 100-continue` gets the final answer first.
//! Never: decodes the path, or prints headers or the query.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::sleep;
use warp::http::{HeaderMap, Method, Version, header};

use super::error::Error;
use super::query::{Query, QueryError};
use super::tls::Fingerprint;
use crate::model::limits;

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub enum Peer {
    /// A TCP socket.
    Tcp(SocketAddr),
    /// A process of this machine, through a unix socket.
    Unix {
        /// Its user.
        uid: u32,
        /// Itself; 0 where the system does not tell.
        pid: i32,
    },
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { uid, pid } => write!(f, "uid {uid} pid {pid}"),
        }
    }
}

/// What a connection is granted.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How long its client may take none of its answers.
    pub write_idle: Duration,
    /// How long its client may take to say that it lives.
    pub ping_answer: Duration,
    /// How long its client may take nothing of a download while others wait for its memory.
    pub download_stall: Duration,
    /// Requests at once over HTTP/2, if that is not what the configuration says.
    pub streams: Option<u32>,
    /// How long its first request may take, if that is more than others have.
    pub first_request: Duration,
}

/// What one connection's requests share with its socket.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Who is at the other end.
    pub peer: Peer,
    /// The certificate it was shown, where it is encrypted.
    certificate: Option<Fingerprint>,
    /// Who asks, where a proxy of ours says so.
    forwarded: Option<IpAddr>,
    is_http2: bool,
    /// Whether its client has no other connection and cannot make one: a pump's.
    is_only: bool,
    asked: Arc<AtomicBool>,
    unread: Arc<AtomicBool>,
    cut: Arc<Notify>,
    resets: Arc<Mutex<Resets>>,
}

/// Requests that were taken back since the minute began.
#[derive(Debug, Default)]
struct Resets {
    since: Option<Instant>,
    count: u32,
}

impl Connection {
    /// A connection that has not asked anything yet.
    pub fn new(peer: Peer) -> Self {
        Self {
            peer,
            certificate: None,
            forwarded: None,
            is_http2: false,
            is_only: false,
            asked: Arc::default(),
            unread: Arc::default(),
            cut: Arc::default(),
            resets: Arc::default(),
        }
    }

    /// The same for a pump, whose client gives up when it ends.
    pub fn only(self) -> Self {
        Self { is_only: true, ..self }
    }

    /// The same over TLS with this certificate.
    pub fn shown(self, certificate: Fingerprint) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    /// The certificate that its client was shown; none without TLS.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// What it is granted.
    pub fn terms(&self) -> Terms {
        match self.is_only {
            true => Terms {
                write_idle: limits::PUMP_SILENCE,
                ping_answer: limits::PUMP_SILENCE,
                download_stall: limits::PUMP_STALL,
                streams: Some(limits::PUMP_STREAMS_MAX),
                first_request: limits::PUMP_SILENCE,
            },
            false => Terms {
                write_idle: limits::SOCKET_WRITE_IDLE,
                ping_answer: limits::PING_ANSWER,
                download_stall: limits::DOWNLOAD_STALL,
                streams: None,
                first_request: Duration::ZERO,
            },
        }
    }

    /// The same, for a request of this version.
    pub fn speaking(&self, version: Version) -> Self {
        Self { is_http2: version == Version::HTTP_2, ..self.clone() }
    }

    /// Whether other requests may be under way over it.
    pub fn is_shared(&self) -> bool {
        self.is_http2
    }

    /// The same, for a request that a proxy passed on.
    pub fn passed_on_for(self, forwarded: Option<IpAddr>) -> Self {
        Self { forwarded, ..self }
    }

    /// From where the request came first, where a proxy of ours says so.
    pub fn forwarded(&self) -> Option<IpAddr> {
        self.forwarded
    }

    /// Its first request is there.
    pub fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether there was a request.
    pub fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// A request begins, which ends the connection when too many are taken back, `most` in a minute.
    pub fn begins(&self, most: u32) -> Unanswered {
        Unanswered { connection: self.clone(), most, is_answered: false }
    }

    fn taken_back(&self, most: u32) {
        let mut resets = self.resets.lock().unwrap_or_else(PoisonError::into_inner);
        if resets.since.is_none_or(|since| since.elapsed() >= MINUTE) {
            *resets = Resets { since: Some(Instant::now()), count: 0 };
        }
        resets.count += 1;
        if resets.count > most {
            self.cut();
        }
    }

    /// Ends the connection with all its requests.
    pub fn cut(&self) {
        self.cut.notify_one();
    }

    /// Resolves when [`Connection::cut`] is called.
    pub async fn was_cut(&self) {
        self.cut.notified().await;
    }

    /// Whether an HTTP/1.1 request was answered while bytes of its body may still come: then the connection must end, and
    /// [`super::socket`] lets it end gently.
    pub fn has_unread_body(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// A request that has no answer yet; dropped without one it was taken back.
pub struct Unanswered {
    connection: Connection,
    most: u32,
    is_answered: bool,
}

impl Unanswered {
    /// It has one.
    pub fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if !self.is_answered && self.connection.is_http2 {
            self.connection.taken_back(self.most);
        }
    }
}

/// One request.
pub struct Request {
    /// 16 hexadecimal digits that the answer, the log and error bodies share.
    pub id: String,
    /// Its method.
    pub method: Method,
    /// Its path, still percent-encoded.
    pub path: String,
    /// Its query without `?`, empty when there is none. Holds passwords: for [`Request::query`] alone.
    pub raw_query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// How it came.
    pub connection: Connection,
    /// Its body.
    pub body: Body,
}

impl Request {
    /// The query's fields.
    pub fn query(&self) -> Result<Query, QueryError> {
        Query::parse(&self.raw_query)
    }

    /// A header as text; none when it is missing or has other than visible ASCII.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body's length, where the client told it.
    pub fn content_length(&self) -> Option<u64> {
        self.header(header::CONTENT_LENGTH)?.parse().ok()
    }
}

type Frames = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send + Sync>>;

/// A request's body: frames as they arrive, then an end.
pub struct Body {
    frames: Option<Frames>,
    ended: bool,
    connection: Connection,
}

impl Body {
    /// A body made of warp's stream. A closure would not infer its type, a function does.
    pub fn new<S, B>(stream: S, headers: &HeaderMap, connection: Connection) -> Self
    where
        S: Stream<Item = Result<B, warp::Error>> + Send + Sync + 'static,
        B: Buf,
    {
        let frames = stream.map(|frame| frame.map(|mut buf| buf.copy_to_bytes(buf.remaining())));
        let nothing = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
        let ended = nothing && !headers.contains_key(header::TRANSFER_ENCODING) && !connection.is_http2;
        Self { frames: Some(Box::pin(frames)), ended, connection }
    }

    /// The next frame; none at the body's true end. A cut connection is [`Error::Cut`], never an end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let Some(frames) = &mut self.frames else { return Poll::Ready(Err(Error::Cut)) };
        let frame = std::task::ready!(frames.as_mut().poll_next(context));
        self.ended |= frame.is_none();
        Poll::Ready(frame.transpose().map_err(|_| Error::Cut))
    }
}

/// A body that nobody wants any more. On HTTP/1.1 the connection is marked. On HTTP/2 dropping it resets the stream, and clients
/// that were still sending (curl 7.88) then drop the answer unread: so the reset waits for a moment.
impl Drop for Body {
    fn drop(&mut self) {
        let Some(frames) = self.frames.take().filter(|_| !self.ended) else { return };
        if !self.connection.is_http2 {
            self.connection.unread.store(true, Ordering::Relaxed);
        } else if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                sleep(limits::LINGER).await;
                drop(frames);
            });
        }
    }
}
