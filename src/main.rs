//! The binary: one result to one exit code.

use std::process::ExitCode;

use clap::Parser;
use rbackup::cli::{self, Cli};

/// Gives freed memory back to the system soon, which sled's large buffers need.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // What is made here is for the owner's eyes only.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    match cli::run(Cli::parse()) {
        Ok(code) => code,
        Err(failure) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "rbackup: {}", failure.chain());
            failure.code()
        }
    }
}
