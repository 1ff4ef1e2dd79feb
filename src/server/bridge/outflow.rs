//! Bodies on their way out: a blocking iterator is asked for its next piece on a thread whenever the socket has room.
//!
//! Promises: the first piece is there before the answer's head, so a failure at the start is still an honest status; a later
//! one cuts the answer, and a short body never looks like a whole one; a receiver that goes ends the reading.
//! Never: reads further ahead than the common budget allows, or holds a thread while a socket is slow.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{sleep_until, timeout};

use super::progress::{Progress, Slicing};
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
        let outflow = Outflow::new(received, first.is_none(), Slicing::on(&request.connection));
        if let Some(first) = first {
            outflow.progress.put(first.bytes.len());
            lock(&outflow.waiting).take(first);
            let (connection, request_id) = (request.connection.clone(), request.id.clone());
            let (progress, waiting) = (outflow.progress.clone(), Arc::downgrade(&outflow.waiting));
            let pump = Pump { bridge: self.clone(), sizes, items, progress, waiting, connection, request_id };
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
    /// Not its owner: it ends with the answer.
    waiting: Weak<Mutex<Waiting>>,
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
                    self.progress.put(lent.bytes.len());
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

    /// Waits for `step`; a client that stalls while others wait for its memory is cut.
    async fn unless_stalled<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = step => Some(done),
            () = self.in_the_way() => {
                tracing::warn!(request_id = self.request_id, "stalled download cut: others wait for its memory");
                self.give_back();
                None
            }
        }
    }

    /// Frees what waits for the client. A connection of its own is cut. One that other requests share goes on: what hyper still holds of
    /// this answer is a slice and no part of the budget, and when the client reads on its stream is reset.
    fn give_back(&self) {
        match self.waiting.upgrade() {
            Some(waiting) if self.connection.is_shared() => lock(&waiting).give_back(),
            _ => self.connection.cut(),
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

/// A body on its way out; `Sync`, as warp wants it.
pub struct Outflow {
    waiting: Arc<Mutex<Waiting>>,
    progress: Arc<Progress>,
    /// A slice was handed out; it counts as taken when the next one is asked for.
    handed_out: bool,
}

/// What was read and not handed out.
struct Waiting {
    items: mpsc::Receiver<Item>,
    /// The permits of the piece that is being sliced.
    current: Option<OwnedSemaphorePermit>,
    slices: VecDeque<Bytes>,
    slicing: Slicing,
    ended: bool,
}

impl Outflow {
    fn new(items: mpsc::Receiver<Item>, ended: bool, slicing: Slicing) -> Self {
        let waiting = Waiting { items, current: None, slices: VecDeque::new(), slicing, ended };
        let progress = Arc::new(Progress::new(slicing));
        Self { waiting: Arc::new(Mutex::new(waiting)), progress, handed_out: false }
    }
}

impl Waiting {
    fn take(&mut self, lent: Lent) {
        let mut bytes = lent.bytes;
        while !bytes.is_empty() {
            self.slices.push_back(bytes.split_to(bytes.len().min(self.slicing.bytes())));
        }
        self.current = Some(lent.permit);
    }

    /// Frees all of it. Not an end: whoever asks next finds the pump gone.
    fn give_back(&mut self) {
        self.items.close();
        while self.items.try_recv().is_ok() {}
        self.slices.clear();
        self.current = None;
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        loop {
            if let Some(slice) = self.slices.pop_front() {
                return Poll::Ready(Some(Ok(self.slicing.hand_out(slice))));
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

impl Stream for Outflow {
    type Item = Result<Bytes, Cut>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.handed_out) {
            self.progress.take_one();
        }
        let next = lock(&self.waiting).poll_next(context);
        self.handed_out = matches!(next, Poll::Ready(Some(Ok(_))));
        next
    }
}

/// Held for moments, and never across a wait.
fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::sync::Semaphore;

    /// Bytes that say when nobody has them any more.
    struct Watched(Vec<u8>, Arc<AtomicBool>);

    impl AsRef<[u8]> for Watched {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn what_is_given_back_is_free_while_hyper_keeps_a_slice() {
        for (slicing, free) in [(Slicing::Copied, true), (Slicing::Borrowed, false)] {
            let (freed, budget) = (Arc::new(AtomicBool::new(false)), Arc::new(Semaphore::new(1)));
            let (items, received) = mpsc::channel(2);
            let mut outflow = Outflow::new(received, false, slicing);
            let bytes = Bytes::from_owner(Watched(vec![7; 1 << 20], freed.clone()));
            let permit = budget.clone().acquire_owned().await.expect("a permit");
            lock(&outflow.waiting).take(Lent { bytes, permit });
            let kept = outflow.next().await.expect("a slice").expect("bytes");
            lock(&outflow.waiting).give_back();
            assert_eq!(budget.available_permits(), 1);
            assert_eq!(
                freed.load(Ordering::Relaxed),
                free,
                "{slicing:?}: a slice that is kept keeps its piece, or not"
            );
            drop(items);
            assert!(matches!(outflow.next().await, Some(Err(Cut))), "a short body never looks like a whole one");
            drop(kept);
        }
    }
}
