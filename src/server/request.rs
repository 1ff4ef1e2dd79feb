//! A request as handlers see it, and the connection it came by.
//!
//! Promises: the body is not read before a handler asks, so `Expect: 100-continue` gets the final answer first.
//! Never: decodes the path, or prints headers or the query.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use warp::http::{HeaderMap, Method, header};

use super::error::Error;
use super::query::{Query, QueryError};

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub enum Peer {
    /// A TCP socket.
    Tcp(SocketAddr),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// What one connection's requests share with its socket.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Who is at the other end.
    pub peer: Peer,
    unread: Arc<AtomicBool>,
}

impl Connection {
    /// A connection that has not asked anything yet.
    pub fn new(peer: Peer) -> Self {
        Self { peer, unread: Arc::default() }
    }

    /// Whether a request was answered while bytes of its body may still come: see [`super::socket`].
    pub fn has_unread_body(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
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

/// A request's body: frames as they arrive, then an end. Dropped before its end it marks the connection.
pub struct Body {
    frames: Frames,
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
        let ended = nothing && !headers.contains_key(header::TRANSFER_ENCODING);
        Self { frames: Box::pin(frames), ended, connection }
    }

    /// The next frame; none at the body's true end. A cut connection is [`Error::Cut`], never an end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        self.frames.as_mut().poll_next(context).map(|frame| match frame {
            Some(Ok(bytes)) => Ok(Some(bytes)),
            Some(Err(_)) => Err(Error::Cut),
            None => {
                self.ended = true;
                Ok(None)
            }
        })
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.unread.store(true, Ordering::Relaxed);
        }
    }
}
