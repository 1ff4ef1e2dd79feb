//! Who may ask at all: the session header, the device header, and web pages that use somebody's browser.
//!
//! Each check runs over every route, for a route that forgot its guard is the failure to fear.

use crate::support::House;
use crate::support::api::Way::Form;

/// Routes that need a session, with a query that would be answered.
const GUARDED: [(&str, &str); 9] = [
    ("GET", "/list/files"),
    ("GET", "/list/files?device_id=laptop"),
    ("GET", "/list/devices"),
    ("GET", "/download?file_version_id=1"),
    ("PUT", "/upload?file_path=x"),
    ("POST", "/upload?file_path=x"),
    ("POST", "/upload?file_name=x&size=3&mtime=1"),
    ("DELETE", "/remove/file?file_id=1"),
    ("DELETE", "/remove/fileVersion?file_version_id=1"),
];

/// Routes that need none.
const OPEN: [(&str, &str); 5] = [
    ("GET", "/status"),
    ("GET", "/account/register?username=eve&password=correct%20horse"),
    ("POST", "/account/register?username=eve&password=correct%20horse"),
    ("GET", "/account/login?device_id=d&username=anna&password=the%20password%20of%20anna"),
    ("POST", "/account/login?device_id=d&username=anna&password=the%20password%20of%20anna"),
];

#[test]
fn without_a_live_session_every_guarded_route_is_401() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "x", b"abc");
    let revoked = member.session.clone();
    let session = house.login(Form, "laptop", "anna", &member.password).expect(200).json();
    let session = session["session_id"].as_str().unwrap_or_default();
    let long = "a".repeat(4000);
    for (method, path) in GUARDED {
        let ask = || house.curl(path).method(method);
        ask().send().refused(401, "no_session");
        for presented in
            ["", " ", "garbage", "0000", "../../etc/passwd", &long, &revoked, &session[1..], &format!("{session}0")]
        {
            let field = if presented.is_empty() {
                "RBackup-Session-Pass;".to_owned()
            } else {
                format!("RBackup-Session-Pass: {presented}")
            };
            ask().args(["-H".to_owned(), field]).send().refused(401, "no_session");
        }
    }
    let member = crate::support::Member { session: session.to_owned(), ..member };
    assert_eq!(house.files(&member).len(), 1, "nothing was changed");
}

#[test]
fn a_session_in_a_cookie_or_in_basic_credentials_is_none() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    for (method, path) in GUARDED {
        let cookies = format!("rbackup={0}; __Host-rbackup={0}; RBackup-Session-Pass={0}", member.session);
        house.curl(path).method(method).header("Cookie", &cookies).send().refused(401, "no_session");
    }
}

#[test]
fn the_device_header_has_to_name_the_sessions_device() {
    let house = House::start();
    let laptop = house.member("anna", "laptop");
    house.device(&laptop, "phone");
    house.put(&laptop, "x", b"abc");
    for (method, path) in GUARDED {
        for other in ["phone", "Laptop", "laptop2", "nobody"] {
            let answer =
                house.curl(path).method(method).session(&laptop.session).header("RBackup-Device", other).send();
            assert_eq!(answer.status, 401, "{method} {path} as {other}: {}", answer.text());
        }
    }
    let listed =
        house.curl("/list/files").session(&laptop.session).header("RBackup-Device", "laptop").send().expect(200);
    assert_eq!(listed.json().as_array().map(Vec::len), Some(1), "nothing was changed");
}

#[test]
fn a_foreign_web_page_is_403_on_every_route() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "x", b"abc");
    let foreign = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "http://evil.example"),
        ("Origin", "https://evil.example:3369"),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1:1"),
    ];
    let before = house.files(&member);
    for (method, path) in GUARDED.into_iter().chain(OPEN) {
        for (name, value) in foreign {
            let answer = house.curl(path).method(method).session(&member.session).header(name, value).send();
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (403, "foreign_origin"),
                "{method} {path} {name}: {value}"
            );
            assert_eq!(answer.header("Access-Control-Allow-Origin"), None);
        }
    }
    assert_eq!(house.files(&member), before, "nothing was changed");
    house.register(Form, "eve", "correct horse").expect(201);
    assert_eq!(house.list_devices(&member.session).json(), serde_json::json!(["laptop"]), "no device was made");
}

#[test]
fn our_own_page_and_a_typed_address_are_not_foreign() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let origin = house.url().to_owned();
    for (name, value) in [("Origin", origin.as_str()), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "none")] {
        house.curl("/list/files").session(&member.session).header(name, value).send().expect(200);
    }
}

#[test]
fn a_browsers_preflight_is_not_answered_with_permission() {
    let house = House::start();
    let asked = house.curl("/upload?file_path=x").method("OPTIONS").header("Origin", "http://evil.example");
    let answer = asked.header("Access-Control-Request-Method", "PUT").send();
    assert!(answer.status >= 400, "{}", answer.status);
    assert_eq!(answer.header("Access-Control-Allow-Origin"), None);
}

/// A crash leaves a device with the session it had or with the new one: both changes are in the one record of the login.
#[test]
fn a_login_that_ends_a_session_is_one_record() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    let mut records = |between: &dyn Fn(&House)| {
        between(&house);
        house.stop();
        let counted = crate::dedup::checked(&house)["records"].as_u64().expect("check --json counts records");
        house.open();
        counted
    };
    let before = records(&|_| {});
    assert_eq!(records(&|_| {}), before, "a restart writes none");
    let login = |house: &House| drop(house.login(Form, "laptop", "anna", &member.password).expect(200));
    assert_eq!(records(&login), before + 2, "the login, and its entry in the audit log");
    house.list_files(&member.session, None).refused(401, "no_session");
}
