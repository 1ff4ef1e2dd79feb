//! kill -9, again and again.
//!
//! The story: clients upload, remove and sign in; at a random moment, also while it is still starting, the server is
//! killed without a warning, and so is, now and then, a `rebuild` of the catalog. It is started again and has to show
//! everything it ever acknowledged, bit for bit, nothing half done, no id twice. Then the next round, on the same data;
//! after 100 rounds everything is verified, checked and rebuilt, and a fresh store begins, so that a long run needs no
//! more disk than a short one.
//!
//! `RBACKUP_CRASH_ROUNDS` (50), `RBACKUP_SEED`. What it catches: an acknowledgement before the data are handed to the
//! kernel, a catalog that is not caught up, a start or a rebuild that cannot survive being killed itself, ids given
//! twice. What it cannot catch is a missing sync, for the kernel keeps what a killed process wrote: that is
//! `tests/images.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness stops where it finds something wrong")]

mod kit;
#[path = "crash/mod.rs"]
mod parts;

use kit::api;
use kit::http::Connection;
use kit::ledger::{Fate, Ledger};
use kit::objects::Standing;
use kit::place::{self, Place};
use kit::random::{Random, run_seed, setting};
use kit::server::{self, Server, Start};
use kit::verify::{Sample, verify};
use parts::kills::Kills;
use parts::load::{self, Plan};
use std::path::Path;
use std::time::{Duration, Instant};

/// Then a fresh store begins.
const ROUNDS_PER_STORE: u64 = 100;
/// A volume of this size ends several times in a life.
const SMALL_VOLUME_KIB: &str = "2048";
/// A look at the audit log that takes longer hangs.
const AUDIT_LIMIT: Duration = Duration::from_secs(60);
/// What a round adds to a store, at most.
const ROUND_BYTES: u64 = 128 << 20;

#[test]
fn acknowledged_data_survive_kill_9() {
    let rounds = setting("RBACKUP_CRASH_ROUNDS", 50);
    let seed = run_seed("crash");
    let place = Place::on_disk("crash");
    place::require_free(place.path(), rounds.min(ROUNDS_PER_STORE) * ROUND_BYTES + (2 << 30));
    let mut random = Random::new(seed);
    let mut kills = Kills::new();
    let begun = Instant::now();
    for first in (0..rounds).step_by(ROUNDS_PER_STORE as usize) {
        let data = place.path().join(format!("store-{first}"));
        kills.new_store();
        let mut ledger = load::people();
        for round in first..rounds.min(first + ROUNDS_PER_STORE) {
            ledger = one_round(&data, ledger, &mut random, &mut kills)
                .unwrap_or_else(|wrong| panic!("seed {seed}, round {round}, {}:\n{wrong}", place.path().display()));
        }
        kills.saw(&ledger);
        everything_at_the_end(&data, ledger, seed);
        std::fs::remove_dir_all(&data).expect("remove a store that was verified");
        eprintln!("crash: a store verified, checked and rebuilt, {:.1?} so far", begun.elapsed());
    }
    eprintln!("crash: {rounds} rounds, and besides {kills}, {:.1?} in all", begun.elapsed());
    kills.struck(rounds).unwrap_or_else(|nothing| panic!("{nothing}"));
}

/// Planted: rounds in which nothing else was killed prove nothing about starts and rebuilds.
#[test]
fn a_run_that_killed_no_rebuild_is_no_proof() {
    assert!(Kills::new().struck(50).is_err(), "a run without any such kill passes");
}

/// The planted loss: the volume that was written last is put back to an earlier copy. A verifier that stays green here
/// would stay green when the server loses data.
#[test]
fn the_verifier_sees_a_volume_rolled_back() {
    let seed = run_seed("crash, planted");
    let place = Place::on_disk("rolled-back");
    let data = place.path().join("data");
    let plan = Plan::sure(seed);
    let mut ledger = load::people();
    let server = Start::on(&data).serve().expect("a first start");
    load::run_for(&server, &mut ledger, &plan, Duration::from_millis(300));
    let last = last_volume(&data);
    let yesterday = place.path().join("yesterday");
    place::copy_tree(&last, &yesterday);
    load::run_for(&server, &mut ledger, &plan.next(), Duration::from_millis(700));
    assert_eq!(last_volume(&data), last, "the run was to stay within one volume");
    server.kill();

    let rolled = place.path().join("rolled");
    place::copy_tree(&data, &rolled);
    let target = rolled.join("volumes").join(last.file_name().expect("a volume has a name"));
    std::fs::remove_dir_all(&target).expect("remove the volume");
    place::copy_tree(&yesterday, &target);
    let verdict = match Start::on(&rolled).serve() {
        Ok(server) => verify(server.address, &mut ledger.clone(), &Sample::All),
        Err(refused) => Err(vec![refused]),
    };
    let wrong = verdict.expect_err("a volume was rolled back and the verifier saw nothing");
    eprintln!("planted: {} complaints, the first: {}", wrong.len(), wrong[0].lines().next().unwrap_or(""));

    let server = Start::on(&data).serve().expect("the untouched directory starts");
    verify(server.address, &mut ledger, &Sample::All).unwrap_or_else(|wrong| panic!("untouched: {}", wrong.join("\n")));
}

type Lie = fn(&mut Ledger, u64);

/// Every rule of the ledger, broken one at a time in the ledger itself: each must be noticed.
#[test]
fn the_verifier_sees_every_kind_of_lie() {
    let place = Place::on_disk("lies");
    let mut ledger = load::people();
    let server = Start::on(&place.path().join("data")).serve().expect("a first start");
    let seed = run_seed("crash, lies");
    let live = (0..60).find_map(|round| {
        load::run_for(&server, &mut ledger, &Plan::sure(seed + round), Duration::from_millis(500));
        let live = ledger.versions.iter().find(|(_, version)| version.fate == Fate::Live).map(|(id, _)| *id);
        live.filter(|_| ledger.objects.there() > 0)
    });
    let live = live.expect("a live version and an object within half a minute");
    verify(server.address, &mut ledger, &Sample::All).unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")));
    let lies: [(&str, Lie); 8] = [
        ("another hash", |ledger, id| ledger.versions.get_mut(&id).unwrap().hash = "00".repeat(32)),
        ("another size", |ledger, id| ledger.versions.get_mut(&id).unwrap().size += 1),
        ("removed, and back", |ledger, id| ledger.versions.get_mut(&id).unwrap().fate = Fate::Removed),
        ("never sent", |ledger, id| drop(ledger.versions.remove(&id))),
        ("lost", |ledger, id| {
            let more = ledger.versions[&id].clone();
            ledger.versions.insert(ledger.highest() + 1, more);
        }),
        ("an object lost", |ledger, _| {
            ledger.objects.enter("anna", &format!("data/{}", "0".repeat(64)), Standing::There)
        }),
        ("an object back", |ledger, _| ledger.objects.call_gone()),
        ("session lost", |ledger, _| {
            ledger.devices.values_mut().for_each(|device| device.session = Some("0".repeat(64)))
        }),
    ];
    for (name, lie) in lies {
        let mut twisted = ledger.clone();
        lie(&mut twisted, live);
        assert!(verify(server.address, &mut twisted, &Sample::All).is_err(), "{name}: not noticed");
    }
}

/// Kills of a rebuild and of starts, a start that is let live, what it shows, and a life of it until it is killed too.
fn one_round(data: &Path, mut ledger: Ledger, random: &mut Random, kills: &mut Kills) -> Result<Ledger, String> {
    // Without an account nothing was acknowledged, and there may be no store to rebuild.
    let interrupted = !ledger.accounts.is_empty() && kills.while_rebuilding(data, random);
    kills.while_starting(data, random, if interrupted { 60 } else { 30 });
    // In some lives volumes end, which those of the usual size never do in one.
    let small = random.chance(40);
    let start = if small { Start::on(data).env("RBACKUP_VOLUME_KIB", SMALL_VOLUME_KIB) } else { Start::on(data) };
    let volumes_before = volumes(data);
    let server = start.serve().map_err(|error| format!("start: {error}"))?;
    // All are listed each time, and in one round of ten all are read.
    let sample = if random.chance(10) { Sample::All } else { Sample::These(recent_and_some(&ledger, random)) };
    verify(server.address, &mut ledger, &sample).map_err(|wrong| wrong.join("\n"))?;
    // Beside the server: no entry was lost or doubled by what was killed.
    let audit = Start::on(data).run_for(&["audit", "verify"], AUDIT_LIMIT);
    if !audit.is_some_and(|ended| ended.success()) {
        return Err(format!("the audit log does not verify: {audit:?}"));
    }
    let ledger = one_life(server, ledger, random);
    if small {
        kills.saw_volumes(volumes(data).saturating_sub(volumes_before));
    }
    Ok(ledger)
}

fn one_life(mut server: Server, ledger: Ledger, random: &mut Random) -> Ledger {
    let plan = Plan::new(random.next());
    let milliseconds = match random.below(10) {
        0..2 => random.below(30),
        2..8 => 30 + random.below(400),
        _ => 400 + random.below(900),
    };
    let load = load::Load::start(server.address, ledger, &plan);
    std::thread::sleep(Duration::from_millis(milliseconds));
    let died = server.died();
    server.kill();
    let ledger = load.join();
    assert!(!died, "the server ended by itself");
    ledger
}

/// The newest ids, where a loss would be, and forty of all ages.
fn recent_and_some(ledger: &Ledger, random: &mut Random) -> Vec<u64> {
    let highest = ledger.highest();
    let mut ids: Vec<u64> = (highest.saturating_sub(150)..=highest).collect();
    ids.extend((0..40).map(|_| 1 + random.below(highest.max(1))));
    ids
}

fn everything_at_the_end(data: &Path, mut ledger: Ledger, seed: u64) {
    let server = Start::on(data).serve().expect("the last start");
    let seen = verify(server.address, &mut ledger, &Sample::All);
    let seen = seen.unwrap_or_else(|wrong| panic!("seed {seed}, at the end:\n{}", wrong.join("\n")));
    eprintln!(
        "crash: {} versions listed, {} MiB downloaded and right, {} objects",
        seen.listed,
        seen.bytes >> 20,
        seen.objects
    );
    let status = server.stop().expect("it stops when asked");
    assert!(status.success(), "SIGTERM ended it with {status}");
    let (code, said) = server::command(data, &["check"]);
    assert_eq!(code, Some(0), "check: {said}");
    let (code, said) = server::command(data, &["rebuild"]);
    assert_eq!(code, Some(0), "rebuild: {said}");
    let server = Start::on(data).serve().expect("a start after rebuild");
    let sample = Sample::These((ledger.highest().saturating_sub(300)..=ledger.highest()).collect());
    verify(server.address, &mut ledger, &sample).unwrap_or_else(|wrong| panic!("after rebuild:\n{}", wrong.join("\n")));
    let mut wire = Connection::open(server.address).expect("connect");
    assert!(api::register(&mut wire, "late", kit::ledger::PASSWORD).expect("register"), "a new account after all that");
}

/// How many volumes there are.
fn volumes(data: &Path) -> u64 {
    std::fs::read_dir(data.join("volumes")).map_or(0, |entries| entries.flatten().count() as u64)
}

/// The directory of the volume with the highest number.
fn last_volume(data: &Path) -> std::path::PathBuf {
    let entries = std::fs::read_dir(data.join("volumes")).expect("volumes/");
    let volumes = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_none());
    volumes.max().expect("a volume")
}
