//! Cases 36 to 50: what becomes of uploads that are cut, slow, doubled, without a length, large, or followed by a kill.

use super::{Home, home};
use crate::support::{noise, sha256_hex};
use std::time::Duration;

const ROOT: &str = "/restic/photos/";

fn path_of(body: &[u8]) -> String {
    format!("{ROOT}data/{}", sha256_hex(body))
}

/// Nothing is there under this name, whoever asks.
#[track_caller]
fn is_absent(home: &Home, case: u32, path: &str) {
    for method in ["HEAD", "GET"] {
        assert_eq!(home.get(method, path).status, 404, "case {case}: {method} {path}");
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    assert!(!home.list(ROOT, "data").iter().any(|(listed, _)| listed == name), "case {case}: {name} is listed");
}

#[test]
fn cases_36_and_37_an_upload_that_is_cut_leaves_nothing() {
    let home = home();
    for size in [100, 3 << 20] {
        let body = noise(size as u64, size);
        let path = path_of(&body);
        let length = size.to_string();
        let post = format!("POST {path}");
        for sent in [0, 10, size - 1] {
            let mut cut = home.raw(&post, &[("Content-Length", &length)]);
            cut.say(&body[..sent]);
            cut.cut();
            let mut half = home.raw(&post, &[("Content-Length", &length)]);
            let answer = half.say(&body[..sent]).end().answer();
            assert_eq!(answer.status, 400, "case 37, {sent} of {size}: {}", answer.text());
        }
        std::thread::sleep(Duration::from_millis(200));
        is_absent(&home, 36, &path);
        home.post(&path, &body).expect(200);
        assert_eq!(home.get("GET", &path).expect(200).body, body);
    }
}

#[test]
fn case_38_a_slow_upload_is_not_there_before_its_end() {
    let home = home();
    let body = noise(38, 2_500_000);
    let path = path_of(&body);
    let mut slow = home.raw(&format!("POST {path}"), &[("Content-Length", "2500000")]);
    for piece in body.chunks(1_000_000) {
        is_absent(&home, 38, &path);
        slow.say(piece);
    }
    assert_eq!(slow.answer().status, 200);
    assert_eq!(home.get("GET", &path).expect(200).body, body);
}

#[test]
fn case_39_two_uploads_of_one_object_at_once_are_one_object() {
    let home = home();
    for size in [500, 5 << 20] {
        let body = noise(39 + size as u64, size);
        let path = path_of(&body);
        let mut both = [0, 1].map(|_| home.raw(&format!("POST {path}"), &[("Content-Length", &size.to_string())]));
        let (first, rest) = body.split_at(size / 2);
        for half in [first, rest] {
            for raw in &mut both {
                raw.say(half);
            }
        }
        assert_eq!(both.map(|mut raw| raw.answer().status), [200, 200], "case 39");
        assert_eq!(home.get("GET", &path).expect(200).body, body);
        assert_eq!(home.list(ROOT, "data").iter().filter(|(name, _)| path.ends_with(name.as_str())).count(), 1);
        home.get("DELETE", &path).expect(200);
    }
}

/// The first uploads bytes that are not what their name says, and stalls; nothing of them may stand in for the right ones.
#[test]
fn case_40_an_upload_that_stalls_and_fails_does_not_touch_the_one_that_came_later() {
    let home = home();
    let body = noise(40, 3 << 20);
    let false_bytes = noise(41, 3 << 20);
    let path = path_of(&body);
    let length = (3 << 20).to_string();
    for wrong in [&body, &false_bytes] {
        let mut stalled = home.raw(&format!("POST {path}"), &[("Content-Length", &length)]);
        stalled.say(&wrong[..5 << 19]);
        std::thread::sleep(Duration::from_millis(200));
        home.get("DELETE", &path).expect(200);
        home.post(&path, &body).expect(200);
        assert_eq!(stalled.end().answer().status, 400, "case 40");
        assert!(home.get("GET", &path).expect(200).body == body, "case 40");
        home.get("DELETE", &path).expect(200);
    }
    // The same with a whole body that is not its name: 400, and what came meanwhile stays.
    let mut stalled = home.raw(&format!("POST {path}"), &[("Content-Length", &length)]);
    stalled.say(&false_bytes[..1 << 20]);
    home.post(&path, &body).expect(200);
    assert_eq!(stalled.say(&false_bytes[1 << 20..]).answer().status, 403, "case 40: the name is taken by now");
    assert!(home.get("GET", &path).expect(200).body == body, "case 40");
}

#[test]
fn cases_41_and_42_without_a_length_and_with_an_expectation() {
    let home = home();
    for size in [6, 3_000_000] {
        let body = noise(size as u64, size);
        let path = path_of(&body);
        let chunked = home.ask("POST", &path).header("Transfer-Encoding", "chunked").data(&body).send();
        assert_eq!(chunked.status, 200, "case 41: {}", chunked.text());
        assert_eq!(home.get("GET", &path).expect(200).body, body);
        home.get("DELETE", &path).expect(200);
        let expecting = home.ask("POST", &path).header("Expect", "100-continue").data(&body).send();
        assert_eq!(expecting.status, 200, "case 42: {}", expecting.text());
        assert_eq!(home.get("GET", &path).expect(200).body, body);
    }
    let path = path_of(b"abc");
    let mut raw = home.raw(&format!("POST {path}"), &[("Content-Length", "3"), ("Expect", "100-continue")]);
    let mut interim = vec![0; 25];
    raw.read_exact(&mut interim);
    assert!(interim.starts_with(b"HTTP/1.1 100 "), "case 42: {}", String::from_utf8_lossy(&interim));
    assert_eq!(raw.say(b"abc").answer().status, 200, "case 42");
}

/// An expectation is answered at once when the body cannot become anything: it is never sent.
#[test]
fn case_24_other_content_is_refused_before_its_body() {
    let home = home();
    let path = home.put(ROOT, "data", b"foobar");
    let mut raw = home.raw(&format!("POST {path}"), &[("Content-Length", "1000000"), ("Expect", "100-continue")]);
    assert_eq!(raw.answer().status, 403);
    let mut raw = home.raw(&format!("POST {path}x"), &[("Content-Length", "1000000"), ("Expect", "100-continue")]);
    assert_eq!(raw.answer().status, 404);
    let other = path_of(b"other");
    let mut raw = home.raw(&format!("POST {other}"), &[("Content-Length", "4294967296"), ("Expect", "100-continue")]);
    assert_eq!(raw.answer().status, 413, "more than rustic can read");
}

#[test]
fn cases_46_and_50_a_kill_after_the_answer_loses_nothing_and_one_before_leaves_nothing() {
    let mut home = home();
    let large = noise(46, 3_333_333);
    let kept = home.put(ROOT, "data", &large);
    home.post(&format!("{ROOT}config"), b"config").expect(200);
    let gone = home.put(ROOT, "locks", b"lock");
    home.get("DELETE", &gone).expect(200);
    let half = noise(50, 4 << 20);
    let mut cut = home.raw(&format!("POST {}", path_of(&half)), &[("Content-Length", &half.len().to_string())]);
    cut.say(&half[..3 << 20]);
    std::thread::sleep(Duration::from_millis(100));
    home.house.kill();
    home.house.open();
    assert!(home.get("GET", &kept).expect(200).body == large, "case 46");
    assert_eq!(home.get("GET", &format!("{ROOT}config")).expect(200).body, b"config", "case 46");
    assert_eq!(home.get("GET", &gone).status, 404, "a lock that was removed stays removed");
    assert_eq!(home.list(ROOT, "locks"), []);
    is_absent(&home, 50, &path_of(&half));
    home.post(&path_of(&half), &half).expect(200);
    home.house.stop();
    let checked = home.house.run(&["check"]);
    assert!(checked.status.success(), "{checked:?}");
    assert!(home.house.run(&["rebuild"]).status.success());
    home.house.open();
    assert!(home.get("GET", &path_of(&half)).expect(200).body == half, "after a rebuild");
    assert_eq!(home.list(ROOT, "data").len(), 2);
}

/// Not a case of its own, but what makes the retry of a killed backup cheap.
#[test]
fn an_upload_that_is_repeated_stores_nothing_twice() {
    let mut home = home();
    let body = noise(60, 5 << 20);
    let path = home.put(ROOT, "data", &body);
    let count = |home: &mut Home| {
        home.house.stop();
        let counted = home.house.run(&["check", "--json"]);
        let frames = serde_json::from_slice::<serde_json::Value>(&counted.stdout).expect("JSON")["frames"].as_u64();
        home.house.open();
        frames.expect("frames")
    };
    let before = count(&mut home);
    home.post(&path, &body).expect(200);
    home.get("DELETE", &path).expect(200);
    home.post(&path, &body).expect(200);
    let after = count(&mut home);
    assert!(after - before <= 6, "two records and a few frames of volumes: {before}, then {after}");
}
