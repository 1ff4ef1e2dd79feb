//! A whole volume is gone: its directory deleted, its disk not mounted, a copy that lacks it. It is asked about, never silently
//! accepted; then everything else goes on, what was lost is named, nothing is given twice, and what comes again is whole again.

use crate::support::api::Way::Form;
use crate::support::api::{file_id, newest};
use crate::support::{House, Member, noise};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

const KEPT: usize = 3_000;
const LOST: usize = 3 << 20;

/// A house with three volumes, each of which a kill has ended but the last, and what lies in them.
struct Story {
    house: House,
    anna: Member,
    /// A session that was replaced while the second volume was written.
    ended: String,
}

/// `/one` and `/gone` in the first; `/two`, the removal of `/gone` and a new sign-in in the second; `/three` in the third.
fn story() -> Story {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/one", &noise(1, KEPT));
    let gone = house.put(&member, "/gone", &noise(9, KEPT));
    next_volume(&mut house);
    house.put(&member, "/two", &noise(2, LOST));
    house.remove_file(&member.session, file_id(&gone)).expect(200);
    let ended = member.session.clone();
    let anna = sign_in_again(&house, &member);
    next_volume(&mut house);
    house.put(&anna, "/three", &noise(3, KEPT));
    Story { house, anna, ended }
}

fn sign_in_again(house: &House, member: &Member) -> Member {
    let answer = house.login(Form, &member.device, &member.name, &member.password).expect(200).json();
    Member { session: answer["session_id"].as_str().expect("a session").to_owned(), ..member.clone() }
}

/// A kill ends a volume for ever.
fn next_volume(house: &mut House) {
    house.kill();
    house.open();
}

fn volume(house: &House, number: u32) -> PathBuf {
    house.data().join(format!("volumes/{number:08}"))
}

/// Moves a volume out of the data directory.
fn take(house: &House, number: u32) -> PathBuf {
    let away = house.beside("taken");
    std::fs::rename(volume(house, number), &away).expect("the volume is there");
    away
}

fn said(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr)
}

#[track_caller]
fn ran(house: &House, words: &[&str], code: i32, names: &str) {
    let ran = house.run(words);
    assert_eq!(ran.status.code(), Some(code), "{words:?}: {}", said(&ran));
    assert!(said(&ran).contains(names), "{words:?} says nothing of {names:?}: {}", said(&ran));
}

/// Every file below a directory with its content.
fn inside(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            found.extend(inside(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).expect("a file"));
        }
    }
    found
}

fn drop_catalog(house: &House) {
    std::fs::remove_dir_all(house.data().join("catalog")).expect("the catalog is a directory");
}

fn paths(house: &House, member: &Member) -> Vec<String> {
    let mut paths: Vec<String> =
        house.files(member).iter().map(|file| file["original_name"].as_str().expect("a name").to_owned()).collect();
    paths.sort();
    paths
}

fn version(house: &House, member: &Member, path: &str) -> u64 {
    let files = house.files(member);
    newest(files.iter().find(|file| file["original_name"] == path).expect("the file is listed"))
}

#[test]
fn nothing_but_a_look_goes_on_until_somebody_says_that_it_is_lost() {
    let Story { mut house, .. } = story();
    house.stop();
    let away = take(&house, 2);
    let before = inside(&house.data());
    for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["rebuild"], &["check", "--salvage"]] {
        ran(&house, words, 15, "rbackup rebuild --without-volume 2");
    }
    ran(&house, &["check"], 15, "/two");
    ran(&house, &["check"], 15, "volume 2 is not there");
    let target = house.beside("all").to_string_lossy().into_owned();
    ran(&house, &["export", &target], 15, "volume 2 is not there");
    ran(&house, &["rebuild", "--without-volume", "3"], 2, "volume 3 is not lost");
    ran(&house, &["rebuild", "--without-volume", "2", "--without-volume", "3"], 2, "volume 3 is not lost");
    assert!(inside(&house.data()) == before, "something was written");
    std::fs::rename(away, volume(&house, 2)).expect("its disk is mounted");
    ran(&house, &["check"], 0, "everything is whole");
}

#[test]
fn what_the_catalog_knows_of_a_lost_volume_outlives_the_catalog() {
    let Story { mut house, anna, ended } = story();
    house.stop();
    let away = take(&house, 2);
    ran(&house, &["rebuild", "--without-volume", "2"], 15, "volume 2 is lost; up to 1 version ids");
    for round in ["the catalog that was there", "one from the volumes alone"] {
        house.open();
        assert_eq!(paths(&house, &anna), ["/one", "/three", "/two"], "{round}: removed files stay removed");
        house.list_files(&ended, None).refused(401, "no_session");
        let two = version(&house, &anna, "/two");
        let curl = house.curl(&format!("/download?file_version_id={two}")).session(&anna.session).try_send();
        assert!(curl.status == 500 || curl.curl_exit != 0, "{round}: lost, and served: {}", curl.status);
        assert!(house.get(&anna, version(&house, &anna, "/one")) == noise(1, KEPT), "{round}");
        house.stop();
        ran(&house, &["check"], 15, "/two");
        if round == "the catalog that was there" {
            drop_catalog(&house);
            ran(&house, &["rebuild"], 0, "volume 2 is lost");
        }
    }
    house.open();
    let two = version(&house, &anna, "/two");
    let again = house.put(&anna, "/two", &noise(2, LOST));
    assert_eq!(newest(&again), 5, "no id is given twice");
    assert!(house.get(&anna, two) == noise(2, LOST), "the lost version is whole again");
    house.stop();
    ran(&house, &["check"], 0, "everything is whole");
    std::fs::rename(away, volume(&house, 2)).expect("it is found");
    house.open();
    assert!(house.log().contains("a lost volume is back"), "{}", house.log());
    assert_eq!(paths(&house, &anna), ["/one", "/three", "/two"]);
    house.stop();
    ran(&house, &["check"], 0, "everything is whole");
    drop_catalog(&house);
    ran(&house, &["rebuild"], 0, "5 versions");
}

#[test]
fn without_its_records_and_without_a_catalog_ids_are_skipped_and_that_is_said() {
    let Story { mut house, anna, .. } = story();
    house.stop();
    take(&house, 2);
    drop_catalog(&house);
    ran(&house, &["rebuild"], 15, "rbackup rebuild --without-volume 2");
    ran(
        &house,
        &["rebuild", "--without-volume", "2"],
        15,
        "up to 1 version ids were given there and are skipped: 3 to 3",
    );
    house.open();
    let anna = sign_in_again(&house, &anna);
    assert!(house.get(&anna, version(&house, &anna, "/three")) == noise(3, KEPT));
    house.download(&anna.session, 3).refused(404, "not_found");
    assert_eq!(newest(&house.put(&anna, "/two", &noise(2, LOST))), 5);
    house.stop();
    ran(&house, &["check"], 0, "volume 2 is lost");
}

#[test]
fn the_newest_volume_is_lost_and_no_id_of_it_is_given_again() {
    for catalog in [true, false] {
        let Story { mut house, anna, .. } = story();
        house.stop();
        let away = take(&house, 3);
        if !catalog {
            drop_catalog(&house);
        }
        ran(&house, &["rebuild"], 15, "volume 3 is not there");
        ran(&house, &["rebuild", "--without-volume", "3"], 15, "skipped: 4 to 4");
        house.open();
        assert_eq!(paths(&house, &anna).contains(&"/three".to_owned()), catalog);
        let next = house.put(&anna, "/four", b"4");
        assert_eq!(newest(&next), 5, "a stop in good order knows how far it went");
        house.stop();
        assert!(volume(&house, 4).is_dir() && !volume(&house, 3).exists(), "its number is not given again");
        std::fs::rename(away, volume(&house, 3)).expect("it is found");
        ran(&house, &["rebuild"], 0, "5 versions");
        house.open();
        assert_eq!(paths(&house, &anna), ["/four", "/one", "/three", "/two"]);
        assert!(house.get(&anna, version(&house, &anna, "/three")) == noise(3, KEPT));
    }
}

/// Nobody knows how much was acknowledged behind the catalog's last checkpoint.
#[test]
fn the_newest_volume_is_lost_after_a_kill_and_more_ids_are_skipped_than_it_can_have_given() {
    let Story { mut house, anna, .. } = story();
    house.restart();
    (0..5).for_each(|n| drop(house.put(&anna, &format!("/more/{n}"), &noise(20 + n, 100))));
    house.kill();
    let away = take(&house, 3);
    ran(&house, &["rebuild", "--without-volume", "3"], 15, "volume 3 is lost; up to 200001 version ids");
    house.open();
    let next = house.put(&anna, "/four", b"4");
    assert!(newest(&next) > 9 + 150_000, "{next}");
    house.stop();
    std::fs::rename(away, volume(&house, 3)).expect("it is found");
    ran(&house, &["rebuild"], 0, "10 versions");
    house.open();
    assert_eq!(paths(&house, &anna).len(), 9);
    assert!(
        house.get(&anna, version(&house, &anna, "/more/4")) == noise(24, 100),
        "what was acknowledged there is back"
    );
}

fn note(house: &House) -> PathBuf {
    house.data().join("newest")
}

/// After a kill without a checkpoint neither a catalog nor another volume has heard of the newest one: only its note has.
#[test]
fn the_newest_volume_is_lost_after_a_kill_and_nothing_but_its_note_knew_of_it() {
    for catalog in [true, false] {
        let Story { mut house, anna, .. } = story();
        house.kill();
        let away = take(&house, 3);
        if !catalog {
            drop_catalog(&house);
        }
        let before = inside(&house.data().join("volumes"));
        for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["rebuild"], &["check", "--salvage"]] {
            ran(&house, words, 15, "rbackup rebuild --without-volume 3");
        }
        ran(&house, &["check"], 15, "volume 3 is not there");
        assert!(inside(&house.data().join("volumes")) == before, "something was written");
        ran(&house, &["rebuild", "--without-volume", "3"], 15, "volume 3 is lost; up to 200000 version ids");
        house.open();
        assert_eq!(paths(&house, &anna), ["/one", "/two"]);
        let next = house.put(&anna, "/four", b"4");
        assert!(newest(&next) > 3 + 150_000, "{next}");
        house.stop();
        assert!(volume(&house, 4).is_dir() && !volume(&house, 3).exists(), "its number is not given again");
        std::fs::rename(away, volume(&house, 3)).expect("it is found");
        ran(&house, &["rebuild"], 0, "5 versions");
        house.open();
        assert_eq!(paths(&house, &anna), ["/four", "/one", "/three", "/two"]);
        assert!(house.get(&anna, version(&house, &anna, "/three")) == noise(3, KEPT), "what was acknowledged is back");
    }
}

/// A note that was written later than the copy that the volumes were put back from: what lies between is asked about.
#[test]
fn volumes_of_yesterday_beside_the_note_of_today_are_noticed() {
    let Story { mut house, anna, .. } = story();
    house.stop();
    let yesterday = house.beside("yesterday");
    let copied = |from: &Path, to: &Path| std::process::Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(copied(&house.data(), &yesterday).expect("cp runs").success());
    house.open();
    house.put(&anna, "/four", b"4");
    next_volume(&mut house);
    house.put(&anna, "/five", b"5");
    house.kill();
    let today = std::fs::read(note(&house)).expect("the note");
    std::fs::remove_dir_all(house.data()).expect("removed");
    assert!(copied(&yesterday, &house.data()).expect("cp runs").success());
    let older = std::fs::read(note(&house)).expect("the note");
    std::fs::write(note(&house), today).expect("written");
    ran(&house, &["rebuild"], 15, "volume 4 is not there");
    std::fs::write(note(&house), older).expect("written");
    ran(&house, &["check"], 0, "everything is whole");
    house.open();
    assert_eq!(paths(&house, &anna), ["/one", "/three", "/two"]);
}

#[test]
fn a_note_that_is_not_there_or_not_to_be_believed_costs_nothing_and_is_made_again() {
    let Story { mut house, anna, .. } = story();
    let older = std::fs::read(note(&house)).expect("the note");
    let mut foreign = House::start();
    foreign.stop();
    let of_another = std::fs::read(note(&foreign)).expect("the note of another store");
    let mut flipped = older.clone();
    flipped[20] ^= 4;
    let harms = [
        ("not there", None, false),
        ("older", Some(older.clone()), false),
        ("flipped", Some(flipped), true),
        ("cut", Some(older[..9].to_vec()), true),
        ("empty", Some(Vec::new()), true),
        ("another store's", Some(of_another), true),
    ];
    for (what, bytes, said) in harms {
        next_volume(&mut house);
        house.put(&anna, &format!("/{what}"), what.as_bytes());
        house.kill();
        match bytes {
            None => std::fs::remove_file(note(&house)).expect("removed"),
            Some(bytes) => std::fs::write(note(&house), bytes).expect("written"),
        }
        house.open();
        assert_eq!(house.log().contains("the note of the newest volume says nothing"), said, "{what}");
        assert!(house.get(&anna, version(&house, &anna, &format!("/{what}"))) == what.as_bytes());
        let newest = std::fs::read_dir(house.data().join("volumes")).expect("volumes").count();
        house.kill();
        let away = house.beside(&format!("away-{newest}"));
        std::fs::rename(volume(&house, newest as u32), &away).expect("the newest volume is there");
        ran(&house, &["rebuild"], 15, &format!("volume {newest} is not there"));
        std::fs::rename(away, volume(&house, newest as u32)).expect("back");
        house.open();
    }
    assert_eq!(paths(&house, &anna).len(), 9);
}

/// Planted: without its note nobody notices, whatever was acknowledged there.
#[test]
fn a_loss_that_nothing_knows_of_would_be_seen_by_these_tests() {
    let Story { mut house, .. } = story();
    house.kill();
    take(&house, 3);
    std::fs::remove_file(note(&house)).expect("removed");
    ran(&house, &["rebuild"], 0, "3 versions");
}
