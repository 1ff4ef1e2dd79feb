//! What a handler answers with, before it becomes warp's. Promises: JSON is never stored by anybody on the way.

use bytes::Bytes;
use serde::Serialize;
use warp::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::bridge::Outflow;
use super::vigil::Vigil;
use crate::wire;

/// What every answer carries, unless its handler said something stricter or a page needs its own.
const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// An answer.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those that every answer gets.
    pub headers: HeaderMap,
    /// Its body.
    pub content: Content,
    /// What the status line says besides the number, over HTTP/1.1.
    pub reason: Option<String>,
    /// What ends it early.
    pub vigil: Option<Vigil>,
}

/// An answer's body.
pub enum Content {
    /// All there.
    Whole(Bytes),
    /// On its way from a thread.
    Flow(Outflow),
}

impl Reply {
    /// No body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), content: Content::Whole(Bytes::new()), reason: None, vigil: None }
    }

    /// A body of bytes that are all there.
    pub fn whole(status: StatusCode, bytes: Bytes) -> Self {
        Self { content: Content::Whole(bytes), ..Self::empty(status) }
    }

    /// A body of JSON.
    pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Self {
        Self { content: Content::Whole(wire::json(value).into()), ..Self::empty(status) }.labelled_json()
    }

    /// A body of JSON that is still being written.
    pub fn json_flow(pieces: Outflow) -> Self {
        Self::flow(StatusCode::OK, pieces).labelled_json()
    }

    /// A body of bytes that are still being read.
    pub fn flow(status: StatusCode, pieces: Outflow) -> Self {
        Self { content: Content::Flow(pieces), ..Self::empty(status) }
    }

    /// Ends with what `caller` rests on, if it takes so long.
    pub fn watched(self, begin: impl FnOnce() -> Vigil) -> Self {
        let vigil = matches!(self.content, Content::Flow(_)).then(begin);
        Self { vigil, ..self }
    }

    /// With one header more.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With one header more, whose text we made ourselves from digits and ASCII; anything else is left out.
    pub fn with_text(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.with(name, value),
            Err(_) => self,
        }
    }

    /// The answer to `HEAD`: hyper leaves the body out over HTTP/1.1 only.
    pub fn bodiless(self) -> Self {
        Self { content: Content::Whole(Bytes::new()), ..self }
    }

    /// With what tells browsers to do nothing with it but show it. A page of ours brings its own policy; that of everything else
    /// allows nothing. HSTS is never among them: it would bind every other service of this machine's name, on every port.
    pub fn guarded(mut self) -> Self {
        for (name, value) in SECURITY_HEADERS {
            self.headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        self
    }

    fn labelled_json(self) -> Self {
        self.with(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }
}
