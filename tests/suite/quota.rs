//! Quotas: what an account may keep, before a body comes, while it comes, and however many race; and that the counts are right after
//! everything.

use crate::support::api::file_id;
use crate::support::curl::Curl;
use crate::support::raw::Raw;
use crate::support::{Answer, House, Member, noise, sha256_hex};
use base64::Engine as _;
use serde_json::{Value, json};
use std::fs;
use std::sync::Barrier;
use std::thread;

const MIB: usize = 1 << 20;

/// Method, target, fields.
type Head<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

fn home() -> (House, Member) {
    let house = House::start();
    house.member("anna", "desk");
    let bert = house.member("bert", "laptop");
    (house, bert)
}

#[track_caller]
fn quota(house: &House, words: &[&str]) -> Value {
    let ran = house.run(&[&["account", "quota", "bert", "--json"], words].concat());
    assert!(ran.status.success(), "{ran:?}");
    serde_json::from_slice(&ran.stdout).expect("JSON")
}

#[track_caller]
fn usage(house: &House, member: &Member) -> Value {
    house.curl("/api/v1/account").session(&member.session).send().expect(200).json()["usage"].clone()
}

fn raw_upload(house: &House, member: &Member, path: &str, body: &[u8]) -> Answer {
    house.curl(&format!("/upload?file_path={path}")).session(&member.session).method("PUT").data(body).send()
}

#[test]
fn a_quota_is_set_shown_and_lifted_with_and_without_a_server() {
    let (mut house, bert) = home();
    house.put(&bert, "/x", b"12345");
    for served in [true, false] {
        if !served {
            house.stop();
        }
        let set = quota(&house, &["--logical", "20KiB", "--stored", "1MB"]);
        assert_eq!((&set["logical_bytes"], &set["logical_bytes_max"]), (&json!(5), &json!(20_480)), "{set}");
        assert_eq!(set["stored_bytes_max"], 1_000_000);
        assert!(set["stored_bytes"].as_u64().is_some_and(|bytes| bytes > 5), "sealed: {set}");
        assert_eq!(quota(&house, &["--logical", "7"])["stored_bytes_max"], 1_000_000, "the other one stays");
        let text = house.run(&["account", "quota", "bert"]);
        assert!(String::from_utf8_lossy(&text.stdout).starts_with("logical:  5 B, quota 7 B\nstored:   "), "{text:?}");
        let shown = house.run(&["account", "show", "bert", "--json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
        assert_eq!(shown["usage"], quota(&house, &[]));
        for words in [&["--logical", "x"][..], &["--stored", "-1"], &["--logical", "1.5G"], &["--stored"]] {
            let ran = house.run(&[&["account", "quota", "bert"], words].concat());
            assert_eq!(ran.status.code(), Some(2), "{words:?}: {ran:?}");
        }
        assert_eq!(house.run(&["account", "quota", "nobody", "--logical", "1"]).status.code(), Some(10));
        assert_eq!(quota(&house, &[])["logical_bytes_max"], 7, "nothing was changed");
        let lifted = quota(&house, &["--logical", "none", "--stored", "none"]);
        assert_eq!((&lifted["logical_bytes_max"], &lifted["stored_bytes_max"]), (&Value::Null, &Value::Null));
    }
    house.open();
    let shown = house.curl("/api/v1/account").session(&bert.session).send().expect(200).json();
    assert_eq!((&shown["username"], &shown["administrator"]), (&json!("bert"), &json!(false)));
}

#[test]
fn what_cannot_fit_is_refused_before_its_body() {
    let (house, bert) = home();
    house.put(&bert, "/kept", &[7; 600]);
    quota(&house, &["--logical", "1000"]);
    let session = [("RBackup-Session-Pass", bert.session.as_str())];
    let heads: [Head; 4] = [
        ("PUT", "/upload?file_path=/x", &[("Content-Length", "401")]),
        ("PUT", "/upload?file_path=/x&size=401", &[("Transfer-Encoding", "chunked")]),
        (
            "POST",
            "/upload?file_path=/x&size=401",
            &[("Content-Type", "multipart/form-data; boundary=b"), ("Content-Length", "900")],
        ),
        (
            "POST",
            "/upload?file_path=/x",
            &[("Content-Type", "multipart/form-data; boundary=b"), ("Content-Length", "9000000")],
        ),
    ];
    for (method, target, fields) in heads {
        let mut wire = Raw::to(&house);
        wire.head(&format!("{method} {target}"), &[&session, fields].concat());
        let answer = wire.answer();
        assert_eq!(answer.status, 507, "{target}: {}", answer.text());
        let told = answer.json();
        assert_eq!(told["code"], "quota_reached", "{told}");
        assert_eq!(told["error"], "The account may keep 1000 logical bytes and has 600; nothing was kept.");
    }
    assert_eq!(raw_upload(&house, &bert, "/x", &[1; 400]).status, 200, "to the byte");
    assert_eq!(usage(&house, &bert)["logical_bytes"], 1000);
    raw_upload(&house, &bert, "/y", b"1").refused(507, "quota_reached");
    assert_eq!(raw_upload(&house, &bert, "/empty", b"").status, 200, "nothing is nothing");
    assert_eq!(house.files(&bert).len(), 3);
    // Another account has room.
    house.put(&house.member("cora", "laptop"), "/x", &[1; 2000]);
}

#[test]
fn what_says_no_length_is_refused_while_it_comes() {
    let (house, bert) = home();
    quota(&house, &["--logical", "1MiB"]);
    let body = noise(1, 3 * MIB);
    let chunked = house.curl("/upload?file_path=/x").session(&bert.session).method("PUT");
    let answer =
        chunked.header("Transfer-Encoding", "chunked").header("Expect", "").args(["-T", "-"]).stdin(&body).try_send();
    assert_eq!((answer.status, answer.json()["code"].clone()), (507, json!("quota_reached")), "{answer:?}");
    let form = house.curl("/upload?file_path=/x").session(&bert.session).method("POST");
    let form = form.form_file("file", &body).form_text("file-hash", &sha256_hex(&body)).try_send();
    assert_eq!((form.status, form.json()["code"].clone()), (507, json!("quota_reached")), "{form:?}");
    assert!(house.files(&bert).is_empty());
    assert_eq!(usage(&house, &bert)["logical_bytes"], 0);
}

#[test]
fn removing_makes_room_and_a_smaller_quota_takes_nothing() {
    let (house, bert) = home();
    let file = house.put(&bert, "/x", &[1; 900]);
    house.put(&bert, "/x", &[2; 50]);
    quota(&house, &["--logical", "100"]);
    assert_eq!(usage(&house, &bert)["logical_bytes"], 950);
    assert_eq!(house.get(&bert, crate::support::api::newest(&file)), [1; 900], "what is there stays");
    raw_upload(&house, &bert, "/y", b"1").refused(507, "quota_reached");
    house.remove_file(&bert.session, file_id(&file)).expect(200);
    assert_eq!(usage(&house, &bert)["logical_bytes"], 0);
    assert_eq!(raw_upload(&house, &bert, "/y", &[3; 100]).status, 200);
}

#[test]
fn a_version_that_is_brought_back_counts_like_any_other() {
    let (mut house, bert) = home();
    let file = house.put(&bert, "/x", &[1; 600]);
    let version = crate::support::api::newest(&file);
    quota(&house, &["--logical", "1000"]);
    // Nobody has asked since the start.
    house.restart();
    let restore = |house: &House| {
        let path = format!("/api/v1/restore?file_version_id={version}");
        house.curl(&path).method("POST").session(&bert.session).send()
    };
    restore(&house).refused(507, "quota_reached");
    assert_eq!(house.files(&bert)[0]["versions"].as_array().map(Vec::len), Some(1));
    quota(&house, &["--logical", "1200"]);
    restore(&house).expect(201);
    assert_eq!(usage(&house, &bert)["logical_bytes"], 1200);
}

#[test]
fn of_many_that_race_only_so_many_fit() {
    let (house, bert) = home();
    assert_eq!(race(&house, &bert), [200; 8], "planted: nobody is refused without a quota");
    quota(&house, &["--logical", "340000"]);
    let statuses = race(&house, &bert);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 507).count(), 5, "{statuses:?}");
    assert_eq!(usage(&house, &bert)["logical_bytes"], 330_000);
}

/// Eight uploads of 30 000 bytes at the same time.
fn race(house: &House, member: &Member) -> Vec<u16> {
    let start = Barrier::new(8);
    thread::scope(|scope| {
        let race = |n: u8| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                raw_upload(house, member, &format!("/{n}"), &[n; 30_000]).status
            })
        };
        let racers: Vec<_> = (0..8).map(race).collect();
        racers.into_iter().map(|racer| racer.join().expect("a racer ends")).collect()
    })
}

#[test]
fn stored_bytes_count_what_is_new_and_never_go_over() {
    let (house, bert) = home();
    let body = noise(2, 2 * MIB);
    house.put(&bert, "/x", &body);
    let before = quota(&house, &["--stored", "3MiB"])["stored_bytes"].as_u64().expect("counted");
    assert!((2 * MIB as u64..(2 * MIB + 10_000) as u64).contains(&before), "{before}");
    // The same again, and what compresses well, cost next to nothing.
    house.put(&bert, "/y", &body);
    house.put(&bert, "/z", &vec![0; 4 * MIB]);
    let after = usage(&house, &bert)["stored_bytes"].as_u64().expect("counted");
    assert!(after < before + 20_000, "{before} {after}");
    let refused = raw_upload(&house, &bert, "/new", &noise(3, 2 * MIB)).refused(507, "quota_reached");
    assert!(refused.text().contains("stored bytes"), "{}", refused.text());
    let now = usage(&house, &bert)["stored_bytes"].as_u64().expect("counted");
    assert!(now <= 3 * MIB as u64, "{now}");
    assert_eq!(house.files(&bert).len(), 3);
    house.put(&bert, "/y", &body);
    quota(&house, &["--stored", "none"]);
    house.put(&bert, "/new", &noise(3, 2 * MIB));
}

/// A repository `r` of Bert's, by curl.
struct Repo<'a>(&'a House, &'a Member);

impl Repo<'_> {
    fn ask(&self, method: &str, path: &str) -> Curl {
        let Self(house, bert) = self;
        house.curl(path).method(method).args(["-u".to_owned(), format!("bert:{}", bert.password)])
    }

    fn post(&self, kind: &str, body: &[u8]) -> Answer {
        self.ask("POST", &path(kind, body)).data(body).send()
    }

    fn delete(&self, kind: &str, body: &[u8]) {
        self.ask("DELETE", &path(kind, body)).send().expect(200);
    }

    /// Says that so many bytes come, and sends none.
    fn announce(&self, kind: &str, bytes: usize) -> u16 {
        let Self(house, bert) = self;
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("bert:{}", bert.password));
        let (basic, bytes) = (format!("Basic {basic}"), bytes.to_string());
        let mut wire = Raw::to(house);
        let fields = [("Authorization", basic.as_str()), ("Content-Length", bytes.as_str())];
        wire.head(&format!("POST {}", path(kind, b"never comes")), &fields);
        wire.answer().status
    }
}

fn path(kind: &str, body: &[u8]) -> String {
    format!("/restic/r/{kind}/{}", sha256_hex(body))
}

#[test]
fn a_full_account_takes_locks_and_lets_restic_free_it() {
    let (house, bert) = home();
    let repo = Repo(&house, &bert);
    repo.ask("POST", "/restic/r/config").data(b"config").send().expect(200);
    let (pack, index) = (noise(4, 5000), noise(6, 3 * MIB));
    repo.post("data", &pack).expect(200);
    quota(&house, &["--logical", "5006", "--stored", "5200"]);
    repo.post("data", &noise(5, 200)).refused(507, "quota_reached");
    repo.post("snapshots", b"snapshot").refused(507, "quota_reached");
    repo.post("locks", b"a lock").expect(200);
    repo.post("index", &index).expect(200);
    repo.post("data", &pack).expect(200);
    assert_eq!(usage(&house, &bert)["logical_bytes"], 5006 + 6 + 3 * MIB);
    assert_eq!(repo.announce("data", 100_000), 507, "before its body");
    assert_eq!(repo.announce("index", 65 * MIB), 507, "the reserve is so much and no more");
    repo.delete("data", &pack);
    repo.delete("index", &index);
    repo.delete("locks", b"a lock");
    assert_eq!(usage(&house, &bert)["logical_bytes"], 6);
    quota(&house, &["--stored", "none"]);
    repo.post("data", &noise(7, 4000)).expect(200);
    repo.ask("DELETE", "/restic/r/").send().expect(403);
    assert!(house.run(&["repo", "remove", "--account", "bert", "r", "--yes"]).status.success());
    assert_eq!(usage(&house, &bert)["logical_bytes"], 0, "a repository that is removed frees all of it");
}

#[test]
fn a_quota_far_below_what_is_there_still_lets_restic_remove() {
    let (mut house, bert) = home();
    let packs = [noise(10, 60 * MIB), noise(11, 60 * MIB)];
    Repo(&house, &bert).ask("POST", "/restic/r/config").data(b"config").send().expect(200);
    packs.iter().for_each(|pack| drop(Repo(&house, &bert).post("data", pack).expect(200)));
    quota(&house, &["--logical", "1MiB", "--stored", "1MiB"]);
    for restarted in [false, true] {
        if restarted {
            house.kill();
            house.open();
        }
        let repo = Repo(&house, &bert);
        repo.post("data", b"another pack").refused(507, "quota_reached");
        repo.post("locks", b"a lock").expect(200);
        repo.post("index", &noise(12, MIB)).expect(200);
        repo.delete("index", &noise(12, MIB));
        repo.delete("locks", b"a lock");
    }
    let repo = Repo(&house, &bert);
    assert_eq!(repo.announce("index", 65 * MIB), 507, "beside what is there");
    packs.iter().for_each(|pack| repo.delete("data", pack));
    quota(&house, &["--stored", "none"]);
    assert_eq!(repo.announce("index", 66 * MIB), 507, "and that follows it down");
    repo.post("index", &noise(13, 2 * MIB)).expect(200);
}

#[test]
fn the_local_realm_has_a_quota_too() {
    let (mut house, _) = home();
    house.stop();
    let dir = house.beside("rest-server");
    let pack = noise(14, 5000);
    fs::create_dir_all(dir.join("data")).expect("made");
    fs::write(dir.join("config"), b"config").expect("written");
    fs::write(dir.join("data").join(sha256_hex(&pack)), &pack).expect("written");
    let set = |bound: &str| {
        let ran = house.run(&["account", "quota", "LOCAL", "--json", "--logical", bound]);
        assert!(ran.status.success(), "{ran:?}");
        serde_json::from_slice::<Value>(&ran.stdout).expect("JSON")
    };
    assert_eq!((&set("4000")["logical_bytes"], &set("4000")["logical_bytes_max"]), (&json!(0), &json!(4000)));
    let import = || house.run(&["repo", "import", &dir.to_string_lossy(), "r"]);
    let refused = import();
    assert_eq!(refused.status.code(), Some(14), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("may keep 4000 logical bytes"), "{refused:?}");
    set("6000");
    assert_eq!(import().status.code(), Some(0));
    assert_eq!(set("none")["logical_bytes"], 5006);
    house.open();
}

#[test]
fn counts_and_quotas_survive_kills_rebuilds_and_moves() {
    let (mut house, bert) = home();
    quota(&house, &["--logical", "10MiB", "--stored", "20MiB"]);
    let file = house.put(&bert, "/x", &noise(8, MIB));
    house.put(&bert, "/y", &noise(9, 50_000));
    house.remove_file(&bert.session, file_id(&file)).expect(200);
    let counted = usage(&house, &bert);
    assert_eq!((&counted["logical_bytes"], &counted["logical_bytes_max"]), (&json!(50_000), &json!(10 * MIB)));
    house.kill();
    house.open();
    assert_eq!(usage(&house, &bert), counted, "after a kill");
    house.stop();
    assert!(house.run(&["rebuild"]).status.success());
    house.open();
    assert_eq!(usage(&house, &bert), counted, "after a rebuild");
    house.stop();
    let (stream, moved) = (house.beside("all.rbackup"), house.beside("moved"));
    assert!(house.run(&["export", &stream.to_string_lossy()]).status.success());
    let imported = house.program().args(["import", "--data"]).args([&moved, &stream]).output().expect("runs");
    assert!(imported.status.success(), "{imported:?}");
    let shown =
        house.program().args(["account", "quota", "bert", "--json", "--data"]).arg(&moved).output().expect("runs");
    assert_eq!(serde_json::from_slice::<Value>(&shown.stdout).expect("JSON"), counted, "after a move: {shown:?}");
    house.open();
}
