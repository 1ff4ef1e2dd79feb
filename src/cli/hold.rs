//! `rbackup hold`, which nobody types: what a pump starts when nobody serves the data directory.
//!
//! Promises: it belongs to no terminal and to no session of anybody; its first and only words on stdout are the report to its
//! pump, after which all three standard streams lead nowhere.

use std::fs::File;
use std::io;
use std::process::ExitCode;

use super::{Common, Failure};
use crate::app;
use crate::client;
use crate::model::limits;
use crate::wire::preamble::Verdict;

#[derive(Debug, clap::Args)]
pub struct HoldArgs {
    #[command(flatten)]
    common: Common,
}

pub fn run(args: HoldArgs) -> Result<ExitCode, Failure> {
    // Who is the leader of its group already is not started by a pump.
    let _ = rustix::process::setsid();
    let held = args.common.load(Vec::new(), false).and_then(|config| {
        app::log_to_stderr_up_to(config.log_level, limits::HOLDER_LOG_BYTES_MAX);
        Ok(app::hold(&config, || report(&Verdict::Accepted { note: None }))?)
    });
    if let Err(failure) = &held {
        report(&verdict(failure));
    }
    held.map(|()| ExitCode::SUCCESS)
}

fn verdict(failure: &Failure) -> Verdict {
    match failure {
        Failure::App(error) if error.is_in_use() => Verdict::Held,
        failure => Verdict::Refused { exit: failure.number(), sentence: failure.chain() },
    }
}

/// A pump that has gone meanwhile is no reason to go too: others may be on their way.
fn report(verdict: &Verdict) {
    let _ = client::report(&mut io::stdout().lock(), verdict);
    if let Ok(nowhere) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(nowhere);
    }
}
