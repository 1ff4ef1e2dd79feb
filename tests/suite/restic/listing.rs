//! Cases 51 to 63: lists in both versions, empty, exact, at once after every change.

use super::{KINDS, ROOTS, V1, V2, home, play, refused, row};
use crate::support::{noise, sha256_hex};

#[test]
fn cases_51_to_53_and_56_what_a_list_is_called_and_what_an_empty_one_is() {
    empty_lists(&home());
}

pub fn empty_lists(home: &super::Home) {
    home.get("POST", "/restic/a/?create=true").expect(200);
    for root in ROOTS {
        for kind in KINDS {
            let list = |accept: Option<&str>| {
                let ask = home.ask("GET", &format!("{root}{kind}/"));
                // Without a value curl leaves the header out.
                let ask =
                    accept.map_or_else(|| ask_without_accept(home, root, kind), |accept| ask.header("Accept", accept));
                let answer = ask.send().expect(200);
                assert_eq!(answer.body, b"[]", "{root}{kind}/: {}", answer.text());
                assert!(!answer.header("Server").unwrap_or_default().starts_with("rclone/"));
                answer.header("Content-Type").unwrap_or_default().to_owned()
            };
            assert_eq!(list(Some(V2)), V2, "case 51");
            assert_eq!(list(None), V1, "case 52");
            for accept in [V1, "*/*", "application/json", "application/vnd.x.restic.rest.v3"] {
                assert_eq!(list(Some(accept)), V1, "case 53: {accept}");
            }
        }
    }
}

fn ask_without_accept(home: &super::Home, root: &str, kind: &str) -> crate::support::curl::Curl {
    home.ask("GET", &format!("{root}{kind}/")).args(["-H", "Accept:"])
}

#[test]
fn cases_54_and_58_a_list_is_exact_at_once() {
    exact_lists(&home());
}

pub fn exact_lists(home: &super::Home) {
    let mut kept: Vec<(String, u64)> = Vec::new();
    for size in [0, 1, 100, 300_000, 1 << 20, (1 << 20) + 1] {
        let body = noise(size as u64 + 5, size);
        home.put("/restic/a/", "data", &body);
        kept.push((sha256_hex(&body), size as u64));
        kept.sort();
        assert_eq!(home.list("/restic/a/", "data"), kept, "case 54");
        let names: Vec<&String> = kept.iter().map(|(name, _)| name).collect();
        let one = home.ask("GET", "/restic/a/data/").header("Accept", V1).send().expect(200);
        assert_eq!(one.json(), serde_json::json!(names), "case 54");
    }
    assert_eq!(home.list("/restic/", "data"), [], "another repository has none of them");
    assert_eq!(home.list("/restic/a/", "index"), [], "another kind has none of them");
    while let Some((name, _)) = kept.pop() {
        home.get("DELETE", &format!("/restic/a/data/{name}")).expect(200);
        assert_eq!(home.list("/restic/a/", "data"), kept, "case 58");
    }
}

#[test]
fn case_55_forty_uploads_at_once() {
    let home = home();
    let bodies: Vec<Vec<u8>> = (0..40).map(|n| noise(n + 100, 1000 * n as usize + 7)).collect();
    std::thread::scope(|scope| {
        for some in bodies.chunks(5) {
            scope.spawn(|| some.iter().for_each(|body| drop(home.put("/restic/a/", "data", body))));
        }
    });
    let mut expected: Vec<(String, u64)> = bodies.iter().map(|body| (sha256_hex(body), body.len() as u64)).collect();
    expected.sort();
    assert_eq!(home.list("/restic/a/", "data"), expected);
}

/// A list that is longer than one piece comes without a length, and as whole.
#[test]
fn a_list_of_several_pieces_is_whole() {
    let home = home();
    let bodies: Vec<[u8; 2]> = (0..1500u16).map(u16::to_be_bytes).collect();
    std::thread::scope(|scope| {
        for some in bodies.chunks(200) {
            let home = &home;
            scope.spawn(move || {
                let mut raw = home.raw("GET /restic/a/config", &[]);
                raw.answer();
                for body in some {
                    let line = format!("POST /restic/a/locks/{}", sha256_hex(body));
                    let basic = home.basic();
                    raw.head(&line, &[("Authorization", &basic), ("Content-Length", "2")]);
                    assert_eq!(raw.say(body).answer().status, 200);
                }
            });
        }
    });
    let mut expected: Vec<(String, u64)> = bodies.iter().map(|body| (sha256_hex(body), 2)).collect();
    expected.sort();
    assert_eq!(home.list("/restic/a/", "locks"), expected);
}

#[test]
fn cases_59_61_and_63_methods_encodings_and_slashes() {
    let home = home();
    home.put("/restic/a/", "snapshots", b"snapshot");
    for kind in ["data/", "keys/", "locks/", "snapshots/", "index/"] {
        play(
            &home,
            "/restic/a/",
            &[refused(59, "HEAD", kind, "GET"), refused(59, "POST", kind, "GET"), refused(59, "DELETE", kind, "GET")],
        );
    }
    play(
        &home,
        "/restic/a/",
        &[row(63, "GET", "data", 404), row(63, "POST", "keys", 404), row(63, "DELETE", "locks", 404)],
    );
    let gzip = home.ask("GET", "/restic/a/snapshots/").header("Accept", V2).args(["--compressed"]).send().expect(200);
    assert_eq!(gzip.header("Content-Type"), Some(V2), "case 61");
    assert_eq!(gzip.json()[0]["size"], 8, "case 61");
}
