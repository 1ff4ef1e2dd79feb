//! One line per request, at its true end: a download's line comes when its last byte left or its client went.
//!
//! Never: writes a query, a header or a secret; control characters of a path are escaped.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_util::Stream;
use warp::http::{Method, StatusCode};

use super::bridge::{Cut, Outflow};
use super::request::{Peer, Request};
use super::vigil::Vigil;

/// A request's line, written when it is dropped.
pub struct Entry {
    id: String,
    method: Method,
    path: String,
    peer: Peer,
    forwarded: Option<IpAddr>,
    began: Instant,
    status: Option<StatusCode>,
    bytes: u64,
}

impl Entry {
    /// Begins with what is known when the request came.
    pub fn begin(request: &Request) -> Self {
        Self {
            id: request.id.clone(),
            method: request.method.clone(),
            path: printable(&request.path),
            peer: request.connection.peer,
            forwarded: request.connection.forwarded(),
            began: Instant::now(),
            status: None,
            bytes: 0,
        }
    }

    /// The answer's status is known.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// So many bytes of its body left.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // 499, as nginx has it: the client went before there was an answer.
        let status = self.status.map_or(499, |status| status.as_u16());
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (method, path, bytes, peer, request_id) = (&self.method, &self.path, self.bytes, self.peer, &self.id);
        let client = self.forwarded.map(tracing::field::display);
        tracing::info!(%method, path, status, bytes, ms, %peer, client, request_id, "request");
    }
}

/// A path without control characters and without anything beyond ASCII.
fn printable(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for character in path.chars() {
        if character.is_ascii_graphic() {
            text.push(character);
        } else {
            text.extend(character.escape_default());
        }
    }
    text
}

/// A stream that counts into its entry.
pub struct Counted {
    flow: Outflow,
    entry: Entry,
    vigil: Option<Vigil>,
}

impl Counted {
    /// Counts what `flow` brings, until `vigil` ends it.
    pub fn new(flow: Outflow, entry: Entry, vigil: Option<Vigil>) -> Self {
        Self { flow, entry, vigil }
    }
}

impl Stream for Counted {
    type Item = Result<Bytes, Cut>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.vigil.as_ref().is_some_and(Vigil::is_over) {
            return Poll::Ready(Some(Err(Cut)));
        }
        let next = std::task::ready!(Pin::new(&mut self.flow).poll_next(context));
        if let Some(Ok(bytes)) = &next {
            self.entry.sent(bytes.len());
        }
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_forge_a_line() {
        assert_eq!(printable("/status"), "/status");
        assert_eq!(printable("/a\nb\u{1b}[2Jä"), "/a\\nb\\u{1b}[2J\\u{e4}");
    }
}
