//! Starts the process that holds a data directory nobody serves.
//!
//! Promises: the holder outlives the pump and keeps nothing of it open, so that ssh and restic never wait for it; what stops it
//! from starting is handed to the pump that started it. Never: waits for a holder that has said that it serves.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::message::{self, NoMessage};
use crate::wire::preamble::Verdict;

/// Where a holder's log goes, for whoever looks for an error; nowhere without it.
const LOG: &str = "RBACKUP_HOLDER_LOG";

/// Starts a holder with these words and waits until it serves or says why not. A holder that ends without a word, because it
/// was killed, is an end of its stream.
pub fn start(words: &[OsString]) -> io::Result<Verdict> {
    let log = match std::env::var_os(LOG) {
        Some(path) => Stdio::from(File::options().append(true).create(true).open(path)?),
        None => Stdio::null(),
    };
    keep_to_ourselves();
    // Also when the file was replaced by a newer release meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("rbackup").args(words).current_dir(Path::new("/"));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
    let Some(mut said) = child.stdout.take() else { return Err(io::Error::from(io::ErrorKind::BrokenPipe)) };
    match message::receive(&mut said) {
        Ok(Verdict::Accepted { note }) => Ok(Verdict::Accepted { note }),
        Ok(refused) => {
            let _ = child.wait();
            Ok(refused)
        }
        Err(NoMessage::Lost(error)) => {
            let _ = child.wait();
            Err(error)
        }
        Err(NoMessage::Unusable(why)) => Err(io::Error::other(why)),
    }
}

/// Descriptors that the pump inherited, such as a script's pipe, must not live on in a holder: whoever waits for their end would
/// wait for it.
fn keep_to_ourselves() {
    // SAFETY: marks descriptors to be closed by exec and touches no memory; none of them is closed in this process.
    #[allow(unsafe_code)]
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}
