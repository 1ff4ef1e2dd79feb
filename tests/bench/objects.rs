//! Objects of 16 MiB over four connections: `POST` beside rclone and beside dd, `GET` beside rclone.
//!
//! dd writes the same bytes and syncs them once at the end. The disk wanders, so both are also run under one limit.

use crate::Options;
use crate::kit::http::Connection;
use crate::kit::place::{self, Place};
use crate::kit::random::{Random, hex, run_seed};
use crate::measure::{dd, rate};
use crate::peer::{Peer, in_turns};
use crate::report::Report;
use crate::throttle::Throttle;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const OBJECT_BYTES: usize = 16 << 20;
const CONNECTIONS: usize = 4;

/// Everything about raw objects.
pub fn compare(options: &Options, ours: &Peer, theirs: &Peer, report: &mut Report) {
    let place = Place::on_disk("bench-objects");
    let source = Objects::new(options.mib << 20);
    place::require_free(place.path(), 4 * source.bytes() + (1 << 30));
    let run = |peer: &Peer, number| source.through(peer, &peer.store(place.path(), &format!("objects-{number}")));
    let pairs = in_turns(options.pairs, |number| run(ours, number), |number| run(theirs, number));
    let column = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(|(a, b)| (of(a), of(b))).collect::<Vec<_>>();
    let what = format!("{} objects of 16 MiB", source.names.len());
    report.add_pairs(format!("POST of {what}"), "MB/s", "rclone, not synced", &column(|it| it.0));
    report.add_pairs("GET of them", "MB/s", "rclone, page cache", &column(|it| it.1));

    let beside_dd = |throttle: Option<&Throttle>| {
        let wrapper = throttle.map(Throttle::wrapper).unwrap_or_default();
        let store = |number| ours.store(place.path(), &format!("beside-dd-{}-{number}", wrapper.len()));
        in_turns(
            options.pairs,
            |number| source.posted(ours, &wrapper, &store(number)),
            |_| rate(source.bytes(), dd(&source.file(), place.path(), throttle)),
        )
    };
    report.add_pairs(format!("POST of {what}"), "MB/s", "dd conv=fdatasync", &beside_dd(None));
    match Throttle::on(place.path()) {
        Ok(throttle) => {
            let pairs = beside_dd(Some(&throttle));
            report.add_pairs("the same, both throttled to 200 MB/s", "MB/s", "dd conv=fdatasync", &pairs);
        }
        Err(why) => eprintln!("bench: no common throttle: {why}"),
    }
}

/// What is sent: one file in memory, and the name of every 16 MiB of it.
struct Objects {
    place: Place,
    names: Vec<String>,
}

impl Objects {
    fn new(bytes: u64) -> Objects {
        let place = Place::in_memory("bench-objects");
        place::require_free(place.path(), bytes + (1 << 28));
        let mut random = Random::new(run_seed("bench, restic objects"));
        let mut file = File::create(place.path().join("objects")).expect("create the source");
        let mut piece = vec![0; OBJECT_BYTES];
        let count = usize::try_from(bytes).expect("a size").div_ceil(OBJECT_BYTES);
        let mut name = |_| {
            random.fill(&mut piece);
            file.write_all(&piece).expect("write an object");
            hex(&Sha256::digest(&piece))
        };
        let names = (0..count).map(&mut name).collect();
        Objects { place, names }
    }

    fn file(&self) -> std::path::PathBuf {
        self.place.path().join("objects")
    }

    fn bytes(&self) -> u64 {
        (self.names.len() * OBJECT_BYTES) as u64
    }

    /// MB/s in and out of a server of its own.
    fn through(&self, peer: &Peer, store: &Path) -> (f64, f64) {
        let server = peer.serve(&[], store);
        let posted = self.post(peer, server.address);
        let got = self.each(server.address, |wire, number| {
            let mut bytes = 0;
            let answer = wire.fetch(&format!("/data/{}", self.names[number]), &[], |piece| bytes += piece.len());
            assert_eq!((answer.expect("an answer").status, bytes), (200, OBJECT_BYTES), "{} gives it back", peer.name);
        });
        drop(server);
        let _ = fs::remove_dir_all(store);
        (posted, got)
    }

    /// MB/s into a server of its own, within a limit or not.
    fn posted(&self, peer: &Peer, wrapper: &[String], store: &Path) -> f64 {
        let server = peer.serve(wrapper, store);
        let posted = self.post(peer, server.address);
        drop(server);
        let _ = fs::remove_dir_all(store);
        posted
    }

    fn post(&self, peer: &Peer, address: SocketAddr) -> f64 {
        let mut wire = Connection::open(address).expect("connect");
        let made = wire.send("POST", "/?create=true", &[], &[]).expect("an answer");
        assert_eq!(made.status, 200, "{} makes a repository", peer.name);
        let file = File::open(self.file()).expect("open the source");
        self.each(address, |wire, number| {
            let mut bytes = vec![0; OBJECT_BYTES];
            file.read_exact_at(&mut bytes, (number * OBJECT_BYTES) as u64).expect("read an object");
            let answer = wire.send("POST", &format!("/data/{}", self.names[number]), &[], &bytes).expect("an answer");
            assert_eq!(answer.status, 200, "{} takes an object", peer.name);
        })
    }

    /// Does something for every object over four connections; MB/s.
    fn each(&self, address: SocketAddr, each: impl Fn(&mut Connection, usize) + Sync) -> f64 {
        let (next, begun) = (AtomicUsize::new(0), Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    let mut wire = Connection::open(address).expect("connect");
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= self.names.len() {
                            return;
                        }
                        each(&mut wire, number);
                    }
                });
            }
        });
        rate(self.bytes(), begun.elapsed().as_secs_f64())
    }
}
