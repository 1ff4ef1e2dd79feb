//! A data directory of every format that was ever released opens for ever; one of a later format is refused with a sentence.

use crate::support::Member;
use crate::support::api::{Way, newest, versions};
use crate::support::house::House;
use crate::support::sha256_hex;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const ANNA: (&str, &str, &str) = ("anna", "an old password", "anna.json");
const BERT: (&str, &str, &str) = ("bert", "another old one", "bert.json");

fn stored() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1")
}

/// A house with a copy of the old store, not open yet.
fn inherited() -> House {
    copy_of(&stored())
}

fn copy_of(stored: &Path) -> House {
    let house = House::empty();
    let copied = Command::new("cp").arg("-r").arg(stored.join("data")).arg(house.data()).status();
    assert!(copied.expect("cp runs").success(), "the stored directory is copied");
    house
}

fn expected(name: &str) -> Value {
    let text = std::fs::read_to_string(stored().join(name)).expect("the list beside the store");
    serde_json::from_str(&text).expect("it is JSON")
}

fn signed_in(house: &House, device: &str, (name, password, _): (&str, &str, &str)) -> Member {
    let answer = house.login(Way::Form, device, name, password).expect(201).json();
    let session = answer["session_id"].as_str().expect("a session").to_owned();
    Member { name: name.to_owned(), password: password.to_owned(), device: device.to_owned(), session }
}

/// Everything that is listed beside the old store is listed and comes back with its hash.
fn everything_is_there(house: &House, device: &str) -> u64 {
    let mut downloaded = 0;
    for who in [ANNA, BERT] {
        let member = signed_in(house, device, who);
        let files = house.files(&member);
        assert_eq!(Value::Array(files.clone()), expected(who.2), "the list of {}", who.0);
        for version in files.iter().flat_map(versions) {
            house.get(&member, version);
            downloaded += 1;
        }
    }
    downloaded
}

/// It was opened before sessions had generations and lifetimes: it follows the rules of those from now on.
fn a_session_of_then_rotates(house: &mut House, session: &str) {
    let second = house.rotated(session);
    house.restart();
    assert_eq!(house.rotated(session), second, "a lost answer");
    house.list_files(session, None).expect(200);
    let third = house.rotated(&second);
    house.list_files(&third, None).expect(200);
    house.list_files(&second, None).expect(200);
    house.list_files(session, None).refused(401, "no_session");
    house.list_files(&third, None).refused(401, "no_session");
}

#[test]
fn a_store_of_format_1_opens_and_gives_everything_back() {
    let mut house = inherited();
    house.open();
    assert_eq!(everything_is_there(&house, "a device of today"), 9);
    let session = std::fs::read_to_string(stored().join("session-of-anna")).expect("the session beside the store");
    house.secret(session.trim());
    house.list_files(session.trim(), None).expect(200);
    a_session_of_then_rotates(&mut house, session.trim());
    house.stop();
    let ran = house.run(&["check"]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let ran = house.run(&["rebuild"]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    house.open();
    assert_eq!(everything_is_there(&house, "after the rebuild"), 9);
    let member = signed_in(&house, "another device", ANNA);
    assert_eq!(newest(&house.put(&member, "/new", b"a file of today")), 12, "ids go on");
    house.restart();
    assert_eq!(house.get(&member, 12), b"a file of today");
}

/// Nobody counted then what is stored; the first quota does, once.
#[test]
fn an_account_of_format_1_gets_a_quota() {
    let mut house = inherited();
    let quota = |house: &House, words: &[&str]| -> Value {
        let ran = house.run(&[&["account", "quota", "anna", "--json"], words].concat());
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
        serde_json::from_slice(&ran.stdout).expect("JSON")
    };
    assert_eq!(quota(&house, &["--logical", "1GiB"])["stored_bytes"], Value::Null);
    let counted = quota(&house, &["--stored", "1GiB"]);
    assert!(counted["stored_bytes"].as_u64() > Some(10_000) && counted["logical_bytes"].as_u64() > Some(10_000));
    assert_eq!(house.run(&["rebuild"]).status.code(), Some(0));
    house.open();
    assert_eq!(quota(&house, &[]), counted, "for good");
    everything_is_there(&house, "a device of today");
}

/// restic's records came later, under the same number of the format.
#[test]
fn a_store_of_format_1_with_restics_objects_gives_them_back() {
    let mut house = copy_of(&stored().with_file_name("format-1-restic"));
    for round in 0..2 {
        house.open();
        let get = |path: &str| house.curl(&format!("/restic/{path}")).args(["-u", "anna:an old password"]).send();
        assert_eq!(get("photos/config").expect(200).body, b"the configuration");
        for kind in ["data", "keys", "locks", "snapshots", "index"] {
            let [kept, removed] =
                ["an old object of", "removed"].map(|text| sha256_hex(format!("{text} {kind}").as_bytes()));
            assert_eq!(get(&format!("photos/{kind}/{kept}")).expect(200).text(), format!("an old object of {kind}"));
            assert_eq!(get(&format!("photos/{kind}/{removed}")).status, 404);
        }
        let large = vec![b'x'; 1_300_000];
        assert!(get(&format!("photos/data/{}", sha256_hex(&large))).expect(200).body == large);
        assert_eq!(get("photos/data/").expect(200).json().as_array().map(Vec::len), Some(3));
        let other = sha256_hex(b"in another repository");
        assert_eq!(get(&format!("archive/2018/data/{other}")).expect(200).body, b"in another repository");
        house.stop();
        for words in [&["check"][..], &["rebuild"]].into_iter().take(2 - round) {
            let ran = house.run(words);
            assert_eq!(ran.status.code(), Some(0), "{ran:?}");
        }
    }
}

/// Generations, tokens and changed passwords came later, under the same number of the format.
#[test]
fn a_store_of_format_1_with_sessions_and_tokens_knows_who_may_do_what() {
    let stored = stored().with_file_name("format-1-access");
    let text = std::fs::read_to_string(stored.join("anna.json")).expect("what is beside the store");
    let anna: Value = serde_json::from_str(&text).expect("it is JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let [g0, g1, g2] = [0, 1, 2].map(|at| text(&anna["sessions"][at]));
    let (token, revoked) = (text(&anna["token"]), text(&anna["revoked"]));
    let mut house = copy_of(&stored);
    for words in [&["check"][..], &["rebuild"], &["check"]] {
        house.set_clock(anna["made"].as_u64().expect("a moment"));
        house.open();
        let listed = house.list_files(&token, None).expect(200).json();
        assert_eq!(listed[0]["original_name"], "/kept");
        assert_eq!(house.download(&token, 1).expect(200).body, b"kept under a changed password");
        house.remove_version(&token, 1).refused(403, "forbidden");
        house.list_files(&revoked, None).refused(401, "no_session");
        assert_eq!(house.rotated(&g1), g2, "the newest is unused: the same again");
        house.list_files(&g1, None).expect(200);
        for old in ["the first password", "an old password"] {
            house.login(Way::Form, "laptop", "anna", old).refused(401, "bad_credentials");
        }
        let restic = house.curl("/restic/x/config").args(["-u", "anna:a later password"]).send();
        assert_eq!(restic.status, 404);
        house.stop();
        let ran = house.run(words);
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    }
    house.open();
    house.list_files(&g2, None).expect(200);
    house.list_files(&g0, None).refused(401, "no_session");
    house.list_files(&g2, None).refused(401, "no_session");
    house.list_files(&token, None).expect(200);
}

/// The audit log came later, under the same number of the format.
#[test]
fn a_store_of_format_1_with_an_audit_log_says_what_it_said() {
    let stored = stored().with_file_name("format-1-audit");
    let said = std::fs::read_to_string(stored.join("audit.jsonl")).expect("what was exported then");
    let head = said.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok()).expect("an entry");
    let head = head["hash"].as_str().expect("its hash").to_owned();
    let mut house = copy_of(&stored);
    for words in [&["check"][..], &["rebuild"]] {
        let exported = house.run(&["audit", "export"]);
        assert_eq!(String::from_utf8_lossy(&exported.stdout), said, "{exported:?}");
        let verified = house.run(&["audit", "verify", "--head", &head]);
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
        assert_eq!(house.run(words).status.code(), Some(0), "{words:?}");
    }
    house.open();
    house.login(Way::Form, "a device of today", "anna", "an old password").expect(201);
    let exported = house.run(&["audit", "export"]);
    let exported = String::from_utf8_lossy(&exported.stdout).into_owned();
    assert!(exported.starts_with(&said) && exported.lines().count() == said.lines().count() + 1, "{exported}");
    assert_eq!(house.run(&["audit", "verify", "--head", &head]).status.code(), Some(0), "it goes on where it was");
}

/// Volumes that ended in good order, one that is lost and was given up, a frame that is damaged and was noticed, an account and a repository
/// that were removed: all of it came later, under the same number of the format.
#[test]
fn a_store_of_format_1_that_lost_a_volume_keeps_the_rest() {
    let stored = stored().with_file_name("format-1-sealed");
    let listed: Value =
        serde_json::from_str(&std::fs::read_to_string(stored.join("anna.json")).expect("the list")).expect("JSON");
    let mut house = copy_of(&stored);
    // A rebuild reads the footers, which the flipped byte did not hit.
    let rounds: [(&str, &[&str], i32); 3] =
        [("laptop 2", &["check", "--json"], 15), ("laptop 3", &["rebuild"], 0), ("laptop 4", &["check", "--json"], 15)];
    for (device, words, code) in rounds {
        house.open();
        let anna = signed_in(&house, device, ANNA);
        assert_eq!(Value::Array(house.files(&anna)), listed);
        for version in [1, 2, 3, 7, 10, 11, 12] {
            assert_eq!(house.get(&anna, version).len(), 30_000);
        }
        for version in [4, 5, 6, 8] {
            house.download(&anna.session, version).refused(500, "damaged");
        }
        house.login(Way::Form, "pc", "bert", "an old password").refused(401, "bad_credentials");
        let get = |path: &str| house.curl(&format!("/restic/{path}")).args(["-u", "anna:an old password"]).send();
        assert_eq!(get("photos/config").expect(200).text(), "config of photos");
        let object = "7fad9a59e399b16a7cd1fa0a64d48bd332e39380e90915257151c3b6a8b74dc3";
        assert_eq!(sha256_hex(&get(&format!("photos/data/{object}")).expect(200).body), object);
        assert_eq!(get("old/config").status, 404);
        house.stop();
        let ran = house.run(words);
        assert_eq!(ran.status.code(), Some(code), "{ran:?}");
        if let Ok(report) = serde_json::from_slice::<Value>(&ran.stdout) {
            let named = report["damaged"].as_array().expect("a list").iter();
            assert_eq!(named.map(|one| one["file_version_id"].as_u64()).collect::<Vec<_>>(), [4, 5, 6, 8].map(Some));
        }
    }
}

/// What was noticed then is remembered: the same content again makes the old version whole.
#[test]
fn damage_that_was_noticed_in_format_1_heals_today() {
    let stored = stored().with_file_name("format-1-sealed");
    let content = std::fs::read(stored.join("f8")).expect("the content of version 8");
    for noticed in [true, false] {
        let mut house = copy_of(&stored);
        if !noticed {
            std::fs::remove_file(house.data().join("suspects")).expect("planted: nothing was noticed");
        }
        house.open();
        let anna = signed_in(&house, "a device of today", ANNA);
        house.put(&anna, "/again", &content);
        let answer = house.download(&anna.session, 8);
        assert_eq!(answer.status == 200 && answer.body == content, noticed, "{}", answer.status);
    }
}

/// Planted: with a volume missing the same comparison must fail.
#[test]
fn a_store_that_lost_its_first_volume_does_not_pass() {
    let house = inherited();
    std::fs::remove_file(house.data().join("volumes/00000001/db.crashed")).expect("remove its blocks");
    let ran = house.run(&["check"]);
    assert_eq!(ran.status.code(), Some(15), "{ran:?}");
}

#[test]
fn a_later_format_is_refused_with_a_sentence_and_left_as_it_is() {
    let house = inherited();
    let format = house.data().join("FORMAT");
    let text = std::fs::read_to_string(&format).expect("read FORMAT");
    let later = text.replace("rbackup_format = 1", "rbackup_format = 2") + "something_new = true\n";
    std::fs::write(&format, &later).expect("written");
    for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["check"], &["rebuild"]] {
        let ran = house.run(words);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(11), "{words:?}: {said}");
        assert!(said.contains("it has format 2, this program knows format 1"), "{words:?}: {said}");
    }
    assert_eq!(std::fs::read_to_string(&format).expect("read FORMAT"), later);
}
