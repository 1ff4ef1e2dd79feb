//! Small files: 4 KiB uploads over eight kept-alive connections, beside a loop that appends 4 KiB and syncs.

use crate::Options;
use crate::kit::api;
use crate::kit::http::Connection;
use crate::kit::place::Place;
use crate::kit::random::{Random, run_seed};
use crate::measure::Bench;
use crate::report::Report;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CONNECTIONS: u64 = 8;
const TIME: Duration = Duration::from_secs(4);

/// The pairs, in turns.
pub fn files(options: &Options, report: &mut Report) {
    let place = Place::on_disk("bench-small");
    let bench = Bench::start(&place.path().join("data"), None);
    let mut seed = run_seed("bench, small files");
    let mut measure = |_| {
        seed += CONNECTIONS;
        (uploads(&bench, seed), appends(place.path()))
    };
    let pairs: Vec<(f64, f64)> = (0..options.pairs).map(&mut measure).collect();
    report.add_pairs("4 KiB uploads, 8 connections", "/s", "4 KiB append + fdatasync", &pairs);
    report.add("peak memory with them", "MiB", bench.server.memory_bytes("VmHWM") as f64 / f64::from(1 << 20));
}

fn uploads(bench: &Bench, seed: u64) -> f64 {
    let done = AtomicU64::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let done = &done;
            scope.spawn(move || {
                let mut wire = Connection::open(bench.server.address).expect("connect");
                let (mut random, mut bytes) = (Random::new(seed + number), vec![0; 4096]);
                while begun.elapsed() < TIME {
                    random.fill(&mut bytes);
                    let path = format!("/small/{number}/{}", random.next());
                    api::upload(&mut wire, &bench.session, &path, None, &bytes)
                        .unwrap_or_else(|failure| unreachable!("upload: {failure}"));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

fn appends(place: &Path) -> f64 {
    let path = place.join("appended");
    let mut file = File::create(&path).expect("create a file");
    let (mut random, mut bytes) = (Random::new(1), vec![0; 4096]);
    let (begun, mut done) = (Instant::now(), 0_u64);
    while begun.elapsed() < TIME {
        random.fill(&mut bytes);
        file.write_all(&bytes).expect("append");
        file.sync_data().expect("fdatasync");
        done += 1;
    }
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    std::fs::remove_file(&path).expect("remove the file");
    rate
}
