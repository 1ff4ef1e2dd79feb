//! Where the log goes: stderr, whole, or up to a size where stderr is a file that nobody looks after.
//!
//! Never: prints what libraries parse, such as a query with a password in it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends the log to stderr. A second call changes nothing.
pub fn log_to_stderr(level: tracing::Level) {
    log_to_stderr_up_to(level, u64::MAX);
}

/// The same, and nothing any more after so many bytes.
pub fn log_to_stderr_up_to(level: tracing::Level, bytes_max: u64) {
    // Libraries print what they parse when they are asked for more than `info`: a query would reach the log.
    let libraries = level.min(tracing::Level::INFO);
    let targets = Targets::new().with_default(libraries).with_target("rbackup", level);
    let ansi = io::IsTerminal::is_terminal(&io::stderr());
    let left = Arc::new(AtomicU64::new(bytes_max));
    let writer = move || Bounded { to: io::stderr(), left: Arc::clone(&left) };
    let lines = tracing_subscriber::fmt::layer().with_ansi(ansi).with_target(false).with_writer(writer);
    let _ = tracing_subscriber::registry().with(lines.with_filter(targets)).try_init();
}

/// Writes what still fits, and swallows the rest.
struct Bounded<W> {
    to: W,
    left: Arc<AtomicU64>,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let less = |left: u64| left.checked_sub(bytes.len() as u64);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            self.to.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_log_ends_with_a_whole_line() {
        let left = Arc::new(AtomicU64::new(9));
        let mut written = Vec::new();
        for _ in 0..4 {
            let mut bounded = Bounded { to: &mut written, left: Arc::clone(&left) };
            bounded.write_all(b"line\n").expect("written");
        }
        assert_eq!(written, b"line\n");
    }
}
