//! Starts the process that holds a data directory nobody serves.
//!
//! Promises: the holder outlives the pump and keeps nothing of it open, so that ssh and restic never wait for it; what stops it
//! from starting is handed to the pump that started it. Never: waits for a holder that has said that it serves.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::message::{self, NoMessage};
use crate::wire::preamble::Verdict;

/// Where a holder's log goes instead of the place its pump knows.
const LOG: &str = "RBACKUP_HOLDER_LOG";
/// A log of this size is set aside when the next holder starts; with what one holder may write that bounds both.
const LOG_BYTES_MAX: u64 = 1 << 20;

/// Starts a holder with these words and waits until it serves or says why not. A holder that ends without a word, because it
/// was killed, is an end of its stream.
pub fn start(words: &[OsString], log: Option<&Path>) -> io::Result<Verdict> {
    let log = match std::env::var_os(LOG) {
        Some(path) => Stdio::from(File::options().append(true).create(true).open(path)?),
        // Nobody asked for this one: a place where it cannot be is no reason not to hold.
        None => log.and_then(|path| kept(path).ok()).map_or_else(Stdio::null, Stdio::from),
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

/// The log at `path`, with the one before beside it.
fn kept(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    if fs::metadata(path).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
        fs::rename(path, path.with_extension("log.old"))?;
    }
    File::options().append(true).create(true).mode(0o600).open(path)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_log_that_has_grown_is_set_aside_once() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("state/holder.log");
        for _ in 0..3 {
            let mut log = kept(&path).expect("a log");
            log.write_all(&vec![b'x'; LOG_BYTES_MAX as usize + 1]).expect("written");
        }
        let sizes =
            ["holder.log", "holder.log.old"].map(|name| path.with_file_name(name).metadata().map(|log| log.len()).ok());
        assert_eq!(sizes, [Some(LOG_BYTES_MAX + 1); 2]);
        assert_eq!(home.path().join("state").read_dir().expect("a directory").count(), 2);
    }
}
