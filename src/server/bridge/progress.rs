//! What a client took of an answer, and in what slices it gets it.
//!
//! Never: holds a byte of the answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::limits;
use crate::server::request::Connection;

/// How a piece is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slicing {
    /// As it is: what is not taken goes with the connection.
    Borrowed,
    /// Copied: hyper may keep a slice for long after the rest of its piece was given back.
    Copied,
}

impl Slicing {
    /// For answers over `connection`.
    pub fn on(connection: &Connection) -> Self {
        if connection.is_shared() { Self::Copied } else { Self::Borrowed }
    }

    /// The longest slice.
    pub fn bytes(self) -> usize {
        match self {
            Self::Borrowed => limits::SOCKET_SLICE_BYTES,
            Self::Copied => limits::STREAM_SLICE_BYTES,
        }
    }

    /// A slice as hyper gets it.
    pub fn hand_out(self, slice: Bytes) -> Bytes {
        match self {
            Self::Borrowed => slice,
            Self::Copied => Bytes::copy_from_slice(&slice),
        }
    }
}

/// What the client took of what was read, in slices.
pub struct Progress {
    slicing: Slicing,
    put: AtomicUsize,
    taken: AtomicUsize,
    /// When it last took something, or first had something to take.
    moved: Mutex<Option<Instant>>,
    emptied: Notify,
}

impl Progress {
    /// Nothing yet.
    pub fn new(slicing: Slicing) -> Self {
        let (put, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { slicing, put, taken, moved: Mutex::new(None), emptied: Notify::new() }
    }

    /// A piece of so many bytes waits for the client.
    pub fn put(&self, bytes: usize) {
        if self.waiting() == 0 {
            self.moves();
        }
        self.put.fetch_add(bytes.div_ceil(self.slicing.bytes()), Ordering::Relaxed);
    }

    /// The client took a slice.
    pub fn take_one(&self) {
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
    pub fn waits_since(&self) -> Option<Instant> {
        if self.waiting() == 0 {
            return None;
        }
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when nothing waits for the client.
    pub async fn all_taken(&self) {
        while self.waiting() > 0 {
            self.emptied.notified().await;
        }
    }
}
