//! Bytes that went bad on the disk: found by `rbackup check`, named, and never served as if they were good.

use crate::support::api::newest;
use crate::support::house::House;
use crate::support::{Member, noise};
use serde_json::Value;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const LARGE_BYTES: usize = 20 << 20;

struct Flipped {
    house: House,
    member: Member,
    large: u64,
}

/// A stopped store of small files around a large one, with one bit wrong in the middle of the large one.
fn flipped() -> Flipped {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    (0..10).for_each(|n| drop(house.put(&member, &format!("/before/{n}"), &noise(n, 1000))));
    let large = newest(&house.put(&member, "/the large one", &noise(100, LARGE_BYTES)));
    (0..10).for_each(|n| drop(house.put(&member, &format!("/after/{n}"), &noise(50 + n, 1000))));
    house.stop();
    let db = largest_db(&house.data().join("volumes"));
    let middle = std::fs::metadata(&db).expect("look at the volume").len() / 2;
    flip(&db, middle);
    Flipped { house, member, large }
}

fn largest_db(volumes: &Path) -> PathBuf {
    let held = std::fs::read_dir(volumes).expect("read volumes/").flatten().map(|volume| volume.path().join("db"));
    let sized = held.filter_map(|db| Some((std::fs::metadata(&db).ok()?.len(), db)));
    sized.max().map(|(_, db)| db).expect("a volume with a db")
}

fn flip(path: &Path, offset: u64) {
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("open the volume");
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut byte)).expect("read a byte");
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(&[byte[0] ^ 0x10])).expect("flip a bit");
}

/// What `check --json` says of damage, which ends it with 15.
#[track_caller]
fn damage_found(house: &House) -> Value {
    let ran = house.run(&["check", "--json"]);
    assert_eq!(ran.status.code(), Some(15), "{ran:?}");
    serde_json::from_slice(&ran.stdout).expect("check --json prints JSON")
}

/// The versions that such a report names.
fn versions_named(report: &Value) -> Vec<u64> {
    let named = report["damaged"].as_array().expect("a list");
    named.iter().map(|it| it["file_version_id"].as_u64().expect("a version's id")).collect()
}

#[test]
fn a_healthy_store_checks_clean_and_says_what_it_read() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/a", &noise(1, 3 << 20));
    house.put(&member, "/b", b"");
    house.stop();
    let counted = crate::dedup::checked(&house);
    assert_eq!(counted["versions"], 2);
    assert_eq!(counted["damaged"], serde_json::json!([]));
    for name in ["volumes", "frames", "chunk_frames", "records"] {
        assert!(counted[name].as_u64().is_some_and(|count| count > 0), "{name}: {counted}");
    }
    let ran = house.run(&["check"]);
    assert_eq!(ran.status.code(), Some(0));
    assert!(!ran.stdout.is_empty(), "it says so to people too");
}

#[test]
fn a_flipped_bit_is_found_and_the_touched_version_named() {
    let it = flipped();
    let report = damage_found(&it.house);
    assert_eq!(versions_named(&report), [it.large], "this one, and none of the twenty around it: {report}");
    let ran = it.house.run(&["check"]);
    assert_eq!(ran.status.code(), Some(15), "{ran:?}");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("/the large one"), "people get the file's name: {said}");
}

#[test]
fn a_damaged_version_is_never_served_whole_and_the_others_are() {
    let mut it = flipped();
    it.house.open();
    let curl = it.house.curl(&format!("/download?file_version_id={}", it.large)).session(&it.member.session);
    let answer = curl.try_send();
    let good = noise(100, LARGE_BYTES);
    assert!(answer.status == 500 || answer.curl_exit != 0, "{} {}", answer.status, answer.curl_exit);
    if answer.status == 200 {
        assert!(answer.body.len() < good.len() && good.starts_with(&answer.body), "never a wrong byte");
    }
    let mut served = 0;
    for file in it.house.files(&it.member) {
        let version = newest(&file);
        if version != it.large {
            let answer =
                it.house.curl(&format!("/download?file_version_id={version}")).session(&it.member.session).try_send();
            served += u32::from(answer.status == 200 && answer.curl_exit == 0);
        }
    }
    assert!(served >= 19, "what is not touched is served: {served} of 20");
    it.house.put(&it.member, "/new", b"backups go on");
}

/// As after one `sudo rbackup`: what the server's user may not look at is there all the same.
#[test]
fn a_volume_that_cannot_be_looked_at_stops_the_start_and_is_kept() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    let version = newest(&house.put(&member, "/a", b"acknowledged"));
    house.kill();
    let db = largest_db(&house.data().join("volumes"));
    let away = house.beside("db");
    std::fs::rename(&db, &away).expect("moved away");
    // A link to itself: whoever asks whether it is there gets an error, and not "no".
    std::os::unix::fs::symlink(&db, &db).expect("a link");
    for command in ["check", "rebuild"] {
        let ran = house.run(&[command]);
        assert_eq!(ran.status.code(), Some(1), "{command}: {ran:?}");
    }
    std::fs::remove_file(&db).and_then(|()| std::fs::rename(&away, &db)).expect("moved back");
    house.open();
    house.download(&member.session, version).expect(200);
    assert_eq!(newest(&house.put(&member, "/b", b"another")), version + 1, "no id is given twice");
}

/// A house that stopped in good order, two files, and a flipped bit in the record of the second.
fn with_a_damaged_record() -> (House, Member) {
    with_a_damaged_record_in(Volume::Open)
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Volume {
    /// In the volume that is written.
    Open,
    /// In one that a crash has ended.
    Ended,
}

fn with_a_damaged_record_in(volume: Volume) -> (House, Member) {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/the first", &noise(1, 1000));
    house.put(&member, "/the second", &noise(2, 1000));
    if volume == Volume::Ended {
        house.kill();
        house.open();
    }
    house.stop();
    let name = if volume == Volume::Ended { "db.crashed" } else { "db" };
    let db = house.data().join("volumes/00000001").join(name);
    let bytes = std::fs::read(&db).expect("read the volume");
    let name = b"/the second";
    let at = bytes.windows(name.len()).rposition(|window| window == name).expect("names are in the clear");
    flip(&db, at as u64);
    (house, member)
}

/// The log goes on behind the damage, and the catalog, which has the record, still belongs to it.
#[test]
fn a_damaged_record_is_not_forgotten_at_a_later_start() {
    let (mut house, member) = with_a_damaged_record();
    for start in 1..=3 {
        house.open();
        assert_eq!(house.files(&member).len(), 2, "start {start}");
        house.stop();
    }
}

/// The catalog has its rows, so nobody but `check` would ever read it again.
#[test]
fn check_finds_a_damaged_record() {
    for volume in [Volume::Open, Volume::Ended] {
        let (mut house, member) = with_a_damaged_record_in(volume);
        let report = damage_found(&house);
        let places = report["damaged_places"].as_array().expect("a list");
        let is_named = |place: &Value| place.as_str().is_some_and(|place| place.starts_with("volume 1 block "));
        assert!(places.iter().any(is_named), "{volume:?}: {report}");
        // The second's only chunk may lie in the same block.
        assert!(versions_named(&report).iter().all(|id| *id == 2), "{volume:?}: {report}");
        let said = house.run(&["check"]);
        assert_eq!(said.status.code(), Some(15), "{volume:?}: {said:?}");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("damaged: volume 1 block "), "{volume:?}: {said}");
        house.open();
        assert_eq!(house.files(&member).len(), 2, "{volume:?}: the catalog has it");
        house.stop();
        damage_found(&house);
    }
}

/// The catalog's records are gone for good with the damage, and whoever asked for the rebuild is told.
#[test]
fn a_rebuild_over_damage_says_so() {
    let (house, _) = with_a_damaged_record();
    let ran = house.run(&["rebuild"]);
    let said = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(15), "{ran:?}");
    assert!(
        said.contains("damaged: volume 1 block") && said.contains("rebuilt from the volumes: 1 versions"),
        "{said}"
    );
}

/// The file that says which store it is: from its copy, or from the volumes of a store that has none yet.
#[test]
fn a_damaged_format_is_made_again_and_only_when_that_is_asked_for() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/kept", &noise(1, 3000));
    house.stop();
    let (format, copy) = (house.data().join("FORMAT"), house.data().join("FORMAT.copy"));
    let sound = std::fs::read(&format).expect("FORMAT");
    assert_eq!(std::fs::read(&copy).expect("its copy"), sound);
    let flipped = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 2;
        bytes
    };
    for (bytes, has_copy) in
        [(Some(flipped(30)), true), (Some(flipped(30)), false), (Some(Vec::new()), false), (None, true)]
    {
        if !has_copy {
            std::fs::remove_file(&copy).expect("removed");
        }
        match &bytes {
            Some(bytes) => std::fs::write(&format, bytes).expect("damaged"),
            None => std::fs::remove_file(&format).expect("lost"),
        }
        for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["check"], &["rebuild"]] {
            let ran = house.run(words);
            let said = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(ran.status.code(), Some(15), "{words:?}: {said}");
            assert!(said.contains("rbackup check --salvage"), "{said}");
        }
        let ran = house.run(&["check", "--salvage"]);
        let said = String::from_utf8_lossy(&ran.stdout);
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
        assert!(said.contains(if has_copy { "from its copy, which 1 volumes" } else { "from 1 volumes" }), "{said}");
        assert_eq!(std::fs::read(&format).expect("FORMAT"), sound, "the same as it was");
        if let Some(bytes) = bytes {
            assert_eq!(std::fs::read(house.data().join("FORMAT.damaged")).expect("kept"), bytes);
        }
    }
    house.open();
    assert_eq!(house.files(&member).len(), 1);
}

/// Volumes of two stores, and none of them is the one that `FORMAT` was of.
#[test]
fn a_damaged_format_is_not_made_again_from_volumes_that_disagree() {
    let (mut house, mut other) = (House::start(), House::start());
    house.kill();
    house.open();
    house.stop();
    other.stop();
    let second = house.data().join("volumes/00000002");
    std::fs::remove_dir_all(&second).expect("removed");
    std::fs::rename(other.data().join("volumes/00000001"), &second).expect("another store's");
    std::fs::write(house.data().join("FORMAT"), b"").expect("damaged");
    let ran = house.run(&["check", "--salvage"]);
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(15), "{said}");
    assert!(said.contains("its volumes belong to different stores"), "{said}");
}
