//! Who may make an account, who administers the server, and that asking costs the same whether a name exists.

use crate::support::api::Way::Form;
use crate::support::{Answer, House, Member};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn house(registration: &str) -> House {
    let mut house = House::empty();
    let file = house.beside("rbackup.toml");
    std::fs::write(&file, format!("[accounts]\nregistration = {registration:?}\n")).expect("write the config");
    house.open_with(&["--config", &file.to_string_lossy()]);
    house
}

fn register(house: &House, name: &str, more: &[(&str, &str)], fields: &[&str]) -> Answer {
    let mut body = format!("username={name}&password=correct+horse");
    for (field, value) in more {
        house.secret(value);
        body.push_str(&format!("&{field}={value}"));
    }
    let answer = house.curl("/account/register").args(fields).data(body.as_bytes()).send();
    if let Some(code) = answer.json()["recovery_code"].as_str() {
        house.secret(code);
    }
    answer
}

fn member(house: &House, name: &str) -> Member {
    let password = "correct horse".to_owned();
    house.device(&Member { name: name.to_owned(), password, device: String::new(), session: String::new() }, "laptop")
}

fn ask_for_invite(house: &House, member: &Member, query: &str) -> Answer {
    house.curl(&format!("/api/v1/invites{query}")).method("POST").session(&member.session).send()
}

fn invite(house: &House, member: &Member, query: &str) -> String {
    let made = ask_for_invite(house, member, query).expect(201).json();
    let code = made["invite"].as_str().expect("a code").to_owned();
    house.secret(&code);
    code
}

#[test]
fn two_that_race_for_the_first_account_make_one_administrator() {
    for round in 0..4 {
        let house = House::start();
        let start = Barrier::new(4);
        let names: Vec<String> = (0..4).map(|n| format!("racer-{round}-{n}")).collect();
        thread::scope(|scope| {
            for name in &names {
                let (house, start) = (&house, &start);
                scope.spawn(move || {
                    start.wait();
                    register(house, name, &[], &[]).expect(201);
                });
            }
        });
        let statuses: Vec<u16> =
            names.iter().map(|name| ask_for_invite(&house, &member(&house, name), "").status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 3, "{statuses:?}");
    }
}

#[test]
fn registration_is_open_closed_or_by_invitation() {
    let open = house("open");
    register(&open, "anna", &[], &[]).expect(201);
    register(&open, "bert", &[], &[]).expect(201);
    let closed = house("closed");
    register(&closed, "anna", &[], &[]).expect(201);
    register(&closed, "bert", &[], &[]).refused(403, "registration_closed");
    let code = invite(&closed, &member(&closed, "anna"), "");
    register(&closed, "bert", &[("invite", &code)], &[]).refused(403, "registration_closed");
    let by_invite = house("invite");
    register(&by_invite, "anna", &[], &[]).expect(201);
    for more in [&[][..], &[("invite", "")], &[("invite", "0000-0000-0000-0000-0000-0000-0000-0000")]] {
        register(&by_invite, "bert", more, &[]).refused(403, "invite_needed");
    }
    // Who was not invited learns no names.
    register(&by_invite, "anna", &[], &[]).refused(403, "invite_needed");
}

#[test]
fn an_invitation_lets_one_in_once_and_ends_by_itself() {
    let mut house = house("invite");
    register(&house, "anna", &[], &[]).expect(201);
    let anna = member(&house, "anna");
    let code = invite(&house, &anna, "");
    register(&house, "anna", &[("invite", &code)], &[]).refused(409, "account_exists");
    let start = Barrier::new(4);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let race = |n: usize| {
            let (house, code, start) = (&house, &code, &start);
            scope.spawn(move || {
                start.wait();
                register(house, &format!("guest-{n}"), &[("invite", code)], &[]).status
            })
        };
        let racers: Vec<_> = (0..4).map(race).collect();
        racers.into_iter().map(|racer| racer.join().expect("a racer ends")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    register(&house, "late", &[("invite", &code)], &[]).refused(403, "invite_needed");
    let (long, short) = (invite(&house, &anna, "?expires_days=30"), invite(&house, &anna, "?expires_days=1"));
    house.stop();
    let rebuilt = house.run(&["rebuild"]);
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    let config = house.beside("rbackup.toml");
    house.open_with(&["--config", &config.to_string_lossy()]);
    house.advance(2 * DAY);
    register(&house, "cora", &[("invite", &short)], &[]).refused(403, "invite_needed");
    register(&house, "cora", &[("invite", &long.to_lowercase().replace('-', ""))], &[]).expect(201);
    ask_for_invite(&house, &member(&house, "cora"), "").refused(403, "forbidden");
    for days in ["0", "366", "x"] {
        ask_for_invite(&house, &anna, &format!("?expires_days={days}")).expect(400);
    }
}

#[test]
fn so_many_invitations_wait_and_no_more() {
    let house = house("invite");
    register(&house, "anna", &[], &[]).expect(201);
    let anna = member(&house, "anna");
    (0..100).for_each(|_| drop(invite(&house, &anna, "?expires_days=1")));
    ask_for_invite(&house, &anna, "").refused(409, "too_many_invites");
    house.advance(2 * DAY);
    invite(&house, &anna, "");
}

#[test]
fn invitations_are_listed_and_taken_back_by_the_administrator_alone() {
    let house = house("invite");
    register(&house, "anna", &[], &[]).expect(201);
    let anna = member(&house, "anna");
    let (kept, gone) = (invite(&house, &anna, "?expires_days=3"), invite(&house, &anna, "?expires_days=2"));
    let list = |member: &Member| house.curl("/api/v1/invites").session(&member.session).send();
    let listed = list(&anna).expect(200);
    assert!(!listed.text().contains(&gone) && !listed.text().contains(&kept), "no code is shown again");
    let listed = listed.json();
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["by"]), (Some(2), &"anna".into()), "{listed}");
    let take_back = |member: &Member, id: &str| {
        house.curl(&format!("/api/v1/invites?id={id}")).method("DELETE").session(&member.session).send()
    };
    register(&house, "bert", &[("invite", &kept)], &[]).expect(201);
    let bert = member(&house, "bert");
    list(&bert).refused(403, "forbidden");
    let id = listed[0]["id"].as_str().expect("an id");
    take_back(&bert, id).refused(403, "forbidden");
    take_back(&anna, id).expect(204);
    take_back(&anna, id).refused(404, "not_found");
    take_back(&anna, "no-id-at-all").refused(404, "not_found");
    assert_eq!(list(&anna).expect(200).json(), serde_json::json!([]), "one is used, the other gone");
    register(&house, "eve", &[("invite", &gone)], &[]).refused(403, "invite_needed");
}

#[test]
fn the_first_account_takes_the_printed_code_unless_it_is_made_at_this_machine() {
    let mut house = house("invite");
    let said = house.said("setup code");
    let said = said + &house.said("-");
    let code = said.lines().map(str::trim).find(|line| line.len() == 39 && line.matches('-').count() == 7);
    let code = code.expect("the code is printed").to_owned();
    let elsewhere: [&[&str]; 4] = [
        &["-H", "X-Forwarded-For: 192.0.2.1"],
        &["-H", "Via: 1.1 proxy"],
        &["-H", "Host: evil.example"],
        &["-H", "Host: 127.0.0.1.evil.example:3369"],
    ];
    for fields in elsewhere {
        register(&house, "eve", &[], fields).refused(403, "setup_code_needed");
        let wrong = [("setup_code", "0000-0000-0000-0000-0000-0000-0000-0000")];
        register(&house, "eve", &wrong, fields).refused(403, "setup_code_needed");
    }
    register(&house, "anna", &[("setup_code", &code)], elsewhere[0]).expect(201);
    invite(&house, &member(&house, "anna"), "");
    register(&house, "eve", &[("setup_code", &code)], &[]).refused(403, "invite_needed");
    house.restart();
    assert!(!house.said("examples/curl").contains("setup code"), "there is an administrator");
}

#[test]
fn a_server_on_the_network_takes_invitations_unless_told_otherwise() {
    let mut house = House::empty();
    house.open_at("0.0.0.0:0", &["--tls", "auto"]);
    let (_, port) = house.address().split_once(':').expect("a port");
    let url = format!("https://127.0.0.1:{port}/account/register");
    let ask = |name: &str| {
        let body = format!("username={name}&password=correct+horse");
        house.curl("/account/register").at(&url).args(["-k"]).data(body.as_bytes()).send()
    };
    ask("anna").expect(201);
    ask("bert").refused(403, "invite_needed");
}

#[test]
fn the_commonest_passwords_are_refused_and_long_ones_are_not() {
    let house = House::start();
    for common in ["sunshine1", "12345678", "QWERTYUIOP", "iloveyou", "Passw0rd"] {
        let answer = house.register(Form, "anna", common).refused(400, "invalid");
        assert!(!answer.text().contains(common), "it is not repeated: {}", answer.text());
    }
    house.register(Form, "anna", &"ü".repeat(1025)).refused(400, "invalid");
    let longest = "ü".repeat(1024);
    house.register(Form, "anna", &longest).expect(201);
    house.login(Form, "laptop", "anna", &longest).expect(201);
    let user = format!("anna:{longest}");
    house.curl("/restic/r/config").args(["-u", &user]).send().expect(404);
}

#[test]
fn unknown_names_cost_as_many_argon2_runs_as_known_ones() {
    let mut house = House::empty();
    house.open_with(&["--log", "debug"]);
    let runs = |ask: &dyn Fn() -> Answer, status: u16| {
        let before = house.log().matches("a password is hashed").count();
        ask().expect(status);
        house.log().matches("a password is hashed").count() - before
    };
    assert_eq!(runs(&|| house.register(Form, "anna", "correct horse"), 201), 1, "registering");
    assert_eq!(runs(&|| house.login(Form, "laptop", "anna", "correct horse"), 201), 1, "the right password");
    let restic = |user: &str| house.curl("/restic/r/config").args(["-u", user]).send();
    let own = |user: &str| house.curl("/api/v1/sessions").args(["-u", user]).send();
    let change = |name: &str, field: &str, value: &str| {
        let body = format!("username={name}&{field}={value}&new_password=another+horse");
        house.curl("/api/v1/account/password").data(body.as_bytes()).send()
    };
    let recover = |name: &str| {
        let body = format!("username={name}&recovery_code={CODE}&new_password=another+horse");
        house.curl("/api/v1/account/recover").data(body.as_bytes()).send()
    };
    let paths: [(&str, Asking); 6] = [
        ("signing in", &|name| house.login(Form, "laptop", name, "wrong horse")),
        ("restic", &|name| restic(&format!("{name}:wrong horse"))),
        ("own affairs", &|name| own(&format!("{name}:wrong horse"))),
        ("a new password", &|name| change(name, "password", "wrong+horse")),
        ("a new password by code", &|name| change(name, "recovery_code", CODE)),
        ("recovery", &recover),
    ];
    for (path, ask) in paths {
        let (known, unknown) = (runs(&|| ask("anna"), 401), runs(&|| ask("nobody"), 401));
        eprintln!("{path}: {known} for a known name, {unknown} for an unknown one");
        assert_eq!(known, unknown, "{path}");
    }
    assert_eq!(runs(&|| house.login(Form, "laptop", "anna", "wrong horse"), 401), 1, "planted: a run is seen");
}

/// Asks with a name.
type Asking<'a> = &'a dyn Fn(&str) -> Answer;

const CODE: &str = "0000-0000-0000-0000-0000-0000-0000-0000";
