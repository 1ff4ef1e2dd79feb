//! Cases 19 to 35: one object of each kind, there and not there, and names that are none.

use super::{Home, KINDS, ROOTS, home, play, refused, row};
use crate::support::sha256_hex;

const FOOBAR: &str = "c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2";

#[test]
fn cases_19_to_27_an_object_comes_and_goes() {
    let home = home();
    assert_eq!(sha256_hex(b"foobar"), FOOBAR);
    for root in ROOTS {
        for kind in KINDS {
            object(&home, root, kind);
        }
    }
}

fn object(home: &Home, root: &str, kind: &str) {
    let path = format!("{root}{kind}/{FOOBAR}");
    for (case, method) in [(19, "HEAD"), (19, "GET")] {
        assert_eq!(home.get(method, &path).status, 404, "case {case}: {method} {path}");
    }
    // The repository was never made: case 34.
    let sent = home.post(&path, b"foobar").expect(200);
    assert!(sent.body.is_empty(), "case 21: {path}");
    let got = home.get("GET", &path).expect(200);
    assert_eq!(got.body, b"foobar", "case 22");
    assert_eq!(got.header("Content-Type"), Some("application/octet-stream"), "case 22");
    assert_eq!(got.header("Accept-Ranges"), Some("bytes"), "case 22");
    let head = home.get("HEAD", &path).expect(200);
    assert_eq!(head.header("Content-Length"), Some("6"), "case 22");
    let other = format!("{root}{kind}/{}", sha256_hex(b"x"));
    home.post(&other, b"xbroken").refused(400, "not_its_name");
    assert_eq!(home.get("GET", &other).status, 404, "case 23");
    home.post(&path, b"foobaz").refused(403, "object_exists");
    home.post(&path, b"longer than it is").refused(403, "object_exists");
    assert_eq!(home.get("GET", &path).expect(200).body, b"foobar", "case 24");
    assert_eq!(home.post(&path, b"foobar").status, 200, "case 25");
    for (case, method, status) in [(26, "DELETE", 200), (26, "GET", 404), (26, "HEAD", 404), (26, "DELETE", 200)] {
        assert_eq!(home.get(method, &path).status, status, "case {case}: {method} {path}");
    }
    assert_eq!(home.list(root, kind), [], "case 26");
    home.post(&path, b"foobar").expect(200);
    assert_eq!(home.get("GET", &path).expect(200).body, b"foobar", "case 27");
    assert_eq!(home.list(root, kind), [(FOOBAR.to_owned(), 6)], "case 27");
}

#[test]
fn cases_20_31_and_32_names_and_methods_that_are_none() {
    let home = home();
    home.put("/restic/", "data", b"foobar");
    let rows = [
        row(20, "GET", "data/foobar", 404),
        row(20, "HEAD", "data/C3AB8FF13720E8AD9047DD39466B3C8974E592C2FA383D4A3960714CAEF0C4F2", 404),
        row(20, "GET", "data/3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2", 404),
        row(20, "GET", "data/c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2/", 404),
        row(20, "POST", "data/foobar", 404),
        row(20, "DELETE", "data/foobar", 404),
        refused(31, "PUT", "data/c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2", OBJECT),
        refused(31, "PATCH", "locks/c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2", OBJECT),
        row(32, "GET", "data/c3/c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2", 404),
        row(32, "HEAD", "data/c3/c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2", 404),
        row(32, "POST", "data/c3/c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2", 404),
        row(32, "DELETE", "data/c3/c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2", 404),
        row(32, "GET", "data/keys/", 404),
    ];
    play(&home, "/restic/", &rows);
    assert_eq!(home.list("/restic/", "data").len(), 1, "nothing of that changed anything");
}

const OBJECT: &str = "HEAD, GET, POST, DELETE";

#[test]
fn case_22_a_head_has_no_body() {
    let home = home();
    let path = home.put("/restic/", "data", b"foobar");
    let rest = home.raw(&format!("HEAD {path}"), &[("Connection", "close")]).rest();
    let text = String::from_utf8_lossy(&rest);
    assert!(text.to_lowercase().contains("content-length: 6\r\n") && text.ends_with("\r\n\r\n"), "{text}");
}

#[test]
fn case_35_nothing_is_content_too() {
    let home = home();
    for kind in KINDS {
        let path = home.put("/restic/a/", kind, b"");
        assert!(path.ends_with("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        let head = home.get("HEAD", &path).expect(200);
        assert_eq!(head.header("Content-Length"), Some("0"));
        let got = home.get("GET", &path).expect(200);
        assert_eq!((got.header("Content-Length"), got.body.len()), (Some("0"), 0));
        assert_eq!(home.list("/restic/a/", kind)[0].1, 0);
        assert_eq!(home.post(&path, b"").status, 200);
    }
}
