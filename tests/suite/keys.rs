//! Passwords and recovery codes: who may set a new one, what ends with it, and that the content stays readable without being
//! written again, or is given up knowingly.

use crate::support::api::Way::Form;
use crate::support::api::newest;
use crate::support::house::disk_bytes;
use crate::support::{Answer, House, Member, noise};
use serde_json::{Value, json};

const NEW: &str = "another horse";
const NEWER: &str = "a third horse";

/// A house with somebody who has a file, and the recovery code.
fn home() -> (House, Member, String) {
    let house = House::start();
    let registered = house.register(Form, "anna", "the first horse").expect(201).json();
    let code = registered["recovery_code"].as_str().expect("a code").to_owned();
    let fresh = Member {
        name: "anna".into(),
        password: "the first horse".into(),
        device: String::new(),
        session: String::new(),
    };
    let member = house.device(&fresh, "laptop");
    (house, member, code)
}

fn password(house: &House, wish: &Value) -> Answer {
    post(house, "/api/v1/account/password", wish)
}

fn post(house: &House, path: &str, wish: &Value) -> Answer {
    for name in ["password", "new_password", "recovery_code"] {
        wish[name].as_str().into_iter().for_each(|text| house.secret(text));
    }
    let answer = house.json("POST", path, wish).send();
    let held: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    held["recovery_code"].as_str().into_iter().for_each(|text| house.secret(text));
    answer
}

#[track_caller]
fn signed_in(house: &House, member: &Member, password: &str) -> Member {
    let answer = house.login(Form, "laptop", &member.name, password);
    assert!([200, 201].contains(&answer.status), "{}", answer.text());
    Member { session: answer.json()["session_id"].as_str().expect("a session").to_owned(), ..member.clone() }
}

#[test]
fn a_new_password_ends_all_sessions_and_opens_the_same_content_without_writing_it_again() {
    let (mut house, member, _) = home();
    let body = noise(1, 3 << 20);
    let version = newest(&house.put(&member, "/x", &body));
    let (_, token) = house.token(&member.session, &json!({"name": "t", "scopes": ["restore"]}));
    house.device(&member, "phone");
    let before = disk_bytes(&house.data().join("volumes"));
    let answer = password(&house, &json!({"username": "Anna", "password": member.password, "new_password": NEW}))
        .expect(200)
        .json();
    assert_eq!(answer, json!({"sessions_ended": 2, "tokens_revoked": 0}));
    house.list_files(&member.session, None).refused(401, "no_session");
    house.login(Form, "laptop", "anna", &member.password).refused(401, "bad_credentials");
    house.restart();
    house.login(Form, "laptop", "anna", &member.password).refused(401, "bad_credentials");
    let member = signed_in(&house, &member, NEW);
    assert!(house.get(&member, version) == body);
    assert!(house.download(&token, version).expect(200).body == body, "a token goes on");
    assert!(disk_bytes(&house.data().join("volumes")) < before + (2 << 20), "nothing was encrypted anew");
    let revoked = json!({"username": "anna", "password": NEW, "new_password": NEWER, "revoke_tokens": "true"});
    assert_eq!(password(&house, &revoked).expect(200).json()["tokens_revoked"], 1);
    house.download(&token, version).refused(401, "no_session");
    house.stop();
    assert_eq!(house.run(&["rebuild"]).status.code(), Some(0));
    house.open();
    assert!(house.get(&signed_in(&house, &member, NEWER), version) == body);
}

#[test]
fn who_shows_nothing_changes_nothing() {
    let (house, member, code) = home();
    let mut other = code.clone().into_bytes();
    other[0] = if other[0] == b'0' { b'1' } else { b'0' };
    let other = String::from_utf8(other).expect("text");
    let rows = [
        (json!({"username": "anna", "password": "a wrong horse", "new_password": NEW}), 401, "bad_credentials"),
        (json!({"username": "nobody", "password": "a wrong horse", "new_password": NEW}), 401, "bad_credentials"),
        (json!({"username": "anna", "recovery_code": other, "new_password": NEW}), 401, "bad_recovery_code"),
        (json!({"username": "anna", "recovery_code": "", "new_password": NEW}), 401, "bad_recovery_code"),
        (json!({"username": "nobody", "recovery_code": code, "new_password": NEW}), 401, "bad_recovery_code"),
        (json!({"username": "anna", "password": member.password, "new_password": "short"}), 400, "invalid"),
        (json!({"username": "anna", "password": member.password}), 400, "missing_parameter"),
        (json!({"username": "anna", "new_password": NEW}), 400, "missing_parameter"),
    ];
    for (wish, status, told) in rows {
        password(&house, &wish).refused(status, told);
        if wish["recovery_code"].is_string() {
            post(&house, "/api/v1/account/recover", &wish).refused(status, told);
        }
    }
    house.list_files(&member.session, None).expect(200);
    let answer = |name: &str| {
        let answer = password(&house, &json!({"username": name, "password": "a wrong horse", "new_password": NEW}));
        (answer.status, answer.json()["error"].clone(), answer.json()["code"].clone())
    };
    assert_eq!(answer("anna"), answer("nobody"), "an unknown name is answered like a wrong password");
}

#[test]
fn the_recovery_code_opens_the_content_however_it_is_written_and_is_good_once() {
    let (house, member, code) = home();
    let version = newest(&house.put(&member, "/x", b"not lost"));
    let (_, token) = house.token(&member.session, &json!({"name": "t", "scopes": ["restore"]}));
    let recover = |code: &str, new: &str| {
        post(
            &house,
            "/api/v1/account/recover",
            &json!({"username": "anna", "recovery_code": code, "new_password": new}),
        )
    };
    let written = code.to_lowercase().replace('-', " ");
    let answer = recover(&written, NEW).expect(200).json();
    assert_eq!((&answer["sessions_ended"], &answer["tokens_revoked"]), (&json!(1), &json!(1)));
    let next = answer["recovery_code"].as_str().expect("the next code");
    assert_ne!(next, code);
    house.list_files(&member.session, None).refused(401, "no_session");
    house.list_files(&token, None).refused(401, "no_session");
    recover(&code, NEWER).refused(401, "bad_recovery_code");
    let member = signed_in(&house, &member, NEW);
    assert_eq!(house.get(&member, version), b"not lost");
    recover(next, NEWER).expect(200);
    assert_eq!(house.get(&signed_in(&house, &member, NEWER), version), b"not lost");
}

#[test]
fn the_recovery_code_sets_a_password_too_and_stays() {
    let (house, member, code) = home();
    for new in [NEW, NEWER] {
        password(&house, &json!({"username": "anna", "recovery_code": code, "new_password": new})).expect(200);
        signed_in(&house, &member, new);
    }
}

#[test]
fn of_two_who_change_a_password_at_once_one_does() {
    let (house, member, _) = home();
    let change = |new: &str| {
        password(&house, &json!({"username": "anna", "password": member.password, "new_password": new})).status
    };
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| change(NEW));
        let two = scope.spawn(|| change(NEWER));
        (one.join().expect("asked"), two.join().expect("asked"))
    });
    let won: Vec<&str> =
        [(one, NEW), (two, NEWER)].into_iter().filter(|(status, _)| *status == 200).map(|(_, new)| new).collect();
    assert_eq!(won.len(), 1, "{one} {two}");
    assert!([one, two].contains(&401), "{one} {two}");
    signed_in(&house, &member, won[0]);
}

#[test]
fn the_command_line_asks_for_the_old_password_or_the_code() {
    let (mut house, member, code) = home();
    let version = newest(&house.put(&member, "/x", b"content"));
    house.stop();
    let rows: [(&[&str], String, i32); 6] = [
        (&["account", "passwd", "anna"], format!("a wrong horse\n{NEW}\n"), 12),
        (&["account", "passwd", "anna"], format!("{}\nshort\n", member.password), 2),
        (&["account", "passwd", "nobody"], format!("{}\n{NEW}\n", member.password), 12),
        (&["account", "passwd", "anna", "--recovery-code"], format!("0000-0000\n{NEW}\n"), 12),
        (&["account", "disable", "nobody"], String::new(), 10),
        (&["account", "passwd", "anna", "--yes"], String::new(), 2),
    ];
    for (words, lines, exit) in rows {
        let ran = house.run_reading(words, &lines);
        assert_eq!(ran.status.code(), Some(exit), "{words:?}: {ran:?}");
    }
    let ran = house.run_reading(&["account", "passwd", "anna"], &format!("{}\n{NEW}\n", member.password));
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let ran = house.run_reading(&["account", "passwd", "Anna", "--recovery-code"], &format!("{code}\n{NEWER}\n"));
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    house.open();
    house.list_files(&member.session, None).refused(401, "no_session");
    house.login(Form, "laptop", "anna", NEW).refused(401, "bad_credentials");
    assert_eq!(house.get(&signed_in(&house, &member, NEWER), version), b"content");
}

#[test]
fn forgetting_the_content_says_first_what_is_lost_and_then_begins_anew() {
    let (mut house, member, code) = home();
    let version = newest(&house.put(&member, "/x", &noise(3, 400_000)));
    house.put(&member, "/x", b"again");
    house.put(&member, "/y", b"another");
    let object = format!("/restic/r/data/{}", crate::support::sha256_hex(b"sealed elsewhere"));
    let restic = |password: &str| house.curl(&object).args(["-u".to_owned(), format!("anna:{password}")]);
    restic(&member.password).data(b"sealed elsewhere").send().expect(200);
    house.stop();
    let ran = house.run_reading(&["account", "passwd", "anna", "--forget-content"], &format!("{NEW}\n"));
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(0), "{said}");
    assert!(said.contains("2 files with 3 versions, 400012 bytes") && said.contains("nothing was changed"), "{said}");
    house.open();
    house.list_files(&member.session, None).expect(200);
    house.stop();
    let ran = house.run_reading(&["account", "passwd", "anna", "--forget-content", "--yes"], &format!("{NEW}\n"));
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let next = said.split_once("recovery code: ").expect("the next code").1.trim().to_owned();
    house.open();
    house.list_files(&member.session, None).refused(401, "no_session");
    post(&house, "/api/v1/account/recover", &json!({"username": "anna", "recovery_code": code, "new_password": NEWER}))
        .refused(401, "bad_recovery_code");
    let member = signed_in(&house, &member, NEW);
    assert!(house.files(&member).is_empty());
    house.download(&member.session, version).refused(404, "not_found");
    let later = newest(&house.put(&member, "/x", b"a new beginning"));
    assert_eq!(house.get(&member, later), b"a new beginning");
    let object = house.curl(&object).args(["-u", &format!("anna:{NEW}")]).send().expect(200);
    assert_eq!(object.body, b"sealed elsewhere", "restic's objects were sealed by their client");
    post(&house, "/api/v1/account/recover", &json!({"username": "anna", "recovery_code": next, "new_password": NEWER}))
        .expect(200);
    assert_eq!(house.get(&signed_in(&house, &member, NEWER), later), b"a new beginning");
    house.stop();
    assert_eq!(house.run(&["check"]).status.code(), Some(0));
}
