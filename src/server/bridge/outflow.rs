//! Bodies on their way out: a blocking iterator is asked for its next piece on a thread whenever the socket has room.
//!
//! Promises: the first piece is there before the answer's head, so a failure at the start is still an honest status; a later
//! one cuts the connection, and a short body never looks like a whole one; a receiver that goes ends the reading.
//! Never: reads further ahead than the common budget allows, or holds a thread while a socket is slow.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Bridge, Parked, permits};
use crate::model::limits;
use crate::server::error::{Error, chain};
use crate::server::request::{Connection, Request};
use crate::service;

/// What pieces an iterator brings and how many of them may wait.
#[derive(Debug, Clone, Copy)]
pub struct PieceSizes {
    /// The largest piece, which is reserved before it is read.
    pub bytes_max: usize,
    /// Pieces that wait for the socket.
    pub waiting_max: usize,
}

/// The answer was cut: what made it stopped early. The reason is in the log.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer was cut")]
pub struct Cut;

/// A piece with its share of the budget.
struct Lent {
    bytes: Bytes,
    permit: OwnedSemaphorePermit,
}

enum Item {
    Piece(Lent),
    /// Said explicitly: a closed channel alone is a cut.
    End,
}

impl Bridge {
    /// Reads `pieces` on threads into a stream that answers `request`. Fails when the first piece does.
    pub async fn body_out<I>(&self, pieces: I, sizes: PieceSizes, request: &Request) -> Result<Outflow, Error>
    where
        I: Iterator<Item = Result<Bytes, service::Error>> + Send + 'static,
    {
        let (pieces, first) = self.pull(Parked::new(pieces), sizes).await?;
        let (items, received) = mpsc::channel(sizes.waiting_max.max(1));
        let mut outflow = Outflow::new(received, first.is_none());
        if let Some(first) = first {
            outflow.progress.put(&first);
            outflow.take(first);
            let (connection, request_id) = (request.connection.clone(), request.id.clone());
            let progress = outflow.progress.clone();
            let pump = Pump { bridge: self.clone(), sizes, items, progress, connection, request_id };
            tokio::spawn(pump.run(pieces));
        }
        Ok(outflow)
    }

    /// One piece, with its permits reserved before it is read.
    async fn pull<I>(&self, pieces: Parked<I>, sizes: PieceSizes) -> Result<(Parked<I>, Option<Lent>), Error>
    where
        I: Iterator<Item = Result<Bytes, service::Error>> + Send + 'static,
    {
        let mut permit = self.reserve(sizes).await?;
        self.call(move || {
            let mut pieces = pieces.take()?;
            let piece = pieces.next().transpose()?;
            let lent = piece.map(|bytes| {
                drop(permit.split(permit.num_permits().saturating_sub(bytes.len())));
                Lent { bytes, permit }
            });
            Ok::<_, Error>((Parked::new(pieces), lent))
        })
        .await
    }

    async fn reserve(&self, sizes: PieceSizes) -> Result<OwnedSemaphorePermit, Error> {
        let budget = &self.shared.outgoing_bytes;
        if let Ok(permit) = budget.clone().try_acquire_many_owned(permits(sizes.bytes_max)) {
            return Ok(permit);
        }
        let freed = budget.clone().acquire_many_owned(permits(sizes.bytes_max));
        match timeout(limits::WORK_WAIT, self.shared.hunger.until(freed)).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(service::Error::Busy.into()),
        }
    }
}

/// Reads ahead for one answer, and watches that its client takes what was read.
struct Pump {
    bridge: Bridge,
    sizes: PieceSizes,
    items: mpsc::Sender<Item>,
    progress: Arc<Progress>,
    connection: Connection,
    request_id: String,
}

impl Pump {
    async fn run<I>(self, mut pieces: Parked<I>)
    where
        I: Iterator<Item = Result<Bytes, service::Error>> + Send + 'static,
    {
        while let Some(place) = self.unless_stalled(self.place()).await.flatten() {
            let pulled = tokio::select! {
                pulled = self.unless_stalled(self.bridge.pull(pieces, self.sizes)) => pulled,
                () = self.items.closed() => return,
            };
            let Some(pulled) = pulled else { return };
            let item = match pulled {
                Ok((rest, Some(lent))) => {
                    pieces = rest;
                    self.progress.put(&lent);
                    Item::Piece(lent)
                }
                Ok((_, None)) => {
                    place.send(Item::End);
                    self.unless_stalled(self.items.closed()).await;
                    return;
                }
                Err(error) => {
                    tracing::error!(request_id = self.request_id, cause = chain(&error), "answer cut");
                    return;
                }
            };
            place.send(item);
        }
    }

    /// Room for a piece; none when the receiver is gone. When the budget is half used, only a download whose pieces were all
    /// taken reads on, so that slow ones do not read ahead at the cost of fast ones.
    async fn place(&self) -> Option<mpsc::Permit<'_, Item>> {
        if self.bridge.shared.outgoing_bytes.available_permits() < limits::DOWNLOAD_BYTES_WAITING_MAX / 2 {
            tokio::select! {
                () = self.progress.all_taken() => {}
                () = self.items.closed() => return None,
            }
        }
        self.items.reserve().await.ok()
    }

    /// Waits for `step`; a client that stalls while others wait for its memory is cut, which alone frees what hyper holds.
    async fn unless_stalled<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = step => Some(done),
            () = self.in_the_way() => {
                tracing::warn!(request_id = self.request_id, "stalled download cut: others wait for its memory");
                self.connection.cut();
                None
            }
        }
    }

    /// Resolves when the client has taken nothing for as long as it may, and somebody needs what waits for it.
    async fn in_the_way(&self) {
        while let Some(moved) = self.progress.waits_since() {
            sleep_until(moved + self.connection.terms().download_stall).await;
            if self.progress.waits_since() != Some(moved) {
                continue;
            }
            self.bridge.shared.hunger.heard().await;
            if self.progress.waits_since() == Some(moved) {
                return;
            }
        }
        // It took all there was; only this task brings more.
        std::future::pending().await
    }
}

/// What the client took of what was read, in slices.
#[derive(Default)]
struct Progress {
    put: AtomicUsize,
    taken: AtomicUsize,
    /// When it last took something, or first had something to take.
    moved: Mutex<Option<Instant>>,
    emptied: Notify,
}

impl Progress {
    fn put(&self, lent: &Lent) {
        if self.waiting() == 0 {
            self.moves();
        }
        self.put.fetch_add(lent.bytes.len().div_ceil(limits::SOCKET_SLICE_BYTES), Ordering::Relaxed);
    }

    fn take_one(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.moves();
        if self.waiting() == 0 {
            self.emptied.notify_one();
        }
    }

    fn moves(&self) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn waiting(&self) -> usize {
        self.put.load(Ordering::Relaxed).saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// Since when the client has left what there is to take; none when there is nothing.
    fn waits_since(&self) -> Option<Instant> {
        if self.waiting() == 0 {
            return None;
        }
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn all_taken(&self) {
        while self.waiting() > 0 {
            self.emptied.notified().await;
        }
    }
}

/// A body on its way out; `Sync`, as warp wants it.
pub struct Outflow {
    items: mpsc::Receiver<Item>,
    /// The permits of the piece that is being sliced.
    current: Option<OwnedSemaphorePermit>,
    slices: VecDeque<Bytes>,
    /// A slice was handed out; it counts as taken when the next one is asked for.
    handed_out: bool,
    progress: Arc<Progress>,
    ended: bool,
}

impl Outflow {
    fn new(items: mpsc::Receiver<Item>, ended: bool) -> Self {
        let progress = Arc::default();
        Self { items, current: None, slices: VecDeque::new(), handed_out: false, progress, ended }
    }

    fn take(&mut self, lent: Lent) {
        let mut bytes = lent.bytes;
        while !bytes.is_empty() {
            self.slices.push_back(bytes.split_to(bytes.len().min(limits::SOCKET_SLICE_BYTES)));
        }
        self.current = Some(lent.permit);
    }
}

impl Stream for Outflow {
    type Item = Result<Bytes, Cut>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.handed_out) {
            self.progress.take_one();
        }
        loop {
            if let Some(slice) = self.slices.pop_front() {
                self.handed_out = true;
                return Poll::Ready(Some(Ok(slice)));
            }
            self.current = None;
            if self.ended {
                return Poll::Ready(None);
            }
            match std::task::ready!(self.items.poll_recv(context)) {
                Some(Item::Piece(lent)) => self.take(lent),
                Some(Item::End) => self.ended = true,
                None => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(Cut)));
                }
            }
        }
    }
}
