//! What RBackup costs beside what the machine can do at all, measured in turns.
//!
//! Every rate stands beside the same bytes through the plainest tool (dd, openssl, an append loop), run just before or
//! after it, because a disk's speed wanders from minute to minute. Nothing here fails because something was slow.
//!
//! `tests/bench/run [--mib N] [--pairs N] [--large] [--restic RCLONE] [--part NAME] [--json FILE]`

#[path = "../kit/mod.rs"]
mod kit;

mod distance;
mod measure;
mod objects;
mod peer;
mod report;
mod restic;
mod small;
mod throttle;
mod watched;

#[path = "../sync/trace.rs"]
mod trace;

use peer::Peer;
use report::Report;
use std::io::Write;
use std::path::{Path, PathBuf};

/// One way of comparing two servers.
type Compare = fn(&Options, &Peer, &Peer, &mut Report);

/// What is measured with restic.
const PARTS: [(&str, Compare); 3] =
    [("tree", restic::compare), ("objects", objects::compare), ("distance", distance::compare)];

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
    /// Only this part of what is measured with restic.
    pub part: Option<String>,
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
        eprintln!(
            "usage: tests/bench/run [--mib N] [--pairs N] [--large] [--restic [--part tree|objects|distance]] [--json FILE]"
        );
        std::process::exit(2);
    };
    let mut report = Report::default();
    report.add("load of the machine before", "", load());
    match &options.restic {
        Some(rclone) => beside_rclone(&options, rclone, &mut report),
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

/// Runs that others on the machine have disturbed are told apart by it.
fn load() -> f64 {
    let said = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    said.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

fn beside_rclone(options: &Options, rclone: &Path, report: &mut Report) {
    let (ours, theirs) = (Peer::ours(), Peer::rclone(rclone));
    for (name, compare) in PARTS {
        if options.part.as_deref().is_none_or(|part| part == name) {
            compare(options, &ours, &theirs, report);
        }
    }
}

fn parse(words: &[String]) -> Option<Options> {
    let mut options = Options { mib: 1024, pairs: 3, large: false, restic: None, part: None, json: None };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--bench" => {}
            "--large" => options.large = true,
            "--mib" => options.mib = rest.next()?.parse().ok()?,
            "--pairs" => options.pairs = rest.next()?.parse().ok().filter(|pairs| *pairs > 0)?,
            "--restic" => options.restic = Some(rest.next()?.into()),
            "--part" => {
                options.part = Some(rest.next().filter(|word| PARTS.iter().any(|part| part.0 == **word))?.clone())
            }
            "--json" => options.json = Some(rest.next()?.clone()),
            _ => return None,
        }
    }
    Some(options)
}
