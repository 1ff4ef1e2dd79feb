//! Bodies on their way in: frames are gathered while the thread works on the piece before, and cross together.
//!
//! Promises: [`Sink::finish`] is called only after the body's true end; a cut, slow or refused body drops the sink instead.
//! A waiting frame holds its permits of the common budget before more is read. Never: keeps gathered bytes back while the
//! thread is free, so a slow sender holds no budget.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{Bridge, Parked, permits};
use crate::model::limits;
use crate::server::error::Error;
use crate::server::request::Body;

/// What a body is poured into, on threads.
pub trait Sink: Send + 'static {
    /// What comes of it.
    type Done: Send + 'static;
    /// Takes the next bytes.
    fn push(&mut self, bytes: Bytes) -> Result<(), Error>;
    /// The body is complete.
    fn finish(self) -> Result<Self::Done, Error>;
}

impl Bridge {
    /// Pours a body into a sink.
    pub async fn body_in<S: Sink>(&self, body: Body, sink: S) -> Result<S::Done, Error> {
        let mut sink = Parked::new(sink);
        let mut source = Source::new(self, body);
        let mut piece = Piece::default();
        source.grow(&mut piece).await?;
        source.grow_ready(&mut piece).await?;
        while !piece.last {
            let mut next = Piece::default();
            let work = self.call_change(move || piece.push_to(sink.take()?).map(Parked::new));
            tokio::pin!(work);
            sink = loop {
                tokio::select! {
                    sink = &mut work => break sink?,
                    grown = source.grow(&mut next), if !next.is_full() => grown?,
                }
            };
            if next.bytes == 0 && !next.last {
                source.grow(&mut next).await?;
            }
            source.grow_ready(&mut next).await?;
            piece = next;
        }
        self.call_change(move || piece.push_to(sink.take()?)?.finish()).await
    }

    /// A small body as a whole; one that is longer than `bytes_max` is [`Error::TooLarge`].
    pub async fn body_whole(&self, mut body: Body, bytes_max: usize) -> Result<Bytes, Error> {
        let gather = async {
            let mut whole = BytesMut::new();
            while let Some(frame) = body.next().await? {
                if whole.len() + frame.len() > bytes_max {
                    return Err(Error::TooLarge);
                }
                whole.extend_from_slice(&frame);
            }
            Ok(whole.freeze())
        };
        timeout(self.shared.body_idle, gather).await.unwrap_or(Err(Error::BodyIdle))
    }
}

/// A body with its budget.
struct Source {
    body: Body,
    idle: Duration,
    pace: Pace,
    budget: Arc<Semaphore>,
    /// A frame that has no permits yet.
    waiting: Option<Bytes>,
}

impl Source {
    fn new(bridge: &Bridge, body: Body) -> Self {
        let shared = &bridge.shared;
        let pace =
            Pace { window: shared.body_idle, bytes_min: shared.body_bytes_min, waited: Duration::ZERO, bytes: 0 };
        Self { body, idle: shared.body_idle, pace, budget: shared.incoming_bytes.clone(), waiting: None }
    }

    /// Adds the next frame, or the end, to `piece`. Cancelled it loses nothing.
    async fn grow(&mut self, piece: &mut Piece) -> Result<(), Error> {
        if piece.last {
            return std::future::pending().await;
        }
        if self.waiting.is_none() {
            let began = Instant::now();
            let frame = timeout(self.idle, self.body.next()).await.unwrap_or(Err(Error::BodyIdle))?;
            self.pace.came(began.elapsed(), frame.as_ref().map_or(0, Bytes::len))?;
            self.waiting = frame;
        }
        let Some(length) = self.waiting.as_ref().map(Bytes::len) else {
            piece.last = true;
            return Ok(());
        };
        let wanted = permits(length.min(limits::BODY_BYTES_WAITING_EACH_MAX));
        let permit = self.budget.clone().acquire_many_owned(wanted).await.map_err(|_| Error::Panicked)?;
        if let Some(frame) = self.waiting.take() {
            piece.add(frame, permit);
        }
        Ok(())
    }

    /// Adds what is there already. The connection's task reads the socket between two polls of ours, so one turn is given to it:
    /// that way a small upload crosses once, its end included.
    async fn grow_ready(&mut self, piece: &mut Piece) -> Result<(), Error> {
        let mut yielded = false;
        while !piece.last && !piece.is_full() {
            match self.grow(piece).now_or_never() {
                Some(grown) => grown?,
                None if yielded => break,
                None => {
                    yielded = true;
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(())
    }
}

/// How fast a body comes. Only the time that the client is waited for counts, not that of our own disk.
struct Pace {
    window: Duration,
    bytes_min: u64,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn came(&mut self, waited: Duration, bytes: usize) -> Result<(), Error> {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < self.window {
            return Ok(());
        }
        let is_slow = self.bytes < self.bytes_min;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        if is_slow { Err(Error::BodySlow) } else { Ok(()) }
    }
}

/// Frames that cross together.
#[derive(Default)]
struct Piece {
    frames: Vec<Bytes>,
    /// Small frames are copied together: each would cost more than it holds.
    small: BytesMut,
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
    last: bool,
}

impl Piece {
    /// A piece being worked on and the next one together make an upload's share.
    fn is_full(&self) -> bool {
        self.bytes >= limits::BODY_BYTES_WAITING_EACH_MAX / 2 - limits::BODY_PIECE_BYTES
    }

    fn add(&mut self, frame: Bytes, permit: OwnedSemaphorePermit) {
        self.bytes += frame.len();
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        if frame.len() < limits::BODY_FRAME_COPIED_BYTES_MAX {
            self.small.extend_from_slice(&frame);
        } else {
            self.set_small_down();
            self.frames.push(frame);
        }
        if self.small.len() >= limits::BODY_PIECE_BYTES {
            self.set_small_down();
        }
    }

    fn set_small_down(&mut self) {
        if !self.small.is_empty() {
            self.frames.push(self.small.split().freeze());
        }
    }

    /// On a thread. The permits go when all bytes were taken.
    fn push_to<S: Sink>(mut self, mut sink: S) -> Result<S, Error> {
        self.set_small_down();
        for frame in self.frames {
            sink.push(frame)?;
        }
        Ok(sink)
    }
}
