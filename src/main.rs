//! The binary: one result to one exit code.

use std::process::ExitCode;

use rbackup::cli;

/// Uses large blocks again, within a bound; the rest goes back to the system at once.
#[global_allocator]
static ALLOCATOR: rbackup::app::Reuse = rbackup::app::Reuse;

/// mimalloc's option 15, the milliseconds after which freed memory goes back to the system, and our choice: at once. A delay bounds
/// a time and not a number of bytes: with the default of a second, moving 5 GiB held 320 MiB, with 10 ms 200, with this 130.
const PURGE_DELAY: (libmimalloc_sys::mi_option_t, std::ffi::c_long) = (15, 0);

fn main() -> ExitCode {
    // SAFETY: sets one integer of mimalloc's under its own lock-free protocol, before any thread of ours exists.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY.0, PURGE_DELAY.1);
    }
    rbackup::app::keep_rights();
    // What is made here is for the owner's eyes only.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    match cli::run(std::env::args_os().collect()) {
        Ok(code) => code,
        Err(failure) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "rbackup: {}", failure.chain());
            failure.code()
        }
    }
}
