//! Remembers panics instead of printing them: sled's own are expected and caught, a panic in our own code never is.

use std::sync::{Mutex, PoisonError};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From here on panics are remembered.
pub fn remember() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        let text = panic.payload_as_str().unwrap_or("no text").to_owned();
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{place} in thread {thread}: {text}"));
    }));
}

/// Forgets what was seen.
pub fn forget() {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// All panics seen.
pub fn all() -> Vec<String> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The panics that began in our own code: the compiler names its files from the top of the package.
pub fn our_own() -> Vec<String> {
    let own = all().into_iter().filter(|panic| panic.starts_with("src/") || panic.starts_with("tests/"));
    own.map(|panic| format!("a panic at {panic}")).collect()
}
