//! One file larger than any memory.
//!
//! 5 GiB of noise go up as a raw body, the same bytes again from a second device as a form, and come down again; the
//! server's peak memory is looked at after each. What it catches: a body, a chunk list or a download that grows with the
//! file; a known file that is stored twice; a byte changed anywhere in 5 GiB.
//!
//! `RBACKUP_LARGE_MIB` (5120), `RBACKUP_SEED`, `RBACKUP_TEST_DIR`. Times are printed and never judged.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness stops where it finds something wrong")]

mod kit;

use kit::api;
use kit::http::Connection;
use kit::ledger::PASSWORD;
use kit::place::{self, Place};
use kit::random::{run_seed, setting};
use kit::server::{Server, Start};
use kit::stream::{self, Noise};
use std::time::Instant;

/// What the server may take at its peak.
const MEMORY_MAX_BYTES: u64 = 192 << 20;

#[test]
fn a_large_file_needs_little_memory() {
    let noise = Noise { seed: run_seed("large"), bytes: setting("RBACKUP_LARGE_MIB", 5 << 10) << 20 };
    let place = Place::on_disk("large");
    place::require_free(place.path(), noise.bytes + noise.bytes / 50 + (1 << 30));
    let data = place.path().join("data");
    let server = Start::on(&data).serve().expect("a first start");
    let mut wire = Connection::open(server.address).expect("connect");
    api::register(&mut wire, "anna", PASSWORD).expect("register");
    let laptop = api::login(&mut wire, "anna", PASSWORD, "laptop").expect("login").0;
    let desktop = api::login(&mut wire, "anna", PASSWORD, "desktop").expect("login").0;
    let volumes = data.join("volumes");

    let sent = stage(&server, "new, raw body", noise.bytes, || {
        stream::upload_raw(&mut wire, &laptop, "/disk.img", noise).expect("upload")
    });
    let stored = place::allocated_bytes(&volumes);
    assert_eq!(sent.size, noise.bytes, "the server counted otherwise");

    let again = stage(&server, "known, form", noise.bytes, || {
        stream::upload_form(&mut wire, &desktop, "/disk.img", noise).expect("upload")
    });
    let grown = place::allocated_bytes(&volumes).saturating_sub(stored);
    assert_eq!(again.hash, sent.hash, "the same bytes have another hash");
    assert!(grown < noise.bytes / 100 + (8 << 20), "known data made the volumes grow by {} MiB", grown >> 20);

    let got =
        stage(&server, "download", noise.bytes, || api::download(&mut wire, &laptop, sent.version).expect("download"));
    assert_eq!(got, (noise.bytes, sent.hash.clone()), "the download is not what was sent");
    assert_eq!(sent.hash, noise.sha256(), "the server's hash is not ours");
    eprintln!("large: {:.3} bytes on disk per byte stored (volumes)", stored as f64 / noise.bytes as f64);
    assert!(
        stored < noise.bytes / 100 * 103,
        "about one byte on disk per byte stored, not {stored} for {}",
        noise.bytes
    );
    assert!(server.stop().expect("it stops when asked").success());
}

/// Runs one stage, prints its rate, and holds the server's peak memory in it against the bound.
fn stage<T>(server: &Server, name: &str, bytes: u64, run: impl FnOnce() -> T) -> T {
    server.reset_peak();
    let begun = Instant::now();
    let result = run();
    let seconds = begun.elapsed().as_secs_f64();
    let peak = server.memory_bytes("VmHWM");
    eprintln!("large: {name}: {seconds:.1} s, {:.0} MB/s, peak {} MiB", bytes as f64 / 1e6 / seconds, peak >> 20);
    assert!(peak > 0, "the server's memory cannot be read");
    assert!(peak < MEMORY_MAX_BYTES, "{name}: peak {} MiB, allowed {} MiB", peak >> 20, MEMORY_MAX_BYTES >> 20);
    result
}
