//! What RBackup costs beside what the machine can do at all, measured in turns.
//!
//! Every rate stands beside the same bytes through the plainest tool (dd, openssl, an append loop), run just before or
//! after it, because a disk's speed wanders from minute to minute. Nothing here fails because something was slow.
//!
//! `tests/bench/run [--mib N] [--pairs N] [--large] [--restic RCLONE] [--json FILE]`

#[path = "../kit/mod.rs"]
mod kit;
mod measure;
mod report;
mod restic;
mod small;
mod throttle;
mod watched;

use report::Report;
use std::io::Write;
use std::path::PathBuf;

/// What the command line said.
pub struct Options {
    /// Size of one sample.
    pub mib: u64,
    /// Pairs of server and plain tool.
    pub pairs: u64,
    /// Also 5 GiB, for peak memory.
    pub large: bool,
    /// Only restic, beside this rclone.
    pub restic: Option<PathBuf>,
    /// Where the figures go.
    pub json: Option<String>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if !words.iter().any(|word| word == "--bench") {
        eprintln!("bench: only under `cargo bench` (or tests/bench/run)");
        return;
    }
    let Some(options) = parse(&words) else {
        eprintln!("usage: tests/bench/run [--mib N] [--pairs N] [--large] [--restic] [--json FILE]");
        std::process::exit(2);
    };
    let mut report = Report::default();
    match &options.restic {
        Some(rclone) => restic::compare(&options, rclone, &mut report),
        None => {
            measure::bulk(&options, &mut report);
            small::files(&options, &mut report);
        }
    }
    if options.large {
        measure::memory(&mut report);
    }
    std::io::stdout().write_all(report.table().as_bytes()).expect("write to stdout");
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()).expect("write the JSON file");
    }
}

fn parse(words: &[String]) -> Option<Options> {
    let mut options = Options { mib: 1024, pairs: 3, large: false, restic: None, json: None };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--bench" => {}
            "--large" => options.large = true,
            "--mib" => options.mib = rest.next()?.parse().ok()?,
            "--pairs" => options.pairs = rest.next()?.parse().ok().filter(|pairs| *pairs > 0)?,
            "--restic" => options.restic = Some(rest.next()?.into()),
            "--json" => options.json = Some(rest.next()?.clone()),
            _ => return None,
        }
    }
    Some(options)
}
