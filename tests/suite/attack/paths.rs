//! Paths of restic's that mean somebody else's repository, or no repository, to a server that decodes once more, folds case or cuts.
//!
//! What is written out plainly is in `restic/access.rs` (cases 80 and 81) and `restic/repository.rs`.

use crate::restic::home;
use crate::support::sha256_hex;

/// In the place of `bob`, of `config`, or between them. A letter or a slash
/// that is written as its number is that letter or slash, decoded once and then parsed, and none of these.
const TRICKS: [&str; 22] = [
    "BOB/config",
    "Bob/config",
    "bob/CONFIG",
    "bob/Config",
    "%2e%2E/restic/bob/config",
    "x/%2E%2e/bob/config",
    "x/..%5Cbob/config",
    "x/..%5cbob/config",
    "x/%252e%252e/bob/config",
    "x%252F..%252Fbob/config",
    "x/%c0%ae%c0%ae/bob/config",
    "x/\u{2025}/bob/config",
    "x/..;/bob/config",
    "x/.;a=b/../bob/config",
    "bob;a=b/config",
    "bob/config%00.html",
    "bob/config%20",
    "bob./config",
    "bob%20/config",
    "bob/config/",
    "bob//config",
    "bob/config%3fx",
];

#[test]
fn no_other_spelling_reaches_a_repository() {
    let home = home();
    home.post("/restic/bob/config", b"bob's").expect(200);
    for trick in TRICKS {
        for method in ["GET", "HEAD", "DELETE", "POST"] {
            let asked = home.ask(method, &format!("/restic/{trick}"));
            let answer = if method == "POST" { asked.data(b"eve's").send() } else { asked.send() };
            // Another name may be another repository, which nobody has made yet.
            let is_change = ["POST", "DELETE"].contains(&method);
            let is_fine = [400, 404, 405].contains(&answer.status) || is_change && answer.status == 200;
            assert!(is_fine, "{method} {trick}: {}", answer.status);
            assert!(!answer.text().contains("bob's"), "{method} {trick}: {}", answer.text());
            assert_eq!(answer.header("Location"), None, "{method} {trick}");
        }
        assert_eq!(home.get("GET", "/restic/bob/config").expect(200).body, b"bob's", "{trick}");
    }
}

#[test]
fn the_words_of_the_protocol_are_as_they_are_written() {
    let home = home();
    home.post("/restic/bob/config", b"bob's").expect(200);
    let id = sha256_hex(b"an object");
    home.post(&format!("/restic/bob/data/{id}"), b"an object").expect(200);
    for path in [
        "/RESTIC/bob/config".to_owned(),
        "/Restic/bob/config".to_owned(),
        "//restic/bob/config".to_owned(),
        "/./restic/bob/config".to_owned(),
        "/%72estic/bob/config".to_owned(),
        format!("/restic/bob/DATA/{id}"),
        format!("/restic/bob/Data/{id}"),
        format!("/restic/bob/data/{}", id.to_uppercase()),
        format!("/restic/bob/data/{}/{id}", &id[..2]),
        format!("/restic/bob/data/{id}%00"),
        format!("/restic/bob/data/{id}x"),
        format!("/restic/bob/data/{}", &id[1..]),
    ] {
        for method in ["GET", "DELETE"] {
            let answer = home.ask(method, &path).send();
            assert!([400, 404, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
            assert!(!answer.text().contains("an object") && !answer.text().contains("bob's"), "{method} {path}");
        }
    }
    assert_eq!(home.get("GET", &format!("/restic/bob/data/{id}")).expect(200).body, b"an object", "it is still there");
}
