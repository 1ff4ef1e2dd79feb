//! The audit log: every event with who, whose and from where; what strangers may cost; and a log that was touched.

mod chain;

use crate::support::api::Way::Form;
use crate::support::{Answer, House, Member};
use serde_json::{Value, json};

fn house(limits: &str) -> House {
    let mut house = House::empty();
    let file = house.beside("rbackup.toml");
    let text = format!("[limits]\nfailed_sign_ins_per_address = 0\nfailed_sign_ins_per_account = 0\n{limits}\n");
    std::fs::write(&file, text).expect("write the config");
    house.open_with(&["--config", &file.to_string_lossy()]);
    house
}

/// Every entry, the oldest first, as the command says them; with or without a server.
#[track_caller]
fn exported(house: &House) -> Vec<Value> {
    let ran = house.run(&["audit", "export"]);
    assert!(ran.status.success(), "{ran:?}");
    let said = String::from_utf8(ran.stdout).expect("text");
    let leaks = house.leaks_in(&said);
    assert!(leaks.is_empty(), "secrets stand in the audit log: {leaks:?}");
    said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What is left of entries when numbers, times and hashes are taken away.
fn told(entries: &[Value]) -> Vec<(String, String, String, String)> {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let entry = |it: &Value| (text(it, "event"), text(it, "username"), text(it, "by"), text(it, "subject"));
    entries.iter().map(entry).collect()
}

fn is(event: &str, username: &str, by: &str, subject: &str) -> (String, String, String, String) {
    (event.to_owned(), username.to_owned(), by.to_owned(), subject.to_owned())
}

fn delete(house: &House, path: &str, session: &str) -> Answer {
    house.curl(path).method("DELETE").session(session).send()
}

fn run(house: &House, words: &[&str], lines: &str) {
    let ran = house.run_reading(words, lines);
    assert!(ran.status.success(), "{words:?}: {ran:?}");
}

/// A day in which everything happens that is audited, and what has to stand in the log of it.
fn day(house: &House) -> Vec<(String, String, String, String)> {
    let anna = house.member("anna", "desk");
    let bert = house.member("bert", "laptop");
    house.put(&bert, "/a file's name", b"x");
    house.put(&bert, "/b", b"y");
    house.login(Form, "laptop", "bert", "the password of nobody").refused(401, "bad_credentials");
    house.login(Form, "laptop", "the password of bert", "x").refused(401, "bad_credentials");
    let (token, secret) = house.token(&bert.session, &json!({"name": "cron", "scopes": ["delete"]}));
    delete(house, "/remove/fileVersion?file_version_id=1", &secret).expect(200);
    delete(house, "/remove/file?file_id=2", &bert.session).expect(200);
    delete(house, &format!("/api/v1/tokens?id={token}"), &bert.session).expect(200);
    let list = house.curl("/list/files").session(&bert.session).header("RBackup-Device", "desk").send();
    list.refused(401, "wrong_device");
    let second = house.rotated(&bert.session);
    let third = house.rotated(&second);
    house.list_files(&third, None).expect(200);
    house.list_files(&bert.session, None).refused(401, "no_session");
    let invited = house.curl("/api/v1/invites").method("POST").session(&anna.session).send().expect(201).json();
    house.secret(invited["invite"].as_str().expect("a code"));
    let invite = invited["id"].as_str().expect("an id").to_owned();
    delete(house, &format!("/api/v1/invites?id={invite}"), &anna.session).expect(204);
    run(house, &["account", "quota", "bert", "--logical", "1MB"], "");
    run(house, &["account", "disable", "bert"], "");
    run(house, &["account", "enable", "bert"], "");
    run(house, &["account", "passwd", "bert"], "the password of bert\na new password of bert\n");
    run(house, &["account", "remove", "bert", "--yes"], "");
    delete(house, "/api/v1/sessions?id=all", &anna.session).expect(200);
    vec![
        is("registered", "anna", "", "the administrator"),
        is("signed_in", "anna", "password", "desk"),
        is("registered", "bert", "", ""),
        is("signed_in", "bert", "password", "laptop"),
        is("sign_in_failed", "bert", "", ""),
        is("sign_in_failed", "", "", "an unknown name"),
        is("token_made", "bert", "device laptop", &format!("{token} \"cron\": delete")),
        is("removed", "bert", &format!("token {token} \"cron\""), "file 1, version 1"),
        is("removed", "bert", "device laptop", "file 2, version 2"),
        is("token_revoked", "bert", "device laptop", &format!("token {token}")),
        is("wrong_device", "bert", "", "laptop"),
        is("session_reused", "bert", "a replaced session", "laptop"),
        is("invite_made", "anna", "device desk", &invite),
        is("invite_revoked", "", "device desk", &invite),
        is("quota_set", "bert", "the machine's owner", "logical 1000000, stored none"),
        is("disabled", "bert", "the machine's owner", ""),
        is("enabled", "bert", "the machine's owner", ""),
        is("password_changed", "bert", "password", ""),
        is("account_removed", "bert", "the machine's owner", ""),
        is("signed_out", "anna", "device desk", "desk"),
    ]
}

#[test]
fn every_event_is_there_with_who_and_whose_also_after_a_kill_a_rebuild_and_a_move() {
    let mut house = house("");
    let expected = day(&house);
    let entries = exported(&house);
    let seen = told(&entries);
    // What strangers do is noted beside: it may come a little later than what waits for its record.
    assert_eq!(sorted(&seen), sorted(&expected));
    let in_order = |all: &[(String, String, String, String)]| {
        all.iter()
            .filter(|it| !["sign_in_failed", "wrong_device"].contains(&it.0.as_str()))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(in_order(&seen), in_order(&expected));
    assert!(entries.iter().enumerate().all(|(at, entry)| entry["number"] == at as u64 + 1), "numbered without a gap");
    let from = |event: &str| entries.iter().find(|it| it["event"] == event).expect("it is there")["address"].clone();
    assert_eq!((from("signed_in"), from("quota_set")), ("127.0.0.1".into(), "this machine".into()));
    assert_eq!((from("sign_in_failed"), from("session_reused")), ("127.0.0.1".into(), "127.0.0.1".into()));
    let whole = serde_json::to_string(&entries).expect("JSON");
    assert!(!whole.contains("a file's name") && !whole.contains("password of"), "no names of files, nothing typed");
    house.kill();
    assert_eq!(exported(&house), entries, "what was acknowledged is in the log after a kill, without a server too");
    assert!(house.run(&["rebuild"]).status.success());
    assert_eq!(exported(&house), entries, "after a rebuild");
    let (file, moved) = (house.beside("all.rbackup"), house.beside("moved"));
    assert!(house.run(&["export", &file.to_string_lossy()]).status.success());
    assert_eq!(chain::import(&house, &file, &moved).status.code(), Some(0));
    let ran = chain::audit(&house, &moved, &["export"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout).lines().count(), entries.len(), "after a move");
    assert_eq!(chain::audit(&house, &moved, &["verify"]).status.code(), Some(0));
}

fn sorted(told: &[(String, String, String, String)]) -> Vec<(String, String, String, String)> {
    let mut sorted = told.to_vec();
    sorted.sort();
    sorted
}

#[test]
fn the_administrator_sees_all_and_an_account_its_own() {
    let house = house("");
    let anna = house.member("anna", "desk");
    let bert = house.member("bert", "laptop");
    for _ in 0..20 {
        house.login(Form, "desk", "anna", &anna.password).expect(200);
    }
    let anna = Member {
        session: house.login(Form, "desk", "anna", &anna.password).json()["session_id"]
            .as_str()
            .expect("one")
            .to_owned(),
        ..anna
    };
    house.secret(&anna.session);
    let page = |member: &Member, query: &str| {
        house.curl(&format!("/api/v1/audit{query}")).session(&member.session).send().expect(200).json()
    };
    let names = |page: &Value| {
        let entries = page["entries"].as_array().expect("an array").iter();
        entries.map(|it| it["username"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let all = page(&anna, "?limit=1000");
    assert_eq!((all["entries"].as_array().map(Vec::len), &all["next"]), (Some(25), &Value::Null), "{all}");
    assert_eq!(all["entries"][0]["number"], 25, "the newest first");
    assert_eq!(names(&page(&bert, "")), ["bert", "bert"]);
    let (mut seen, mut next) = (Vec::new(), Value::Null);
    loop {
        let before = next.as_u64().map_or(String::new(), |number| format!("&before={number}"));
        let one = page(&anna, &format!("?limit=7{before}"));
        seen.extend(one["entries"].as_array().expect("an array").clone());
        next = one["next"].clone();
        if next.is_null() {
            break;
        }
    }
    assert_eq!(Value::from(seen), all["entries"], "pages are together the whole");
    for query in ["?limit=0", "?limit=1001", "?before=x", "?before=-1"] {
        house.curl(&format!("/api/v1/audit{query}")).session(&anna.session).send().expect(400);
    }
    let shown = house.run(&["audit", "show", "--account", "BERT", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown.as_array().map(Vec::len), Some(2), "{shown}");
    assert_eq!(house.run(&["audit", "show", "--account", "nobody"]).status.code(), Some(10));
    let text = String::from_utf8(house.run(&["audit", "show", "--limit", "3"]).stdout).expect("text");
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn strangers_cost_an_entry_a_minute_and_all_of_them_are_counted() {
    let mut house = house("connections_per_address = 4096");
    house.member("anna", "desk");
    let urls = format!("{}/account/login?username=anna&device_id=x&password=wrong[1-200]", house.url());
    let many = std::process::Command::new("curl")
        .args(["-q", "-sS", "-o", "/dev/null", "-w", "%{http_code}\n", "--parallel", "--parallel-max", "4", &urls])
        .output()
        .expect("curl runs");
    let said = String::from_utf8_lossy(&many.stdout).into_owned();
    let failed = said.lines().filter(|code| *code == "401").count();
    assert!(failed > 100, "{said}");
    house.stop();
    let entries = exported(&house);
    let strangers: Vec<&Value> = entries.iter().filter(|it| it["event"] == "sign_in_failed").collect();
    let counted: u64 = strangers.iter().filter_map(|it| it["count"].as_u64()).sum();
    assert!(strangers.len() <= 64, "{} entries", strangers.len());
    assert_eq!(counted, failed as u64, "none is lost");
    assert_eq!(strangers.last().expect("some")["subject"], "left out before");
}
