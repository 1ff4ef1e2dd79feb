//! Stored bytes of any kind are read or refused: blocks, frames, volume headers, footers, manifests. What is read as a frame
//! is written again alike. `RBACKUP_FUZZ_PLANT=1` expects that nothing is ever read as a frame, which the target must refute.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rbackup::store::fuzzing;

static PLANTED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("RBACKUP_FUZZ_PLANT").is_some());

fuzz_target!(|bytes: &[u8]| {
    fuzzing::frame(bytes);
    let whole = fuzzing::with_hash(bytes);
    let hashed = whole.len() != bytes.len() || whole != bytes;
    let read = fuzzing::frame(&whole);
    assert!(read || !hashed, "a frame with the right hash is written again differently");
    assert!(!(*PLANTED && read), "planted: a frame was read");
});
