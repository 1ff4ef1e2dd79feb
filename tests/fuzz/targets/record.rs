//! Records and marks of any bytes are read or refused, and what is read gives rows and can be written and read again.
//! `RBACKUP_FUZZ_PLANT=1` expects that nothing is ever read as a record, which the target must refute.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rbackup::store::fuzzing;

static PLANTED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("RBACKUP_FUZZ_PLANT").is_some());

fuzz_target!(|bytes: &[u8]| {
    match fuzzing::record(bytes) {
        None => {}
        Some(alike) => {
            assert!(alike, "a record is written again to something else");
            assert!(!*PLANTED, "planted: a record was read");
        }
    }
});
