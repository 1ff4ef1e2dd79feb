//! Cases 76 to 81, and what else protects one account's repositories from everybody else.

use super::{Home, as_method, home};
use crate::support::api::Way;
use crate::support::sha256_hex;
use std::time::{Duration, Instant};

#[test]
fn case_76_and_77_nobody_without_the_right_name_and_password() {
    let home = home();
    home.post("/restic/a/config", b"anna's").expect(200);
    let wrong = ["anna:wrong password", "nobody:a long password", "anna:", ":", ":x", "", "Anna:wrong"];
    let paths =
        [("GET", "config"), ("HEAD", "config"), ("POST", "?create=true"), ("GET", "keys/"), ("DELETE", "config")];
    for (method, path) in paths {
        let path = format!("/restic/a/{path}");
        for credentials in wrong {
            let answer = as_method(home.house.curl(&path), method).args(["-u", credentials]).send();
            assert_eq!(answer.status, 401, "case 76: {method} {path} as {credentials:?}");
            assert!(answer.header("WWW-Authenticate").is_some_and(|it| it.starts_with("Basic realm=")), "case 76");
        }
        let none = as_method(home.house.curl(&path), method).send();
        assert_eq!(none.status, 401, "case 76: {method} {path} without credentials");
        for value in ["Basic Og==", "Basic", "Basic ???", "Bearer abc", "Digest username=\"anna\""] {
            let answer = as_method(home.house.curl(&path), method).header("Authorization", value).send();
            assert_eq!(answer.status, 401, "case 77: {value}");
        }
    }
    // Not the session of a device, and the session's header is not looked at.
    let session = home.house.curl("/restic/a/config").session(&home.member.session).send();
    assert_eq!(session.status, 401);
    assert_eq!(home.get("GET", "/restic/a/config").expect(200).body, b"anna's");
}

#[test]
fn nothing_but_restics_routes_asks_for_a_password() {
    let home = home();
    for path in ["/list/files", "/download?file_version_id=1", "/nothing"] {
        let answer = home.ask("GET", path).send();
        assert!([401, 404].contains(&answer.status), "a password opens nothing else");
        assert_eq!(answer.header("WWW-Authenticate"), None, "{path}");
    }
}

#[test]
fn cases_78_and_79_each_has_its_own_repositories_under_the_same_names() {
    let home = home();
    let bert = home.house.member("bert", "laptop");
    let of_bert = Home { house: home.house, member: bert };
    let anna = "anna";
    let as_anna = |method: &str, path: &str| {
        let credentials = format!("{anna}:{}", home.member.password);
        as_method(of_bert.house.curl(path), method).args(["--path-as-is", "-u", &credentials])
    };
    for root in ["/restic/", "/restic/photos/", "/restic/anna/", "/restic/bert/x/"] {
        let path = format!("{root}config");
        as_anna("POST", &path).data(b"anna's").send().expect(200);
        assert_eq!(of_bert.get("GET", &path).status, 404, "case 79: {path}");
        of_bert.get("DELETE", &path).expect(200);
        of_bert.post(&path, b"bert's").expect(200);
        assert_eq!(as_anna("GET", &path).send().expect(200).body, b"anna's", "case 78: {path}");
        assert_eq!(of_bert.get("GET", &path).expect(200).body, b"bert's", "case 78: {path}");
        let lock = of_bert.put(root, "locks", b"lock");
        assert_eq!(as_anna("GET", &lock).send().status, 404, "case 79");
        assert_eq!(as_anna("GET", &format!("{root}locks/")).send().expect(200).body, b"[]", "case 79");
    }
}

#[test]
fn cases_80_and_81_a_path_that_goes_elsewhere_goes_nowhere() {
    let home = home();
    home.post("/restic/bob/config", b"bob's").expect(200);
    let id = sha256_hex(b"x");
    let paths = [
        "alice/../bob/config".to_owned(),
        "alice/%2e%2e/bob/config".to_owned(),
        "alice/..%2fbob/config".to_owned(),
        "../restic/bob/config".to_owned(),
        "%2e%2e/x".to_owned(),
        "./bob/config".to_owned(),
        "bob/./config".to_owned(),
        "bob//config".to_owned(),
        "/bob/config".to_owned(),
        "%00/config".to_owned(),
        "bob%00/config".to_owned(),
        "bob%5c/config".to_owned(),
        "bob%0d%0aX:y/config".to_owned(),
        "%ff/config".to_owned(),
        "%zz/config".to_owned() + "x",
        format!("bob/data/../data/{id}"),
        format!("bob/data/{id}/../{id}"),
    ];
    for path in paths {
        for method in ["GET", "HEAD", "POST", "DELETE"] {
            let answer = home.ask(method, &format!("/restic/{path}")).send();
            assert!([400, 404].contains(&answer.status), "cases 80, 81: {method} {path}: {}", answer.status);
            assert_eq!(answer.header("Location"), None, "cases 80, 81: {method} {path}");
        }
    }
    assert_eq!(home.get("GET", "/restic/bob/config").expect(200).body, b"bob's", "untouched");
}

#[test]
fn other_peoples_web_pages_are_refused() {
    let home = home();
    home.post("/restic/a/config", b"kept").expect(200);
    for (name, value) in [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
        for method in ["GET", "DELETE", "POST"] {
            let answer = home.ask(method, "/restic/a/config").header(name, value).send();
            answer.refused(403, "foreign_origin");
        }
    }
    assert_eq!(home.get("GET", "/restic/a/config").expect(200).body, b"kept");
}

#[test]
fn case_89_the_host_does_not_matter() {
    let home = home();
    home.post("/restic/a/config", b"kept").expect(200);
    let answer = home.ask("GET", "/restic/a/config").header("Host", "L3J1bi9yYmFja3VwLnNvY2s").send();
    assert_eq!(answer.expect(200).body, b"kept");
}

/// Fifty requests after the first take less than fifty runs of argon2 would; and a password that is wrong once, or right for
/// somebody else, is never taken for one that was right.
#[test]
fn case_83_verified_credentials_are_remembered_and_never_confused() {
    let home = home();
    home.house.member("bert", "laptop");
    home.house.register(Way::Form, "anna2", "a long password").expect(201);
    home.post("/restic/config", b"anna's").expect(200);
    let slow = Instant::now();
    for _ in 0..5 {
        assert_eq!(home.house.curl("/restic/config").args(["-u", "anna:wrong one"]).send().status, 401);
    }
    let slow = slow.elapsed() / 5;
    let begun = Instant::now();
    let mut wire = home.raw("GET /restic/config", &[]);
    let basic = home.basic();
    for _ in 0..50 {
        assert_eq!(wire.answer().status, 200);
        wire.head("GET /restic/config", &[("Authorization", &basic)]);
    }
    let quick = begun.elapsed() / 50;
    assert!(quick < slow.max(Duration::from_millis(2)), "{quick:?} a request, {slow:?} with a wrong password");
    for _ in 0..10 {
        assert_eq!(home.get("GET", "/restic/config").expect(200).body, b"anna's", "case 83");
        assert_eq!(home.house.curl("/restic/config").args(["-u", "anna:wrong one"]).send().status, 401, "case 83");
        let bert = format!("bert:{}", home.member.password);
        let other = home.house.curl("/restic/config").args(["-u", &bert]).send();
        assert!([401, 404].contains(&other.status), "case 83: bert sees nothing of anna's: {}", other.status);
    }
}
