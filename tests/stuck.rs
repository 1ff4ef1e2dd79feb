//! The stuck and the slow: a disk that hangs, a disk that is slow, and clients that stop.
//!
//! strace holds the syncs of a running server (`tests/stuck/hold.rs`). While one hangs, whoever only reads must be
//! answered, changes must be refused before their body comes, whoever waited must be told the truth afterwards, and then
//! everything must go on without a restart; a stop must end. On a slow disk one sync must serve many uploads. Clients that
//! stop in the middle, never read, or send a byte a second must cost nobody else anything.
//!
//! Judged is order, never milliseconds: a hang ends when the harness ends it. Planted: a hold that holds nothing, a
//! question that does wait for the sync, uploads one by one on a slow disk, a stuck upload that is completed after all.
//!
//! `RBACKUP_SEED`. Needs strace. Works on static and dynamic builds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness stops where it finds something wrong")]

mod kit;
#[path = "stuck/mod.rs"]
mod parts;

use kit::api::{self, Failure};
use kit::http::Connection;
use parts::hold::Hold;
use parts::house::{House, upload_head};
use parts::others::{changes, one_that_waits, readers, unanswered};
use parts::sockets::{self, Kind, Stuck};
use std::time::{Duration, Instant};

/// Whoever is not answered for so long is blocked; wide, for two cores do other things too.
const PATIENCE: Duration = Duration::from_secs(20);
/// A sync that takes longer is stuck.
const BOUND: &str = "[limits]\nstuck_s = 2\n";
/// The same, and a stop that waits for [`GRACE`]: once, not once for each thing that hangs.
const SHORT_GRACE: &str = "[limits]\nstuck_s = 2\nshutdown_grace_s = 5\n";
const GRACE: Duration = Duration::from_secs(5);
/// A stalled download that takes from others is cut after three seconds, any that stalls after fifteen: between the two.
const BESIDE_THE_STUCK: Duration = Duration::from_secs(14);
/// A sync that no test waits for.
const NO_BOUND: &str = "[limits]\nstuck_s = 600\n";
/// More uploads than the server has threads.
const CROWD: usize = 80;

#[test]
fn a_hanging_sync_stops_changes_and_nobody_else() {
    for hang in [Hold::hang, Hold::hang_when_done] {
        let mut house = House::new("stuck", BOUND);
        let hold = hang(house.server(), house.place.path());
        let waiting: Vec<_> = (0..8).map(|number| house.send(&format!("/waiting/{number}"), 5000)).collect();
        hold.wait_until_hanging(PATIENCE).unwrap_or_else(|nothing| panic!("{nothing}"));
        let hanging = || hold.is_hanging();
        let wrong = unanswered(&house, readers(&house), &hanging, PATIENCE);
        assert!(wrong.is_empty(), "before the bound: {wrong:#?}");
        wait_for_refusal(&house, &hold);
        let wrong = unanswered(&house, changes(&house), &hanging, PATIENCE);
        assert!(wrong.is_empty(), "changes are refused at once: {wrong:#?}");
        let wrong = unanswered(&house, readers(&house), &hanging, PATIENCE);
        assert!(wrong.is_empty(), "after the bound: {wrong:#?}");
        assert!(!waiting.iter().any(|upload| upload.is_answered()), "an answer came while the sync hung");
        assert!(house.log().contains("WARN") || house.log().contains("ERROR"), "nothing in the log:\n{}", house.log());

        let held = hold.release().unwrap_or_else(|nothing| panic!("{nothing}"));
        for upload in waiting {
            house.answered(upload).unwrap_or_else(|failure| panic!("it waited, the sync came back, and: {failure}"));
        }
        goes_on(&mut house);
        house.verify().unwrap_or_else(|wrong| panic!("{wrong}"));
        eprintln!("stuck: {held} syncs held, 8 waited and were answered");
        assert!(house.stop().expect("it stops when asked").success());
    }
}

/// Uploads that wait for the sync must not take the threads that readers need.
#[test]
fn a_crowd_that_waits_for_the_sync_leaves_room_for_readers() {
    let mut house = House::new("crowd", NO_BOUND);
    let hold = Hold::hang(house.server(), house.place.path());
    let waiting: Vec<_> = (0..CROWD).map(|number| house.send(&format!("/crowd/{number}"), 20_000)).collect();
    hold.wait_until_hanging(PATIENCE).unwrap_or_else(|nothing| panic!("{nothing}"));
    // Until the last of them is there; nothing depends on it but how hard the test is.
    std::thread::sleep(Duration::from_secs(1));
    let wrong = unanswered(&house, readers(&house), &|| hold.is_hanging(), PATIENCE);
    hold.release().unwrap_or_else(|nothing| panic!("{nothing}"));
    let answers: Vec<_> = waiting.into_iter().map(|upload| house.answered(upload)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for answer in &answers {
        let told = matches!(answer, Ok(_) | Err(Failure::Refused(503, _)));
        assert!(told, "{answer:?}");
    }
    goes_on(&mut house);
    house.verify().unwrap_or_else(|wrong| panic!("{wrong}"));
}

/// A stop does not wait for a disk that hangs, whether somebody waits for it or not, and loses nothing.
#[test]
fn a_stop_with_a_hanging_disk_ends() {
    for clients in [0, 4] {
        let mut house = House::new("stop", SHORT_GRACE);
        let hold = Hold::hang(house.server(), house.place.path());
        let waiting: Vec<_> = (0..clients).map(|number| house.send(&format!("/waiting/{number}"), 5000)).collect();
        if clients > 0 {
            hold.wait_until_hanging(PATIENCE).unwrap_or_else(|nothing| panic!("{nothing}"));
        }
        house.server().ask_to_stop();
        let took = hold.wait_until_dead(GRACE + Duration::from_secs(4));
        let took = took.unwrap_or_else(|endless| panic!("{clients} waiting, SIGTERM: {endless}\n{}", house.log()));
        hold.release().unwrap_or_else(|nothing| panic!("{clients} waiting: {nothing}"));
        let status = house.ended().unwrap_or_else(|endless| panic!("{clients} waiting: {endless}"));
        eprintln!("stuck: {clients} waiting, SIGTERM: {status} after {took:.1?}");
        assert_eq!(status.code(), Some(1), "{clients} waiting: a stop that could not write everything says so");
        for upload in waiting {
            let answer = house.answered(upload);
            assert!(answer.is_err(), "an upload was acknowledged while its sync hung: {answer:?}");
        }
        house.start_again();
        house.verify().unwrap_or_else(|wrong| panic!("{clients} waiting, after a restart:\n{wrong}"));
        goes_on(&mut house);
    }
}

#[test]
fn a_slow_disk_loses_nothing_and_one_sync_serves_many() {
    let mut house = House::new("slow", BOUND);
    let alone = uploads_per_sync(&mut house, 1, Duration::from_millis(1500));
    let many = uploads_per_sync(&mut house, 16, Duration::from_secs(3));
    eprintln!("slow: {alone:.2} uploads per sync of 200 ms with one client, {many:.1} with sixteen");
    serves_many(many).unwrap_or_else(|few| panic!("{few}"));
    let hold = Hold::slow(house.server(), house.place.path(), Duration::from_millis(200));
    house.upload_for(8, Duration::from_millis(500));
    house.kill();
    drop(hold);
    house.start_again();
    house.verify().unwrap_or_else(|wrong| panic!("killed on a slow disk, and started again:\n{wrong}"));
    assert!(serves_many(alone).is_err(), "planted: uploads one by one pass for many at once");
}

#[test]
fn fifty_stuck_clients_cost_nobody_anything() {
    let mut house = House::new("clients", "[limits]\nbody_idle_s = 4\n");
    house.large = house.upload("/large", 24 << 20);
    house.server().reset_peak();
    let kinds = [Kind::StopsSending(3 << 20), Kind::StopsReading, Kind::Crawls, Kind::StopsSending(0)];
    let mut stuck: Vec<Stuck> =
        (0..50).map(|number| Stuck::begin(&house, number, kinds[number % kinds.len()])).collect();
    for round in 0..4 {
        let upload = house.send(&format!("/others/{round}"), 1 << 20);
        let wrong = unanswered(&house, readers(&house), &|| true, BESIDE_THE_STUCK);
        assert!(wrong.is_empty(), "beside fifty stuck clients: {wrong:#?}");
        house.answered(upload).unwrap_or_else(|failure| panic!("an upload beside fifty stuck clients: {failure}"));
    }
    let peak = house.server().memory_bytes("VmHWM");
    eprintln!("stuck clients: 50, others served, peak {} MiB", peak >> 20);
    bounded(peak).unwrap_or_else(|much| panic!("{much}"));
    assert!(bounded(1 << 30).is_err() && bounded(0).is_err(), "planted: too much memory, and none that was measured");

    for client in stuck.iter_mut().filter(|client| matches!(client.kind, Kind::StopsSending(_))) {
        let told = client.given_up(PATIENCE);
        assert!(matches!(told, Some(0 | 408)), "{:?}: {told:?}", client.kind);
    }
    stuck.into_iter().for_each(Stuck::cut);
    house.verify().unwrap_or_else(|wrong| panic!("after fifty stuck clients:\n{wrong}"));
    assert_eq!(visible(&house), [""; 0], "something of a stuck upload is there");
    sockets::complete(&house, 1);
    assert_eq!(visible(&house).len(), 1, "planted: an upload that was completed after all is not seen");
}

/// Planted: strace holds nothing. Then nothing hangs, nothing was held, and both must be said.
#[test]
fn a_hold_that_holds_nothing_is_noticed() {
    let mut house = House::new("planted", BOUND);
    let hold = Hold::nothing(house.server(), house.place.path());
    house.upload("/free", 5000);
    assert!(hold.wait_until_hanging(Duration::from_secs(1)).is_err(), "nothing was held, and something hung");
    assert!(hold.release().is_err(), "nothing was held, and it was counted");
}

/// Planted: somebody who does wait for the hanging sync, among those who must not.
#[test]
fn a_blocked_client_is_noticed() {
    let mut house = House::new("planted", NO_BOUND);
    let hold = Hold::hang(house.server(), house.place.path());
    let waiting = house.send("/waiting", 5000);
    hold.wait_until_hanging(PATIENCE).unwrap_or_else(|nothing| panic!("{nothing}"));
    let mut questions = readers(&house);
    questions.push(one_that_waits());
    let wrong = unanswered(&house, questions, &|| hold.is_hanging(), Duration::from_secs(2));
    assert!(wrong.iter().any(|one| one.starts_with("upload: blocked")), "{wrong:#?}");
    let late = unanswered(&house, readers(&house), &|| false, PATIENCE);
    assert_eq!(late.len(), readers(&house).len(), "answers that came after the hang were counted: {late:#?}");
    hold.release().unwrap_or_else(|nothing| panic!("{nothing}"));
    house.answered(waiting).unwrap_or_else(|failure| panic!("{failure}"));
}

/// New uploads are refused by their head alone; how soon is the watchdog's affair, that it hangs still is ours.
fn wait_for_refusal(house: &House, hold: &Hold) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some((status, said)) = upload_head(house.address(), &house.session, Duration::from_millis(500)) {
            assert!(hold.is_hanging(), "the refusal came when the sync no longer hung");
            assert!(status == 503 && said.contains("\"unavailable\""), "{status}: {said}");
            return;
        }
    }
    panic!("no upload was refused before its body while a sync hung for {PATIENCE:?}");
}

/// All is well again by itself: uploads are taken, and answered.
fn goes_on(house: &mut House) {
    let begun = Instant::now();
    loop {
        let upload = house.send("/goes-on", 3000);
        match house.answered(upload) {
            Ok(_) => return,
            Err(Failure::Refused(503, _)) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(failure) => panic!("it does not go on: {failure}"),
        }
    }
}

fn uploads_per_sync(house: &mut House, clients: u64, time: Duration) -> f64 {
    let hold = Hold::slow(house.server(), house.place.path(), Duration::from_millis(200));
    let uploads = house.upload_for(clients, time);
    let syncs = hold.release().unwrap_or_else(|nothing| panic!("{nothing}"));
    uploads as f64 / syncs as f64
}

fn serves_many(uploads_per_sync: f64) -> Result<(), String> {
    let enough = uploads_per_sync >= 3.0;
    if enough { Ok(()) } else { Err(format!("{uploads_per_sync:.2} uploads per sync are no group commit")) }
}

/// What the largest file may cost is what fifty stuck clients may cost.
fn bounded(peak: u64) -> Result<(), String> {
    if (1..192 << 20).contains(&peak) { Ok(()) } else { Err(format!("peak memory of {} MiB", peak >> 20)) }
}

/// What is listed of the uploads of stuck clients.
fn visible(house: &House) -> Vec<String> {
    let mut wire = Connection::open(house.address()).expect("connect");
    let listed = api::list(&mut wire, &house.session).expect("a list");
    listed.into_iter().map(|one| one.path).filter(|path| path.starts_with(sockets::FOLDER)).collect()
}
