//! The command line's other end of a server's socket: what pumps restic's bytes to whoever holds the data directory, and what has
//! errands done there.
//!
//! Never: opens a store, or writes a byte of its own to stdout.

mod errand;
mod holder;
mod message;
mod pump;

use std::io;
use std::path::PathBuf;

use crate::wire::preamble::Unusable;

pub use self::errand::{Asked, ask, succeed};
pub use self::message::send as report;
pub use self::pump::{Pump, run};

/// Why a pump ended before its client did.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server, or the holder that was started, said no.
    #[error("{sentence}")]
    Refused {
        /// The exit code it asks for.
        exit: u8,
        /// Why.
        sentence: String,
    },
    /// The socket may not be used, or not reached.
    #[error("cannot reach the server of {}", data.display())]
    Unreachable {
        /// The data directory.
        data: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Somebody holds the data directory and does not answer.
    #[error("{} is in use by another process that answers nobody; `rbackup check` and the like hold it while they run", data.display())]
    Held {
        /// The data directory.
        data: PathBuf,
    },
    /// No process could be started to hold the data directory.
    #[error("cannot start a process that serves {}", data.display())]
    NoHolder {
        /// The data directory.
        data: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// What came over the socket was no answer.
    #[error("cannot talk to the server of {}: {why}", data.display())]
    Unclear {
        /// The data directory.
        data: PathBuf,
        /// What was wrong with it.
        why: Unusable,
    },
    /// The server went while its client was still there.
    #[error("the server closed the connection; what it had acknowledged is safe")]
    Gone,
}

/// No socket, no directory yet, or one that its maker left behind when it was killed.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
