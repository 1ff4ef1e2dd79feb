//! `rbackup account`: every command beside a running server and without one, with its words, its JSON and its exit codes.

use crate::support::api::Way::Form;
use crate::support::{Answer, House, Member};
use serde_json::{Value, json};
use std::process::Output;

/// Beside a server, and without.
const WAYS: [bool; 2] = [true, false];

struct Home {
    house: House,
    served: bool,
}

impl Home {
    /// Anna, who administers the server, and Bert with a laptop.
    fn new(served: bool) -> (Self, Member) {
        let house = House::start();
        house.member("anna", "desk");
        let bert = house.member("bert", "laptop");
        let mut home = Self { house, served };
        home.leave();
        (home, bert)
    }

    /// Back to the state in which commands are run.
    fn leave(&mut self) {
        if !self.served {
            self.house.stop();
        }
    }

    /// A server is there for `look`.
    fn look<T>(&mut self, look: impl FnOnce(&House) -> T) -> T {
        if !self.served {
            self.house.open();
        }
        let seen = look(&self.house);
        self.leave();
        seen
    }

    fn run(&self, words: &[&str], exit: i32) -> Output {
        self.read(words, "", exit)
    }

    #[track_caller]
    fn read(&self, words: &[&str], lines: &str, exit: i32) -> Output {
        let ran = self.house.run_reading(&[&["account"], words].concat(), lines);
        assert_eq!(ran.status.code(), Some(exit), "{words:?}, served: {}: {ran:?}", self.served);
        if exit == 0 {
            assert!(ran.stderr.is_empty(), "{words:?}: {ran:?}");
        } else {
            assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{words:?}: {ran:?}");
        }
        ran
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_slice(&self.run(&[words, &["--json"]].concat(), 0).stdout).expect("JSON")
    }
}

fn said(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

fn login(house: &House, member: &Member) -> Answer {
    house.login(Form, &member.device, &member.name, &member.password)
}

#[test]
fn accounts_are_listed_and_shown() {
    for served in WAYS {
        let (home, _) = Home::new(served);
        let listed = home.json(&["list"]);
        let seen = |n: usize, field: &str| listed[n][field].clone();
        assert_eq!((seen(0, "username"), seen(0, "administrator")), (json!("anna"), json!(true)), "{listed}");
        assert_eq!((seen(1, "username"), seen(1, "account_id")), (json!("bert"), json!("2")), "{listed}");
        assert_eq!((seen(1, "devices"), seen(1, "sessions"), seen(1, "enabled")), (json!(1), json!(1), json!(true)));
        let shown = home.json(&["show", "BERT"]);
        assert_eq!((&shown["username"], &shown["created"]), (&listed[1]["username"], &listed[1]["created"]));
        let table = said(&home.run(&["list"], 0));
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(rows.len(), 3, "{table}");
        let at = rows[0].find("STATE").expect("a head");
        assert!(rows[1][at..].starts_with("administrator") && rows[2][at..].starts_with("enabled "), "{table}");
        assert!(said(&home.run(&["show", "bert"], 0)).contains("state:         enabled\n"));
        home.run(&["show", "nobody"], 10);
        home.run(&["show", ""], 2);
        home.run(&["show"], 2);
    }
}

#[test]
fn an_account_is_disabled_and_enabled() {
    for served in WAYS {
        let (mut home, bert) = Home::new(served);
        let ran = home.run(&["disable", "Bert"], 0);
        assert_eq!(said(&ran), "Bert is disabled; sessions ended: 1\n");
        assert!(home.json(&["show", "bert"])["disabled"].is_string());
        assert!(said(&home.run(&["show", "bert"], 0)).contains("disabled since 20"));
        home.look(|house| {
            house.list_files(&bert.session, None).refused(401, "no_session");
            login(house, &bert).refused(401, "bad_credentials");
        });
        home.run(&["enable", "bert"], 0);
        home.look(|house| login(house, &bert).expect(201));
        home.run(&["disable", "nobody"], 10);
        home.run(&["enable", "nobody"], 10);
    }
}

#[test]
fn a_password_is_set_with_the_old_one() {
    for served in WAYS {
        let (mut home, bert) = Home::new(served);
        for (lines, exit) in [
            ("a wrong horse\nanother horse\n".to_owned(), 12),
            (format!("{}\nshort\n", bert.password), 2),
            (format!("{}\n", bert.password), 2),
        ] {
            home.read(&["passwd", "bert"], &lines, exit);
        }
        home.read(&["passwd", "bert", "--recovery-code"], "0000-0000\nanother horse\n", 12);
        home.house.secret("another horse");
        let ran = home.read(&["passwd", "bert"], &format!("{}\nanother horse\n", bert.password), 0);
        assert_eq!(said(&ran), "the password is changed; sessions ended: 1\n");
        home.look(|house| {
            house.list_files(&bert.session, None).refused(401, "no_session");
            login(house, &bert).refused(401, "bad_credentials");
            login(house, &Member { password: "another horse".to_owned(), ..bert.clone() }).expect(201);
        });
    }
}

#[test]
fn the_content_is_given_up_only_when_that_is_said() {
    for served in WAYS {
        let (mut home, bert) = Home::new(served);
        home.look(|house| house.put(&bert, "/x", b"lost"));
        let ran = home.house.run(&["account", "passwd", "bert", "--forget-content"]);
        let sentence = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(sentence.contains("1 files with 1 versions, 4 bytes") && ran.status.success(), "{sentence}");
        home.look(|house| house.list_files(&bert.session, None).expect(200));
        let words = ["account", "passwd", "bert", "--forget-content", "--yes"];
        let ran = home.house.run_reading(&words, "another horse\n");
        let (_, code) =
            said(&ran).split_once("recovery code: ").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a code");
        home.house.secret(code.trim());
        home.look(|house| {
            let again =
                login(house, &Member { password: "another horse".to_owned(), ..bert.clone() }).expect(201).json();
            let session = again["session_id"].as_str().expect("a session");
            assert_eq!(house.list_files(session, None).expect(200).json(), json!([]));
        });
    }
}

#[test]
fn an_account_is_removed_and_its_name_is_free_again() {
    for served in WAYS {
        let (mut home, bert) = Home::new(served);
        let (version, token) = home.look(|house| {
            let file = house.put(&bert, "/x", b"held");
            let (_, token) = house.token(&bert.session, &json!({"name": "t", "scopes": ["read", "restore"]}));
            let body = b"sealed";
            let object = format!("/restic/r/data/{}", crate::support::sha256_hex(body));
            house.curl(&object).args(["-u", &format!("bert:{}", bert.password)]).data(body).send().expect(200);
            (crate::support::api::newest(&file), token)
        });
        let would = home.run(&["remove", "bert"], 2);
        let sentence = String::from_utf8_lossy(&would.stderr).into_owned();
        assert!(sentence.contains("--yes") && sentence.contains("repositories:  1"), "{sentence}");
        home.look(|house| house.list_files(&bert.session, None).expect(200));
        home.run(&["remove", "anna", "--yes"], 2);
        home.run(&["remove", "nobody", "--yes"], 10);
        let ran = home.run(&["remove", "Bert", "--yes"], 0);
        assert_eq!(said(&ran), "bert is removed; sessions ended: 1, tokens: 1\n");
        home.run(&["show", "bert"], 10);
        assert_eq!(home.json(&["list"]).as_array().map(Vec::len), Some(1));
        // What is gone stays gone, also when the catalog is made anew.
        for rebuilt in [false, true] {
            if rebuilt {
                if served {
                    home.house.stop();
                }
                assert_eq!(home.house.run(&["rebuild"]).status.code(), Some(0));
                assert_eq!(home.house.run(&["check"]).status.code(), Some(0));
                if served {
                    home.house.open();
                }
            }
            home.look(|house| {
                house.list_files(&bert.session, None).refused(401, "no_session");
                house.download(&token, version).refused(401, "no_session");
                house.curl("/restic/r/config").args(["-u", &format!("bert:{}", bert.password)]).send().expect(401);
                login(house, &bert).refused(401, "bad_credentials");
            });
        }
        home.look(|house| {
            let again = house.register(Form, "bert", "a second horse").expect(201).json();
            assert_eq!(again["account_id"], "3", "an id is never given again");
            let fresh = Member { password: "a second horse".to_owned(), ..bert.clone() };
            let session = login(house, &fresh).expect(201).json();
            let session = session["session_id"].as_str().expect("a session").to_owned();
            assert_eq!(house.list_files(&session, None).expect(200).json(), json!([]));
            house.download(&session, version).refused(404, "not_found");
        });
    }
}

#[test]
fn invitations_are_made_listed_and_taken_back() {
    for served in WAYS {
        let (mut home, _) = Home::new(served);
        let config = home.house.beside("rbackup.toml");
        std::fs::write(&config, "[accounts]\nregistration = \"invite\"\n").expect("write the config");
        if served {
            home.house.stop();
            home.house.open_with(&["--config", &config.to_string_lossy()]);
        }
        assert_eq!(home.json(&["invite", "--list"]), json!([]));
        assert_eq!(said(&home.run(&["invite", "--list"], 0)), "");
        let plain = said(&home.run(&["invite", "--days", "30"], 0));
        let good = plain.lines().next().expect("a code").to_owned();
        let made = home.json(&["invite", "--days", "3"]);
        let (bad, id) = (made["invite"].as_str().expect("a code"), made["id"].as_str().expect("an id"));
        [good.as_str(), bad].into_iter().for_each(|code| home.house.secret(code));
        let listed = home.json(&["invite", "--list"]);
        assert_eq!((&listed[0]["id"], &listed[0]["by"], &listed[1]["by"]), (&json!(id), &Value::Null, &Value::Null));
        assert!(!listed.to_string().contains(bad), "a code is shown once");
        assert!(said(&home.run(&["invite", "--list"], 0)).starts_with("ID "));
        home.run(&["invite", "--revoke", id], 0);
        home.run(&["invite", "--revoke", id], 10);
        home.run(&["invite", "--revoke", "x"], 10);
        for words in [&["invite", "--days", "0"][..], &["invite", "--days", "366"], &["invite", "--days", "x"]] {
            home.run(words, 2);
        }
        home.run(&["invite", "--list", "--days", "1"], 2);
        assert_eq!(home.json(&["invite", "--list"]).as_array().map(Vec::len), Some(1));
        if served {
            let register = |name: &str, code: &str| {
                let body = format!("username={name}&password=correct+horse&invite={code}");
                home.house.curl("/account/register").data(body.as_bytes()).send()
            };
            register("cora", bad).refused(403, "invite_needed");
            let cora = register("cora", &good).expect(201).json();
            home.house.secret(cora["recovery_code"].as_str().expect("a code"));
            assert_eq!(home.json(&["invite", "--list"]), json!([]));
        }
    }
}

#[test]
fn no_command_writes_a_password_or_a_code_to_the_log() {
    let mut house = House::empty();
    house.open_with(&["--log", "trace"]);
    let anna = house.member("anna", "desk");
    house.secret("another horse");
    let ran = house.run_reading(&["account", "passwd", "anna"], &format!("{}\nanother horse\n", anna.password));
    assert!(ran.status.success(), "{ran:?}");
    let made = house.run(&["account", "invite"]);
    house.secret(said(&made).lines().next().expect("a code"));
    assert!(house.log().contains("errand"), "planted: errands are logged");
    assert_eq!(house.leaks(), [""; 0]);
}

#[test]
fn a_directory_without_a_store_is_left_alone() {
    let house = House::empty();
    let ran = house.run(&["account", "list"]);
    assert_eq!(ran.status.code(), Some(10), "{ran:?}");
    assert!(!house.data().exists());
}
