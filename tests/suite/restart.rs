//! Everything acknowledged is there after a stop, after a kill, after both, and ids go on where they were.

use crate::support::api::Way::Form;
use crate::support::api::{newest, versions};
use crate::support::house::signal;
use crate::support::{House, Member, noise};
use serde_json::Value;

/// A store with a bit of everything, and what has to be there afterwards.
struct Filled {
    laptop: Member,
    phone: Member,
    bodies: Vec<(u64, Vec<u8>)>,
    files: Vec<Value>,
}

fn filled(house: &House) -> Filled {
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    let mut bodies = Vec::new();
    for (number, size) in [0, 1, 4000, 300_000, 2 << 20, 9 << 20].into_iter().enumerate() {
        let body = noise(number as u64, size);
        let member = if number % 2 == 0 { &laptop } else { &phone };
        bodies.push((newest(&house.put(member, &format!("/{size}"), &body)), body));
    }
    let gone = house.put(&laptop, "/gone", b"x");
    house.remove_version(&laptop.session, newest(&gone)).expect(200);
    let files = house.files(&laptop);
    Filled { laptop, phone, bodies, files }
}

fn verify(house: &House, held: &Filled, next: u64) {
    assert_eq!(house.files(&held.laptop), held.files);
    for (version, body) in &held.bodies {
        assert!(&house.get(&held.phone, *version) == body, "version {version}");
    }
    assert_eq!(newest(&house.put(&held.laptop, "/gone", b"y")), next, "the counter goes on");
    let file = house.put(&held.phone, "/gone", b"z");
    house.remove_version(&held.laptop.session, newest(&file)).expect(200);
    house.remove_version(&held.laptop.session, next).expect(200);
}

#[test]
fn everything_is_there_after_a_stop_and_after_kills() {
    let mut house = House::start();
    let held = filled(&house);
    house.restart();
    verify(&house, &held, 8);
    house.kill();
    house.open();
    verify(&house, &held, 10);
    house.kill();
    house.open();
    house.kill();
    house.open();
    house.stop();
    house.open();
    verify(&house, &held, 12);
}

#[test]
fn sessions_live_on_and_revoked_ones_stay_revoked() {
    let mut house = House::start();
    let old = house.member("anna", "laptop");
    let session = house.login(Form, "laptop", "anna", &old.password).expect(200).json();
    let session = session["session_id"].as_str().unwrap_or_default().to_owned();
    for kill in [false, true] {
        if kill {
            house.kill()
        } else {
            house.stop()
        }
        house.open();
        house.list_files(&old.session, None).refused(401, "no_session");
        house.list_files(&session, None).expect(200);
    }
    house.login(Form, "laptop", "anna", &old.password).expect(200);
    house.register(Form, "anna", "another horse").refused(409, "account_exists");
}

#[test]
fn the_newest_acknowledged_version_survives_a_kill_right_after_its_200() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    for round in 1..=8 {
        let body = noise(round, 700_000);
        let file = house.put(&member, "/a", &body);
        house.kill();
        house.open();
        assert_eq!(versions(&house.files(&member)[0]), (1..=round).collect::<Vec<u64>>());
        assert!(house.get(&member, newest(&file)) == body);
    }
}

#[test]
fn a_stop_finishes_the_upload_under_way() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    let body = noise(1, 3 << 20);
    let answer = std::thread::scope(|scope| {
        let upload = house
            .curl("/upload?file_path=/slow")
            .session(&member.session)
            .upload_file(&body)
            .args(["--limit-rate", "2M"]);
        let sent = scope.spawn(move || upload.send());
        std::thread::sleep(std::time::Duration::from_millis(500));
        signal("TERM", house.pid());
        sent.join()
    });
    assert!(answer.is_ok_and(|answer| answer.status == 200), "SIGTERM finishes what is under way");
    house.wait();
    house.open();
    let files = house.files(&member);
    assert!(house.get(&member, newest(&files[0])) == body);
}

#[test]
fn sigint_is_a_graceful_stop_too() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/a", b"1");
    signal("INT", house.pid());
    house.wait();
    house.open();
    assert_eq!(house.files(&member).len(), 1);
}

#[test]
fn a_data_directory_of_another_store_is_not_mixed_in() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/a", b"1");
    house.stop();
    let mut other = House::start();
    other.member("bert", "laptop");
    other.stop();
    let volumes = |house: &House| house.data().join("volumes");
    std::fs::remove_dir_all(volumes(&house)).expect("remove the volumes");
    let copied = std::process::Command::new("cp").arg("-a").args([volumes(&other), volumes(&house)]).status();
    assert!(copied.expect("cp runs").success());
    let mut serve = house.program();
    let ended = serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(house.data()).output().expect("it runs");
    assert!(!ended.status.success() && !ended.stderr.is_empty(), "{ended:?}");
}
