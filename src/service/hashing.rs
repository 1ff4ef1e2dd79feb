//! The hashes of a whole content while it comes in: beside everything else once it is large. Never keeps more than two pieces of it.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::error::Error;
use crate::chunk::id::{ContentHash, ContentHasher};

/// From so many bytes on the SHA-256 runs on a thread of its own: it costs as much as all the rest.
const PARALLEL_FROM_BYTES: u64 = 1 << 20;
/// Pieces on their way to that thread; each is a part of the request's body.
const PIECES_AHEAD: usize = 2;

/// Where SHA-256 and CRC-32 of the whole content are computed.
pub enum Hashing {
    /// On the upload's own thread, for small files: starting another costs more.
    Here(Box<ContentHasher>),
    /// On a second thread.
    There(SyncSender<Bytes>, JoinHandle<ContentHasher>),
}

impl Default for Hashing {
    fn default() -> Self {
        Self::Here(Box::default())
    }
}

impl Hashing {
    /// Takes the next bytes; `size` is the length of all so far.
    pub fn update(&mut self, bytes: &Bytes, size: u64) -> Result<(), Error> {
        if let Self::Here(hasher) = self {
            hasher.update(bytes);
            if size >= PARALLEL_FROM_BYTES {
                *self = Self::elsewhere(std::mem::take(hasher))?;
            }
            return Ok(());
        }
        match self {
            Self::There(pieces, _) => pieces.send(bytes.clone()).map_err(|_| lost_thread()),
            Self::Here(_) => Ok(()),
        }
    }

    fn elsewhere(mut hasher: Box<ContentHasher>) -> Result<Self, Error> {
        let (pieces, inbox) = sync_channel::<Bytes>(PIECES_AHEAD);
        let work = move || {
            inbox.iter().for_each(|piece| hasher.update(&piece));
            *hasher
        };
        let thread = thread::Builder::new().name("sha256".to_owned()).spawn(work);
        Ok(Self::There(pieces, thread.map_err(|error| Error::Internal(Box::new(error)))?))
    }

    /// The hash of all bytes.
    pub fn finish(self) -> Result<ContentHash, Error> {
        match self {
            Self::Here(hasher) => Ok(hasher.finish()),
            Self::There(pieces, thread) => {
                drop(pieces);
                Ok(thread.join().map_err(|_| lost_thread())?.finish())
            }
        }
    }
}

fn lost_thread() -> Error {
    Error::Internal("the hashing thread ended early".into())
}
