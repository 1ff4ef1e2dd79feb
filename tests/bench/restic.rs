//! restic on RBackup and on `rclone serve restic`, in turns: a real tree backed up and restored over TCP and over stdio, and
//! objects of 16 MiB over four connections. RBackup has synced what it answers for, rclone has not.

use crate::Options;
use crate::kit::http::Connection;
use crate::kit::place::{self, Place};
use crate::kit::random::{Random, hex, run_seed};
use crate::kit::server::program;
use crate::measure::timed;
use crate::report::Report;
use crate::watched::{Cost, Watched};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A real tree of more than 1 GB, as far as the machine has it.
const TREES: [&str; 3] = ["/usr/share", "/usr/lib", "/usr/bin"];
const TREE_BYTES: u64 = 1 << 30;
const OBJECTS: usize = 64;
const OBJECT_BYTES: usize = 16 << 20;
const CONNECTIONS: usize = 4;

/// One of the two servers.
struct Peer {
    name: &'static str,
    program: PathBuf,
}

/// How restic reaches it.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Tcp,
    Stdio,
}

/// What one run of restic took.
#[derive(Default)]
struct Took {
    backup_s: f64,
    restore_s: f64,
    backup: Cost,
    restore: Cost,
}

/// Everything about restic.
pub fn compare(options: &Options, rclone: &Path, report: &mut Report) {
    let ours = Peer { name: "rbackup", program: program() };
    let theirs = Peer { name: "rclone", program: rclone.to_owned() };
    let place = Place::on_disk("bench-restic");
    let tree = tree(place.path());
    place::require_free(place.path(), 4 * TREE_BYTES + (2 << 30));
    for (way, name) in [(Way::Tcp, "TCP"), (Way::Stdio, "stdio")] {
        let pairs =
            in_turns(options.pairs, |peer, number| peer.restic(way, place.path(), &tree, number), &ours, &theirs);
        add(report, &format!("restic backup over {name}"), "s", &pairs, |took| took.backup_s);
        add(report, &format!("restic restore over {name}"), "s", &pairs, |took| took.restore_s);
        add(report, &format!("server's CPU, backup over {name}"), "s", &pairs, |took| took.backup.cpu_s);
        add(report, &format!("server's CPU, restore over {name}"), "s", &pairs, |took| took.restore.cpu_s);
        add(report, &format!("server's peak memory over {name}"), "MiB", &pairs, |took| {
            took.backup.peak_mib.max(took.restore.peak_mib)
        });
    }
    objects(options, &ours, &theirs, place.path(), report);
}

fn add(report: &mut Report, name: &str, unit: &'static str, pairs: &[(Took, Took)], of: impl Fn(&Took) -> f64) {
    let pairs: Vec<_> = pairs.iter().map(|(ours, theirs)| (of(ours), of(theirs))).collect();
    report.add_pairs(name, unit, "rclone", &pairs);
}

/// Pairs; who goes first changes with each.
fn in_turns<T>(pairs: u64, run: impl Fn(&Peer, u64) -> T, ours: &Peer, theirs: &Peer) -> Vec<(T, T)> {
    let pair = |number: u64| {
        if number.is_multiple_of(2) {
            let first = run(ours, number);
            (first, run(theirs, number))
        } else {
            let first = run(theirs, number);
            (run(ours, number), first)
        }
    };
    (0..pairs).map(pair).collect()
}

/// The part of the system that is backed up: hard-linked names would make restic's work depend on the disk's layout.
fn tree(place: &Path) -> Vec<PathBuf> {
    let mut chosen = Vec::new();
    let mut bytes = 0;
    for part in TREES {
        let said = Command::new("du").args(["-sxb", part]).output().expect("du runs").stdout;
        let size = String::from_utf8_lossy(&said).split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        chosen.push(PathBuf::from(part));
        bytes += size.unwrap_or(0);
        if bytes >= TREE_BYTES {
            break;
        }
    }
    eprintln!("bench: {} MB of {chosen:?}, into {}", bytes / 1_000_000, place.display());
    chosen
}

impl Peer {
    /// Where this peer keeps what is backed up; the name tells its processes apart.
    fn store(&self, place: &Path, what: &str) -> PathBuf {
        place.join(format!("{}-{what}", self.name))
    }

    /// A backup into a new repository and a restore of it.
    fn restic(&self, way: Way, place: &Path, tree: &[PathBuf], number: u64) -> Took {
        let store = self.store(place, &format!("restic-{number}"));
        let server = (way == Way::Tcp).then(|| self.serve(&store));
        let repository = match &server {
            Some(server) => format!("rest:http://{}/", server.address),
            None => format!("rclone:{}", store.display()),
        };
        let restored = place.join("restored");
        let restic = |words: &[&str], paths: &[PathBuf]| {
            let mut command = Command::new("restic");
            command.args(["-q", "-r", &repository, "--cache-dir"]).arg(place.join("cache")).args(words).args(paths);
            if way == Way::Stdio {
                command.arg("-o").arg(format!("rclone.program={}", self.program.display()));
            }
            command.env("RESTIC_PASSWORD", "bench").env("RBACKUP_STATE_DIR", place.join("state"));
            timed(command.env("RCLONE_CONFIG", "/dev/null"))
        };
        restic(&["init"], &[]);
        let mut took = Took::default();
        let watch = Watched::begin(&self.program, &store);
        took.backup_s = restic(&["backup"], tree);
        took.backup = watch.end();
        let _ = fs::remove_dir_all(place.join("cache"));
        let watch = Watched::begin(&self.program, &store);
        took.restore_s = restic(&["restore", "latest", "--target", &restored.display().to_string()], &[]);
        took.restore = watch.end();
        drop(server);
        for left in [restored, place.join("cache"), store] {
            let _ = fs::remove_dir_all(left);
        }
        took
    }

    /// Serves a directory on a port of its own.
    fn serve(&self, store: &Path) -> Serving {
        let mut command = Command::new(&self.program);
        command.args(["serve", "restic", "--addr", "127.0.0.1:0"]).arg(store);
        command.env("RBACKUP_STATE_DIR", store.with_extension("state")).env("RCLONE_CONFIG", "/dev/null");
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| unreachable!("{command:?}: {error}"));
        let stderr = child.stderr.take().expect("its stderr");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let found = lines.find_map(|line| line.split_once("127.0.0.1:").map(|(_, rest)| rest.to_owned()));
        let found = found.unwrap_or_else(|| unreachable!("{}: it did not say where it serves", self.name));
        let digits: String = found.chars().take_while(char::is_ascii_digit).collect();
        std::thread::spawn(move || lines.for_each(drop));
        let address = SocketAddr::from(([127, 0, 0, 1], digits.parse().expect("a port")));
        Serving { child, address }
    }
}

/// A server that ends with its owner.
struct Serving {
    child: Child,
    address: SocketAddr,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// 1 GiB in objects of 16 MiB.
fn objects(options: &Options, ours: &Peer, theirs: &Peer, place: &Path, report: &mut Report) {
    let source = Place::in_memory("bench-objects");
    let mut random = Random::new(run_seed("bench, restic objects"));
    let names: Vec<String> = (0..OBJECTS)
        .map(|number| {
            let mut bytes = vec![0; OBJECT_BYTES];
            random.fill(&mut bytes);
            let name = hex(&Sha256::digest(&bytes));
            fs::write(source.path().join(number.to_string()), bytes).expect("write an object");
            name
        })
        .collect();
    let run = |peer: &Peer, number: u64| {
        let store = peer.store(place, &format!("objects-{number}"));
        let server = peer.serve(&store);
        let mut wire = Connection::open(server.address).expect("connect");
        let made = wire.send("POST", "/?create=true", &[], &[]).expect("an answer");
        assert_eq!(made.status, 200, "{} makes a repository", peer.name);
        let posted = four(server.address, |wire, number| {
            let bytes = fs::read(source.path().join(number.to_string())).expect("an object");
            let answer = wire.send("POST", &format!("/data/{}", names[number]), &[], &bytes).expect("an answer");
            assert_eq!(answer.status, 200, "{} takes an object", peer.name);
        });
        let got = four(server.address, |wire, number| {
            let mut bytes = 0;
            let answer = wire.fetch(&format!("/data/{}", names[number]), &[], |piece| bytes += piece.len());
            assert_eq!((answer.expect("an answer").status, bytes), (200, OBJECT_BYTES), "{} gives it back", peer.name);
        });
        drop(server);
        let _ = fs::remove_dir_all(store);
        (posted, got)
    };
    let pairs = in_turns(options.pairs, run, ours, theirs);
    let column = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(|(a, b)| (of(a), of(b))).collect::<Vec<_>>();
    report.add_pairs("POST of 64 objects of 16 MiB, 4 connections", "MB/s", "rclone, not synced", &column(|it| it.0));
    report.add_pairs("GET of them", "MB/s", "rclone, page cache", &column(|it| it.1));
}

/// Does something for every object over four connections; MB/s.
fn four(address: SocketAddr, each: impl Fn(&mut Connection, usize) + Sync) -> f64 {
    let (next, begun) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut wire = Connection::open(address).expect("connect");
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= OBJECTS {
                        return;
                    }
                    each(&mut wire, number);
                }
            });
        }
    });
    (OBJECTS * OBJECT_BYTES) as f64 / 1e6 / begun.elapsed().as_secs_f64()
}
