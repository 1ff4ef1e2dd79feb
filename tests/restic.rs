//! Real restic against the real server, over HTTP with an account.
//!
//! The story: a repository is made, a tree goes in twice, is checked to the last byte, looked into, thinned out, and comes back as it
//! was; then the server is killed with -9 in the middle of a backup, started again, and the backup is repeated. Besides: an object of
//! 200 MiB and a list of 100 000 objects need no memory to speak of.
//!
//! `RBACKUP_RESTIC_ROUNDS` (3) kills, `RBACKUP_SEED`. Needs restic and strips nothing of it: what it says is shown when it fails.
//! Planted: a pack that is gone, a byte of the restored tree that is another.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness stops where it finds something wrong")]

mod kit;
#[path = "restic/mod.rs"]
mod parts;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::api;
use kit::http::Connection;
use kit::ledger::PASSWORD;
use kit::place::Place;
use kit::random::{Random, hex, run_seed, setting};
use kit::server::{self, Server, Start};
use kit::stream::Noise;
use parts::program::{ACCOUNT, Restic};
use parts::tree;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the server may take at its peak, as for any other data.
const MEMORY_MAX_BYTES: u64 = 160 << 20;
/// What a list may add to it.
const LIST_BYTES_MAX: u64 = 8 << 20;

/// A place with a data directory, and a tree to back up.
struct Home {
    place: Place,
    tree: PathBuf,
}

impl Home {
    fn new(name: &str, random: &mut Random, mib: u64) -> Home {
        let place = Place::on_disk(name);
        let tree = place.path().join("tree");
        tree::make(&tree, random, mib);
        Home { place, tree }
    }

    fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    fn serve(&self) -> Server {
        Start::on(&self.data()).serve().expect("a start")
    }

    /// The first start, with an account.
    fn begin(&self) -> Server {
        let server = self.serve();
        register(server.address);
        server
    }

    fn restic(&self, server: &Server) -> Restic {
        Restic::on(server.address, PASSWORD, "nas/photos", self.place.path())
    }

    fn restored(&self) -> PathBuf {
        self.place.path().join("restored")
    }
}

fn register(address: SocketAddr) {
    let mut wire = Connection::open(address).expect("connect");
    assert!(api::register(&mut wire, ACCOUNT, PASSWORD).expect("register"));
}

fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:{PASSWORD}")))
}

/// Fails with everything that was said.
#[track_caller]
fn sure<T>(done: Result<T, String>) -> T {
    done.unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[test]
fn a_tree_goes_in_and_comes_back_as_it_was() {
    let mut random = Random::new(run_seed("restic"));
    let home = Home::new("restic", &mut random, 64);
    let server = home.begin();
    let restic = home.restic(&server);
    let tree = home.tree.to_str().expect("a plain path");
    sure(restic.must(&["init"]));
    assert!(!restic.run(&["init"]).status.success(), "case 16: a repository is made once");
    let begun = Instant::now();
    sure(restic.must(&["backup", tree]));
    eprintln!("restic: first backup {:.1?}", begun.elapsed());
    sure(restic.restores(&home.tree, &home.restored()));
    tree::change(&home.tree, &mut random);
    sure(restic.must(&["backup", tree]));
    sure(restic.must(&["check", "--read-data"]));
    assert_eq!(sure(restic.snapshots()), 2);
    looked_into(&restic, &home.tree);
    thinned_out(&restic);
    sure(restic.restores(&home.tree, &home.restored()));
    assert!(server.stop().expect("it stops").success());
    after_everything(&home);
}

fn looked_into(restic: &Restic, tree: &Path) {
    let inside = |name: &str| format!("{}/{name}", tree.display());
    assert!(sure(restic.must(&["ls", "latest"])).contains("/odd/renamed"));
    assert!(sure(restic.must(&["find", "large-0"])).contains("large-0"));
    let dumped = restic.run(&["dump", "latest", &inside("large-0")]);
    assert!(dumped.status.success() && dumped.stdout == std::fs::read(inside("large-0")).expect("read"), "dump");
    sure(restic.must(&["key", "list"]));
    sure(restic.must(&["stats"]));
    sure(restic.must(&["tag", "--add", "kept"]));
    sure(restic.must(&["unlock"]));
}

fn thinned_out(restic: &Restic) {
    sure(restic.must(&["forget", "--keep-last", "1"]));
    assert_eq!(sure(restic.snapshots()), 1);
    sure(restic.must(&["prune", "--max-unused", "0"]));
    sure(restic.must(&["check", "--read-data"]));
    sure(restic.must(&["rebuild-index"]));
    sure(restic.must(&["check"]));
}

/// The store says that it is whole, and is the same when its catalog was made anew, also to a machine without a cache.
fn after_everything(home: &Home) {
    for words in [&["check"][..], &["rebuild"], &["check"]] {
        let (code, said) = server::command(&home.data(), words);
        assert_eq!(code, Some(0), "{words:?}: {said}");
    }
    let server = home.serve();
    let restic = home.restic(&server).elsewhere(&home.place.path().join("another cache"));
    sure(restic.must(&["check", "--read-data"]));
    sure(restic.restores(&home.tree, &home.restored()));
    assert!(server.stop().expect("it stops").success());
}

#[test]
fn a_backup_that_was_cut_by_a_kill_is_repeated_and_whole() {
    let seed = run_seed("restic, kills");
    let mut random = Random::new(seed);
    let home = Home::new("restic-kill", &mut random, 160);
    let mut server = home.begin();
    sure(home.restic(&server).must(&["init"]));
    let tree = home.tree.to_str().expect("a plain path");
    let mut struck = 0;
    for round in 0..setting("RBACKUP_RESTIC_ROUNDS", 3) {
        let mut backup = home.restic(&server).spawn(&["backup", tree]);
        std::thread::sleep(Duration::from_millis(600 + random.below(1500)));
        struck += u64::from(backup.try_wait().expect("a child").is_none());
        server.kill();
        let _ = (backup.kill(), backup.wait());
        server = home.serve();
        let restic = home.restic(&server);
        sure(restic.must(&["unlock", "--remove-all"]));
        sure(restic.must(&["backup", tree]));
        sure(restic.must(&["check", "--read-data"]));
        sure(restic.restores(&home.tree, &home.restored()));
        eprintln!("restic: round {round}, the kill of {struck} struck a running backup");
        tree::renew(&home.tree, &mut random, 160);
    }
    assert!(struck > 0, "seed {seed}: no kill met a running backup, so nothing was shown");
    assert!(server.stop().expect("it stops").success());
    let (code, said) = server::command(&home.data(), &["check"]);
    assert_eq!(code, Some(0), "{said}");
}

/// Far over its quota an account takes nothing more, and restic gets it below by its own means.
#[test]
fn a_full_account_is_freed_by_restic_itself() {
    let mut random = Random::new(run_seed("restic, quota"));
    let home = Home::new("restic-quota", &mut random, 8);
    let server = home.begin();
    let restic = home.restic(&server);
    let other = home.place.path().join("other");
    std::fs::create_dir(&other).expect("made");
    tree::renew(&other, &mut random, 24);
    sure(restic.must(&["init"]));
    sure(restic.must(&["backup", other.to_str().expect("a plain path")]));
    sure(restic.must(&["backup", home.tree.to_str().expect("a plain path")]));
    let before = quota(&home, &["--logical", "1MiB", "--stored", "1MiB"]);
    let told: serde_json::Value = serde_json::from_str(&sure(restic.must(&["snapshots", "--json"]))).expect("JSON");
    let oldest = told[0]["id"].as_str().expect("a snapshot").to_owned();
    sure(restic.must(&["unlock"]));
    sure(restic.must(&["forget", &oldest, "--prune", "--max-repack-size", "0"]));
    sure(restic.must(&["check", "--read-data"]));
    sure(restic.restores(&home.tree, &home.restored()));
    let after = quota(&home, &[]);
    assert!(after + (20 << 20) < before, "{before} bytes before, {after} after");
    let mut wire = Connection::open(server.address).expect("connect");
    let path = format!("/restic/nas/photos/data/{}", "0".repeat(64));
    let basic = basic();
    let answer = wire.send("POST", &path, &[("Authorization", &basic)], b"a pack").expect("an answer");
    assert_eq!(answer.status, 507, "planted: it is full all the while");
    assert!(server.stop().expect("it stops").success());
}

/// Sets a quota beside the server and says the logical bytes.
fn quota(home: &Home, words: &[&str]) -> u64 {
    let words = [&["account", "quota", ACCOUNT, "--json"], words].concat();
    let (code, said) = server::command(&home.data(), &words);
    assert_eq!(code, Some(0), "{said}");
    serde_json::from_str::<serde_json::Value>(&said).expect("JSON")["logical_bytes"].as_u64().expect("a number")
}

/// Planted: what this harness must see when the server loses an object or returns other bytes.
#[test]
fn a_lost_pack_and_a_changed_byte_are_seen() {
    let mut random = Random::new(run_seed("restic, planted"));
    let home = Home::new("restic-planted", &mut random, 8);
    let server = home.begin();
    let restic = home.restic(&server);
    sure(restic.must(&["init"]));
    sure(restic.must(&["backup", home.tree.to_str().expect("a plain path")]));
    sure(restic.restores(&home.tree, &home.restored()));
    let restored = home.restored().join(home.tree.strip_prefix("/").expect("absolute"));
    let mut bytes = std::fs::read(restored.join("odd/7")).expect("read");
    bytes[0] ^= 1;
    let kept = std::fs::metadata(restored.join("odd/7")).expect("there").modified().expect("a time");
    std::fs::write(restored.join("odd/7"), bytes).expect("written");
    std::fs::File::options()
        .write(true)
        .open(restored.join("odd/7"))
        .and_then(|file| file.set_modified(kept))
        .expect("set");
    assert!(tree::differences(&home.tree, &restored).is_err(), "a changed byte went unnoticed");

    let mut wire = Connection::open(server.address).expect("connect");
    let basic = basic();
    let headers = [("Authorization", basic.as_str())];
    let listed = wire.send("GET", "/restic/nas/photos/data/", &headers, b"").expect("a list");
    let names: Vec<String> = serde_json::from_slice(&listed.body).expect("JSON");
    let pack = format!("/restic/nas/photos/data/{}", names[0]);
    assert_eq!(wire.send("DELETE", &pack, &headers, b"").expect("an answer").status, 200);
    assert!(!restic.run(&["check", "--read-data"]).status.success(), "a lost pack went unnoticed");
}

/// Case 45.
#[test]
fn an_object_of_200_mib_needs_little_memory() {
    let noise = Noise { seed: run_seed("restic, large"), bytes: 200 << 20 };
    let place = Place::on_disk("restic-large");
    let server = Start::on(&place.path().join("data")).serve().expect("a start");
    register(server.address);
    let mut wire = Connection::open(server.address).expect("connect");
    let (basic, name) = (basic(), noise.sha256());
    let target = format!("/restic/large/data/{name}");
    let headers = [("Authorization", basic.as_str())];
    // The first request's argon2 is not what is looked at.
    wire.send("GET", "/restic/large/config", &headers, b"").expect("an answer");
    server.reset_peak();
    let begun = Instant::now();
    let sent = wire.send_from("POST", &target, &headers, noise.bytes, |socket| noise.write(socket).map(drop));
    assert_eq!(sent.expect("an answer").status, 200, "case 45");
    let up = begun.elapsed();
    let (mut hash, begun) = (Sha256::new(), Instant::now());
    let got = wire.fetch(&target, &headers, |piece| hash.update(piece)).expect("an answer");
    assert_eq!((got.status, hex(&hash.finalize())), (200, name), "case 45");
    let peak = server.memory_bytes("VmHWM");
    eprintln!("restic: 200 MiB up {up:.1?}, down {:.1?}, peak {} MiB", begun.elapsed(), peak >> 20);
    assert!(peak > 0 && peak < MEMORY_MAX_BYTES, "case 45: peak {} MiB", peak >> 20);
}

/// Case 62.
#[test]
fn a_list_of_100_000_objects_begins_at_once_and_needs_no_memory() {
    const OBJECTS: u32 = 100_000;
    let place = Place::on_disk("restic-list");
    let data = place.path().join("data");
    let server = Start::on(&data).serve().expect("a start");
    register(server.address);
    let begun = Instant::now();
    let mut expected = filled(server.address, OBJECTS);
    eprintln!("restic: {OBJECTS} objects of 4 bytes in {:.1?}", begun.elapsed());
    assert!(server.stop().expect("it stops").success());
    let server = Start::on(&data).serve().expect("a start");
    let mut wire = Connection::open(server.address).expect("connect");
    let basic = basic();
    let headers = [("Authorization", basic.as_str()), ("Accept", "application/vnd.x.restic.rest.v2")];
    wire.send("GET", "/restic/many/index/", &headers, b"").expect("an answer");
    server.reset_peak();
    let before = server.memory_bytes("VmRSS");
    let (begun, mut first, mut body) = (Instant::now(), None, Vec::new());
    let listed = wire.fetch("/restic/many/data/", &headers, |piece| {
        first.get_or_insert_with(|| begun.elapsed());
        body.extend_from_slice(piece);
    });
    assert_eq!(listed.expect("an answer").status, 200);
    let (whole, grown) = (begun.elapsed(), server.memory_bytes("VmHWM").saturating_sub(before));
    eprintln!(
        "restic: the list's first byte after {:.1?}, all {} KiB after {whole:.1?}, {} KiB more memory",
        first.unwrap_or_default(),
        body.len() >> 10,
        grown >> 10
    );
    let list: Vec<serde_json::Value> = serde_json::from_slice(&body).expect("JSON");
    let mut names: Vec<String> = list.iter().map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    expected.sort();
    assert!(names == expected, "case 62: {} listed, {} there", names.len(), expected.len());
    assert!(
        first.is_some_and(|first| first < Duration::from_millis(500)),
        "case 62: the first byte waited for the rest"
    );
    assert!(grown < LIST_BYTES_MAX, "case 62: the list took {} KiB", grown >> 10);
}

/// Puts so many objects into the repository `many`, over sixteen connections; gives their names.
fn filled(address: SocketAddr, objects: u32) -> Vec<String> {
    let each = |share: u32| {
        let mut wire = Connection::open(address).expect("connect");
        let basic = basic();
        let mut names = Vec::new();
        for n in (share..objects).step_by(16) {
            let body = n.to_be_bytes();
            let name = hex(&Sha256::digest(body));
            let sent = wire.send("POST", &format!("/restic/many/data/{name}"), &[("Authorization", &basic)], &body);
            assert_eq!(sent.expect("an answer").status, 200);
            names.push(name);
        }
        names
    };
    std::thread::scope(|scope| {
        let shares: Vec<_> = (0..16).map(|share| scope.spawn(move || each(share))).collect();
        shares.into_iter().flat_map(|share| share.join().expect("a share")).collect()
    })
}
