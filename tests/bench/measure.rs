//! Large files: new, known, down again; bytes written and kept per byte; peak memory.

use crate::Options;
use crate::kit::api;
use crate::kit::http::Connection;
use crate::kit::ledger::PASSWORD;
use crate::kit::place::{self, Place};
use crate::kit::random::run_seed;
use crate::kit::server::{Server, Start};
use crate::kit::stream::{self, Noise};
use crate::report::Report;
use crate::throttle::Throttle;
use crate::trace;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// A server with one account and one device.
pub struct Bench {
    /// The process.
    pub server: Server,
    /// A live session.
    pub session: String,
    /// Its data directory.
    pub data: PathBuf,
}

impl Bench {
    /// Starts one, within a limit or not.
    pub fn start(data: &Path, throttle: Option<&Throttle>) -> Bench {
        Bench::over(Start::on(data).under(throttle.map(Throttle::wrapper).unwrap_or_default()), data)
    }

    fn over(start: Start, data: &Path) -> Bench {
        let server = start.serve().unwrap_or_else(|error| unreachable!("bench: {error}"));
        let mut wire = Connection::open(server.address).expect("connect");
        api::register(&mut wire, "anna", PASSWORD).expect("register");
        let session = api::login(&mut wire, "anna", PASSWORD, "laptop").expect("login").0;
        Bench { server, session, data: data.to_owned() }
    }

    fn upload(&self, file: &Path, path: &str) -> f64 {
        let url = format!("http://{}/upload?file_path={path}", self.server.address);
        let header = format!("RBackup-Session-Pass: {}", self.session);
        timed(Command::new("curl").args(["-sSf", "-o", "/dev/null", "-H", &header, "-T"]).arg(file).arg(url))
    }

    fn download(&self, version: u64) -> f64 {
        let url = format!("http://{}/download?file_version_id={version}", self.server.address);
        let header = format!("RBackup-Session-Pass: {}", self.session);
        timed(Command::new("curl").args(["-sSf", "-o", "/dev/null", "-H", &header, &url]))
    }
}

/// New and known data and downloads, unthrottled and throttled.
pub fn bulk(options: &Options, report: &mut Report) {
    let place = Place::on_disk("bench");
    let source = Place::in_memory("bench-source");
    let bytes = options.mib << 20;
    place::require_free(place.path(), bytes * (2 * options.pairs + 2) + (1 << 30));
    place::require_free(source.path(), bytes + (1 << 28));
    let file = source.path().join("noise");
    let seed = run_seed("bench");

    let bench = Bench::start(&place.path().join("data"), None);
    bench.server.reset_peak();
    let before = (bench.server.io_bytes("write_bytes"), place::allocated_bytes(&bench.data.join("volumes")));
    let pairs = new_data(options, &bench, &file, place.path(), None, seed);
    let sent = (bytes * options.pairs) as f64;
    let written = bench.server.io_bytes("write_bytes") - before.0;
    let kept = place::allocated_bytes(&bench.data.join("volumes")) - before.1;
    report.add("bytes written per byte stored (all files)", "", written as f64 / sent);
    report.add("bytes written per byte stored (volumes)", "", written_to_volumes(&file, bytes));
    report.add("bytes on disk per byte stored (volumes)", "", kept as f64 / sent);
    report.add_pairs("new data, unthrottled", "MB/s", "dd conv=fdatasync", &pairs);

    let known: Vec<(f64, f64)> = (0..options.pairs)
        .map(|number| {
            let ours = bench.upload(&file, &format!("/known-{number}"));
            (rate(bytes, ours), rate(bytes, timed(Command::new("openssl").args(["dgst", "-sha256"]).arg(&file))))
        })
        .collect();
    report.add_pairs("known data", "MB/s", "openssl dgst -sha256", &known);
    let down: Vec<(f64, f64)> = (0..options.pairs)
        .map(|number| {
            let ours = bench.download(number + 1);
            (
                rate(bytes, ours),
                rate(
                    bytes,
                    timed(Command::new("dd").arg(format!("if={}", file.display())).args(["of=/dev/null", "bs=1M"])),
                ),
            )
        })
        .collect();
    report.add_pairs("download", "MB/s", "dd to /dev/null", &down);
    report.add("peak memory in all of this", "MiB", mib(bench.server.memory_bytes("VmHWM")));
    drop(bench);

    match Throttle::on(place.path()) {
        Ok(throttle) => {
            let bench = Bench::start(&place.path().join("throttled"), Some(&throttle));
            let pairs = new_data(options, &bench, &file, place.path(), Some(&throttle), seed + options.pairs);
            report.add_pairs("new data, both throttled to 200 MB/s", "MB/s", "dd conv=fdatasync", &pairs);
        }
        Err(why) => eprintln!("bench: no common throttle: {why}"),
    }
}

/// What goes to volumes for a file that is new to a server, per byte of it, as strace sees it.
fn written_to_volumes(file: &Path, bytes: u64) -> f64 {
    let place = Place::on_disk("bench-strace");
    let out = place.path().join("trace");
    let calls = "trace=write,writev,pwrite64,pwritev,pwritev2";
    let words = ["strace", "-f", "-y", "-s", "0", "-e", calls, "-o", out.to_str().expect("a plain path")];
    let bench = Bench::over(Start::on(&place.path().join("data")).under(words), &place.path().join("data"));
    bench.upload(file, "/traced");
    bench.server.stop().expect("it stops when asked");
    trace::written_to_volumes(&std::fs::read_to_string(&out).expect("strace wrote a trace")) as f64 / bytes as f64
}

/// Pairs of the server and dd over the same new bytes, the first one in turns.
fn new_data(
    options: &Options,
    bench: &Bench,
    file: &Path,
    place: &Path,
    throttle: Option<&Throttle>,
    seed: u64,
) -> Vec<(f64, f64)> {
    let bytes = options.mib << 20;
    let measure = |number: u64| {
        let noise = Noise { seed: seed + number, bytes };
        noise.write(&mut File::create(file).expect("create the source")).expect("write the source");
        let ours = || rate(bytes, bench.upload(file, &format!("/new-{number}")));
        let theirs = || rate(bytes, dd(file, place, throttle));
        if number.is_multiple_of(2) {
            let first = ours();
            (first, theirs())
        } else {
            let first = theirs();
            (ours(), first)
        }
    };
    (0..options.pairs).map(measure).collect()
}

/// Copies a file with dd, within a limit or not, and syncs it; seconds.
pub fn dd(file: &Path, place: &Path, throttle: Option<&Throttle>) -> f64 {
    let copy = place.join("dd");
    let mut words = throttle.map(Throttle::wrapper).unwrap_or_default();
    words.extend([
        "dd".to_owned(),
        format!("if={}", file.display()),
        format!("of={}", copy.display()),
        "bs=1M".into(),
        "conv=fdatasync".into(),
    ]);
    let seconds = timed(Command::new(&words[0]).args(&words[1..]));
    std::fs::remove_file(&copy).expect("remove dd's copy");
    seconds
}

/// 5 GiB up and down: the peak.
pub fn memory(report: &mut Report) {
    let noise = Noise { seed: run_seed("bench, 5 GiB"), bytes: 5 << 30 };
    let place = Place::on_disk("bench-large");
    place::require_free(place.path(), noise.bytes + (1 << 30));
    let bench = Bench::start(&place.path().join("data"), None);
    let mut wire = Connection::open(bench.server.address).expect("connect");
    report.add("memory idle, new store", "MiB", mib(bench.server.memory_bytes("VmRSS")));
    bench.server.reset_peak();
    let listed = stream::upload_raw(&mut wire, &bench.session, "/large", noise)
        .unwrap_or_else(|failure| unreachable!("upload: {failure}"));
    report.add("peak memory, 5 GiB up", "MiB", mib(bench.server.memory_bytes("VmHWM")));
    bench.server.reset_peak();
    let got = api::download(&mut wire, &bench.session, listed.version)
        .unwrap_or_else(|failure| unreachable!("download: {failure}"));
    assert_eq!(got, (noise.bytes, listed.hash), "what came down is not what went up");
    report.add("peak memory, 5 GiB down", "MiB", mib(bench.server.memory_bytes("VmHWM")));
}

/// Runs a command that must succeed; seconds.
pub fn timed(command: &mut Command) -> f64 {
    let begun = Instant::now();
    let ran = command.output().unwrap_or_else(|error| unreachable!("{command:?}: {error}"));
    let seconds = begun.elapsed().as_secs_f64();
    assert!(ran.status.success(), "{command:?}: {}: {}", ran.status, String::from_utf8_lossy(&ran.stderr));
    seconds
}

/// MB/s.
pub fn rate(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / 1e6 / seconds
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
