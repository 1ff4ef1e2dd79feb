//! Opening a sled database the one way that is safe with 0.34.7: alone, without its flusher thread, after clearing what a crash left of
//! its snapshots, and patient with a lock that is given back a moment late.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::shape::Segment;

/// sled gives its lock back a moment after the last handle went.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// Why it did not open.
pub enum NotOpen {
    /// sled's answer.
    Refused(sled::Error),
    /// sled panicked.
    Panicked(Box<dyn Any + Send>),
}

/// Opens or makes the database in `dir`.
pub fn open(dir: &Path, segment: Segment, cache_bytes: u64) -> Result<sled::Db, NotOpen> {
    let config = sled::Config::new()
        .path(dir)
        .segment_size(segment.bytes() as usize)
        .cache_capacity(cache_bytes)
        .flush_every_ms(None);
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(sled::Error::Io(error))) if is_lock(&error) && Instant::now() < deadline => sleep(LOCK_PAUSE),
            Ok(Err(error)) => return Err(NotOpen::Refused(error)),
            Err(panic) => return Err(NotOpen::Panicked(panic)),
        }
    }
}

/// sled words its lock error itself, with the kind `Other`.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("lock")
}
