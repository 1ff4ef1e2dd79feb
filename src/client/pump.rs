//! stdin and stdout on one side, the socket of whoever holds the data directory on the other.
//!
//! Promises: the rights of the connection are said before the first byte of the client; stdout carries what the server sends and
//! nothing else; two buffers are all it holds; it ends with its client. Any number of pumps may come at once: those whose holder
//! finds the data directory taken connect to the one that took it. Never: reads stdin before it was accepted.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::message::{self, NoMessage};
use super::{Error, holder, is_nobody};
use crate::model::limits;
use crate::model::socket::{SOCKET, SocketAddress};
use crate::wire::preamble::{Preamble, Verdict};

/// What the server gets to say after its client's end; restic waits for nothing more then.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// Between two attempts, the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// What a pump is to do.
pub struct Pump {
    /// The data directory, absolute.
    pub data: PathBuf,
    /// What it says first.
    pub preamble: Preamble,
    /// The words that make this program a holder of that directory.
    pub holder: Vec<OsString>,
    /// Where that one's log goes.
    pub log: Option<PathBuf>,
}

/// Pumps until the client ends. `note` gets sentences for its user.
pub fn run(pump: &Pump, note: &dyn Fn(&str)) -> Result<(), Error> {
    let ours = |source| Error::Unreachable { data: pump.data.clone(), source };
    let input = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(ours)?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned().map_err(ours)?);
    let stream = pump.reach(note)?;
    let returned = stream.try_clone().map_err(ours)?;
    relay(input, output, stream, returned)
}

/// What knocking at the socket can lead to.
enum Knocked {
    In(UnixStream, Option<String>),
    /// Nobody listens.
    Nobody,
}

impl Pump {
    /// A connection that was accepted, to a holder of our own where there is nobody.
    fn reach(&self, note: &dyn Fn(&str)) -> Result<UnixStream, Error> {
        let deadline = Instant::now() + limits::PUMP_PATIENCE;
        let mut pause = PAUSES.0;
        let mut told = false;
        loop {
            if let Knocked::In(stream, said) = self.knock()? {
                if let Some(sentence) = said {
                    note(&sentence);
                }
                return Ok(stream);
            }
            if self.start_holder()? {
                pause = PAUSES.0;
                continue;
            }
            if Instant::now() >= deadline {
                return Err(Error::Held { data: self.data.clone() });
            }
            thread::sleep(pause);
            if pause == PAUSES.1 && !std::mem::replace(&mut told, true) {
                note("another process has the data directory; waiting for it to serve or to end");
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn knock(&self) -> Result<Knocked, Error> {
        let unreachable = |source| Error::Unreachable { data: self.data.clone(), source };
        let connected = SocketAddress::new(&self.data, SOCKET).and_then(|at| UnixStream::connect(at.path()));
        let mut stream = match connected {
            Ok(stream) => stream,
            Err(error) if is_nobody(&error) => return Ok(Knocked::Nobody),
            Err(error) => return Err(unreachable(error)),
        };
        stream.set_read_timeout(Some(limits::PUMP_PATIENCE)).map_err(unreachable)?;
        let answered = match message::send(&mut stream, &self.preamble) {
            Ok(()) => message::receive(&mut stream),
            Err(error) => Err(NoMessage::Lost(error)),
        };
        match answered {
            Ok(Verdict::Accepted { note }) => {
                stream.set_read_timeout(None).map_err(unreachable)?;
                Ok(Knocked::In(stream, note))
            }
            Ok(Verdict::Refused { exit, sentence }) => Err(Error::Refused { exit, sentence }),
            Ok(Verdict::Held) => Ok(Knocked::Nobody),
            // One that was just ending; nothing of the client was sent yet.
            Err(lost) if lost.is_end() => Ok(Knocked::Nobody),
            Err(NoMessage::Lost(error)) => Err(unreachable(error)),
            Err(NoMessage::Unusable(why)) => Err(Error::Unclear { data: self.data.clone(), why }),
        }
    }

    /// Whether a holder serves now; false when another process has the data directory and may come to serve it.
    fn start_holder(&self) -> Result<bool, Error> {
        match holder::start(&self.holder, self.log.as_deref()) {
            Ok(Verdict::Accepted { .. }) => Ok(true),
            Ok(Verdict::Held) => Ok(false),
            Ok(Verdict::Refused { exit, sentence }) => Err(Error::Refused { exit, sentence }),
            // Killed while it started: the next one tries again.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(source) => Err(Error::NoHolder { data: self.data.clone(), source }),
        }
    }
}

/// Which side ended first.
enum Ended {
    /// The client: it said all it had to say, or takes nothing any more.
    Client,
    /// The server.
    Server,
}

/// Copies both ways until one side ends.
fn relay(input: File, output: File, stream: UnixStream, returned: UnixStream) -> Result<(), Error> {
    let (say, hear) = mpsc::channel();
    let up = say.clone();
    let mut upward = stream.try_clone().map_err(|_| Error::Gone)?;
    thread::spawn(move || {
        let copied = copy(input, &mut upward);
        let _ = up.send(if copied.is_err_and(|side| side == Side::Write) { Ended::Server } else { Ended::Client });
    });
    thread::spawn(move || {
        let mut output = output;
        let copied = copy(returned, &mut output);
        let _ = say.send(if copied.is_err_and(|side| side == Side::Write) { Ended::Client } else { Ended::Server });
    });
    match hear.recv() {
        Ok(Ended::Client) => {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = hear.recv_timeout(LAST_WORDS);
            Ok(())
        }
        // A client that has just ended makes the server end too; who was seen first is chance.
        _ => match hear.recv_timeout(LAST_WORDS) {
            Ok(Ended::Client) => Ok(()),
            _ => Err(Error::Gone),
        },
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Side {
    Read,
    Write,
}

/// Copies until the end; the error says which side failed.
fn copy(mut from: impl Read, to: &mut impl Write) -> Result<(), Side> {
    let mut buf = vec![0; limits::PUMP_BYTES];
    loop {
        match from.read(&mut buf) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buf[..read]).map_err(|_| Side::Write)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(Side::Read),
        }
    }
}
