//! Errands to whoever has the data directory.
//!
//! Never: opens a store. Where nobody serves the data directory its caller does the errand.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::message::{self, NoMessage};
use super::{Error, is_nobody};
use crate::model::limits;
use crate::model::socket::{SOCKET, SocketAddress};
use crate::wire::errand::{Errand, Said};

/// Between two looks whether a holder has gone.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whether somebody did an errand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It was done.
    Done,
    /// Nobody listens.
    Nobody,
}

/// Asks whoever serves `data`; what is said, but for its end, goes to `hear`.
pub fn ask(data: &Path, errand: &Errand, hear: &mut dyn FnMut(Said)) -> Result<Asked, Error> {
    let unreachable = |source| Error::Unreachable { data: data.to_owned(), source };
    let connected = SocketAddress::new(data, SOCKET).and_then(|at| UnixStream::connect(at.path()));
    let mut stream = match connected {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(Asked::Nobody),
        Err(error) => return Err(unreachable(error)),
    };
    if matches!(errand, Errand::Leave {}) {
        stream.set_read_timeout(Some(limits::HOLDER_LEAVES)).map_err(unreachable)?;
    }
    match message::send(&mut stream, errand) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Asked::Nobody),
        Err(error) => return Err(unreachable(error)),
    }
    let mut begun = false;
    loop {
        match message::receive_up_to(&mut stream, limits::SAYING_BYTES_MAX) {
            Ok(Said::Done) => return Ok(Asked::Done),
            Ok(Said::Refused { exit, sentence }) => return Err(Error::Refused { exit, sentence }),
            Ok(said) => hear(said),
            // A holder that was just ending has done nothing yet.
            Err(lost) if lost.is_end() && !begun => return Ok(Asked::Nobody),
            Err(NoMessage::Lost(_)) => return Err(Error::Gone),
            Err(NoMessage::Unusable(why)) => return Err(Error::Unclear { data: data.to_owned(), why }),
        }
        begun = true;
    }
}

/// Asks a holder to leave, and waits for that. False when it is none, or still has work to do.
pub fn succeed(data: &Path) -> bool {
    let until = Instant::now() + limits::HOLDER_LEAVES;
    loop {
        match ask(data, &Errand::Leave {}, &mut drop) {
            Ok(Asked::Nobody) => return true,
            Ok(Asked::Done) if Instant::now() < until => std::thread::sleep(LOOK_EVERY),
            Ok(Asked::Done) | Err(_) => return false,
        }
    }
}
