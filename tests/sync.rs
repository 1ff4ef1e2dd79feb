//! The sync before the promise, seen from outside.
//!
//! strace watches a server take one upload from curl. Between the last write to the volume and the 200 there must be an
//! fdatasync of that volume's `db`. Then the same with the sync taken away, in two ways, and the check must turn red:
//! otherwise it would never have noticed.
//!
//! Needs strace and curl. Works on static and dynamic builds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness stops where it finds something wrong")]

mod kit;
#[path = "sync/mod.rs"]
mod parts;

use kit::place::Place;
use kit::random::{Random, run_seed, sha256_hex};
use kit::server::{Server, Start};
use parts::trace::{verdict, written_to_volumes};
use std::path::Path;
use std::process::Command;

#[test]
fn a_version_is_synced_before_its_200() {
    let place = Place::on_disk("sync");
    let trace = trace_one_upload(place.path(), &[]);
    let synced = verdict(&trace).unwrap_or_else(|wrong| panic!("{wrong}\n{}", relevant(&trace)));
    eprintln!("sync: {} writes to {} volume(s), synced before the 200", synced.writes, synced.volumes);

    let without: Vec<&str> = trace.lines().filter(|line| !line.contains("fdatasync")).collect();
    let wrong = verdict(&without.join("\n")).expect_err("the trace without its fdatasyncs passes");
    eprintln!("planted, lines removed: {wrong}");
}

/// strace answers every fdatasync itself: the server believes it, the check must not.
#[test]
fn a_dropped_fdatasync_is_noticed() {
    let place = Place::on_disk("sync-dropped");
    let trace = trace_one_upload(place.path(), &["-e", "inject=fdatasync:retval=0"]);
    assert!(trace.contains("(INJECTED)"), "strace dropped no fdatasync:\n{}", relevant(&trace));
    let wrong = verdict(&trace).expect_err("a server whose fdatasyncs are dropped passes");
    eprintln!("planted, calls dropped: {wrong}");
}

/// Sled writes what it is given once; what it is given beside the content are headers of frames and blocks.
#[test]
fn a_stored_byte_is_written_to_a_volume_once() {
    let place = Place::on_disk("sync-once");
    let bytes = 128 << 20;
    let trace = trace_an_upload(place.path(), &[], bytes);
    let ratio = |trace: &str| written_to_volumes(trace) as f64 / bytes as f64;
    // Small groups, as a slow disk makes them, cost a little more.
    let once = |ratio: f64| (1.0..1.15).contains(&ratio);
    eprintln!("sync: {:.3} bytes written to volumes per byte stored", ratio(&trace));
    assert!(once(ratio(&trace)), "{}", ratio(&trace));
    let twice = trace.clone() + &trace;
    assert!(!once(ratio(&twice)), "planted, everything written twice: {}", ratio(&twice));
}

fn trace_one_upload(place: &Path, inject: &[&str]) -> String {
    trace_an_upload(place, inject, 3 << 20)
}

fn trace_an_upload(place: &Path, inject: &[&str], bytes: usize) -> String {
    let out = place.join("trace");
    let out_text = out.to_str().expect("a plain path");
    let calls = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fdatasync,fsync,sync_file_range";
    let strace = ["strace", "-f", "-y", "-s", "48", "-o", out_text, "-e", calls];
    let words = strace.iter().chain(inject).copied();
    let server =
        Start::on(&place.join("data")).under(words).serve().unwrap_or_else(|error| panic!("under strace: {error}"));
    upload_with_curl(place, &server, bytes);
    server.stop().expect("it stops when asked");
    std::fs::read_to_string(&out).expect("strace wrote a trace")
}

fn upload_with_curl(place: &Path, server: &Server, length: usize) {
    let url = format!("http://{}", server.address);
    let who = ["-d", "username=anna", "-d", "password=correct horse battery staple"];
    assert_eq!(curl(&[&who[..], &[&format!("{url}/account/register")]].concat()).0, "201");
    let (status, body) = curl(&[&who[..], &["-d", "device_id=laptop", &format!("{url}/account/login")]].concat());
    assert_eq!(status, "201", "{body}");
    let session: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let session = format!("RBackup-Session-Pass: {}", session["session_id"].as_str().expect("a session_id"));

    let mut bytes = vec![0; length];
    Random::new(run_seed("sync")).fill(&mut bytes);
    let file = place.join("file");
    std::fs::write(&file, &bytes).expect("write the file to upload");
    let parts = [format!("file=@{}", file.display()), format!("file-hash={}", sha256_hex(&bytes))];
    let target = format!("{url}/upload?file_path=/etc/hosts");
    let (status, body) = curl(&["-H", &session, "-F", &parts[0], "-F", &parts[1], &target]);
    assert_eq!(status, "200", "{body}");
}

/// Status and body.
fn curl(words: &[&str]) -> (String, String) {
    let ran = Command::new("curl").args(["-sS", "-w", "\n%{http_code}"]).args(words).output().expect("curl runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let (body, status) = said.rsplit_once('\n').expect("a status line");
    (status.to_owned(), body.to_owned())
}

/// The lines a person needs to see.
fn relevant(trace: &str) -> String {
    let wanted = |line: &&str| line.contains("/volumes/") || line.contains("HTTP/1.1");
    let lines: Vec<&str> = trace.lines().filter(wanted).collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
