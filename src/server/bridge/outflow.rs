//! Bodies on their way out: a blocking iterator is asked for its next piece on a thread whenever the socket has room.
//!
//! Promises: the first piece is there before the answer's head, so a failure at the start is still an honest status; a later
//! one cuts the connection, and a short body never looks like a whole one; a receiver that goes ends the reading.
//! Never: reads further ahead than the common budget allows, or holds a thread while a socket is slow.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{Bridge, Parked, permits};
use crate::model::limits;
use crate::server::error::{Error, chain};
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
    /// Reads `pieces` on threads into a stream. Fails when the first piece does.
    pub async fn body_out<I>(&self, pieces: I, sizes: PieceSizes, request_id: &str) -> Result<Outflow, Error>
    where
        I: Iterator<Item = Result<Bytes, service::Error>> + Send + 'static,
    {
        let (pieces, first) = self.pull(Parked::new(pieces), sizes).await?;
        let (items, received) = mpsc::channel(sizes.waiting_max.max(1));
        let mut outflow = Outflow { items: received, current: None, sliced: VecDeque::new(), ended: first.is_none() };
        if let Some(first) = first {
            outflow.take(first);
            let pump = Pump { bridge: self.clone(), sizes, items, request_id: request_id.to_owned() };
            tokio::spawn(pump.run(pieces));
        }
        Ok(outflow)
    }

    /// One piece, with its permits reserved before it is read.
    async fn pull<I>(&self, pieces: Parked<I>, sizes: PieceSizes) -> Result<(Parked<I>, Option<Lent>), Error>
    where
        I: Iterator<Item = Result<Bytes, service::Error>> + Send + 'static,
    {
        let budget = self.shared.outgoing_bytes.clone();
        let reserved = budget.acquire_many_owned(permits(sizes.bytes_max));
        let reserved = tokio::time::timeout(limits::WORK_WAIT, reserved).await;
        let Ok(Ok(mut permit)) = reserved else { return Err(service::Error::Busy.into()) };
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
}

struct Pump {
    bridge: Bridge,
    sizes: PieceSizes,
    items: mpsc::Sender<Item>,
    request_id: String,
}

impl Pump {
    async fn run<I>(self, mut pieces: Parked<I>)
    where
        I: Iterator<Item = Result<Bytes, service::Error>> + Send + 'static,
    {
        while let Ok(place) = self.place().await {
            let pulled = tokio::select! {
                pulled = self.bridge.pull(pieces, self.sizes) => pulled,
                () = self.items.closed() => return,
            };
            let item = match pulled {
                Ok((rest, Some(lent))) => {
                    pieces = rest;
                    Item::Piece(lent)
                }
                Ok((_, None)) => return place.send(Item::End),
                Err(error) => {
                    tracing::error!(request_id = self.request_id, cause = chain(&error), "answer cut");
                    return;
                }
            };
            place.send(item);
        }
    }

    /// Room for a piece. When the budget is half used, only a download whose pieces were all taken reads on, so that slow ones
    /// do not read ahead at the cost of fast ones. Fails when the receiver is gone.
    async fn place(&self) -> Result<mpsc::Permit<'_, Item>, mpsc::error::SendError<()>> {
        if self.bridge.shared.outgoing_bytes.available_permits() < limits::DOWNLOAD_BYTES_WAITING_MAX / 2 {
            drop(self.items.reserve_many(self.items.max_capacity()).await?);
        }
        self.items.reserve().await
    }
}

/// A body on its way out; `Sync`, as warp wants it.
pub struct Outflow {
    items: mpsc::Receiver<Item>,
    /// The permits of the piece that is being sliced.
    current: Option<OwnedSemaphorePermit>,
    sliced: VecDeque<Bytes>,
    ended: bool,
}

impl Outflow {
    fn take(&mut self, lent: Lent) {
        let mut bytes = lent.bytes;
        while !bytes.is_empty() {
            self.sliced.push_back(bytes.split_to(bytes.len().min(limits::SOCKET_SLICE_BYTES)));
        }
        self.current = Some(lent.permit);
    }
}

impl Stream for Outflow {
    type Item = Result<Bytes, Cut>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(slice) = self.sliced.pop_front() {
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
