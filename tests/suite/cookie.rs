//! A browser's session rotates by itself: once a day the answer to a request brings the next generation, in a cookie that no script reads.
//! The rules are those of every session (`rotation.rs`): a lost answer locks nobody out, and a cookie that was replaced gives a thief away.

use crate::support::{Answer, House};
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn home() -> (House, String) {
    let house = House::start();
    let anna = house.member("anna", "laptop");
    house.put(&anna, "/f", b"content");
    let body = json!({"username": "anna", "password": anna.password, "device_id": "a browser"});
    let page = house.json("POST", "/api/v1/session", &body).header("Origin", house.url()).header("RBackup-UI", "1");
    let cookie = pair(&house, &page.send().expect(201)).expect("a cookie");
    (house, cookie)
}

/// Name and secret of the cookie that an answer sets.
fn pair(house: &House, answer: &Answer) -> Option<String> {
    let cookie = answer.header("Set-Cookie")?;
    let pair = cookie.split(';').next().unwrap_or_default().to_owned();
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"), "attributes");
    house.secret(pair.trim_start_matches("rbackup="));
    Some(pair)
}

fn ask(house: &House, cookie: &str) -> Answer {
    house.curl("/api/v1/overview").header("Cookie", cookie).send()
}

#[test]
fn a_cookie_is_renewed_once_a_day_and_the_one_before_goes_on_for_a_minute() {
    let (house, first) = home();
    assert_eq!(pair(&house, &ask(&house, &first).expect(200)), None, "not on the first day");
    house.advance(DAY);
    let second = pair(&house, &ask(&house, &first).expect(200)).expect("the next one");
    assert_ne!(first, second);
    assert_eq!(pair(&house, &ask(&house, &second).expect(200)), None);
    assert_eq!(pair(&house, &ask(&house, &first).expect(200)), None, "what was under way goes on, and gets nothing");
    house.advance(Duration::from_secs(61));
    ask(&house, &first).refused(401, "no_session");
    ask(&house, &second).refused(401, "no_session");
    assert!(
        house.log().contains("audit: a replaced session was used again"),
        "a thief's, or the browser's: both are out"
    );
}

#[test]
fn an_answer_that_is_lost_locks_nobody_out() {
    let (mut house, first) = home();
    house.advance(DAY);
    let lost = pair(&house, &ask(&house, &first).expect(200)).expect("the next one");
    house.restart();
    house.advance(3 * DAY);
    let again = pair(&house, &ask(&house, &first).expect(200)).expect("the same again");
    assert_eq!(again, lost);
    ask(&house, &again).expect(200);
    house.advance(DAY);
    assert!(pair(&house, &ask(&house, &again).expect(200)).is_some_and(|third| third != again));
}

#[test]
fn all_tabs_get_the_same_and_none_is_taken_for_a_thief() {
    let (house, first) = home();
    house.advance(DAY);
    let renewed: Vec<String> = std::thread::scope(|scope| {
        let tab = || pair(&house, &ask(&house, &first).expect(200)).expect("the next one");
        let tabs: Vec<_> = (0..8).map(|_| scope.spawn(tab)).collect();
        tabs.into_iter().map(|tab| tab.join().expect("a tab")).collect()
    });
    assert!(renewed.iter().all(|one| *one == renewed[0]), "{} tabs, and not the same cookie", renewed.len());
    // Some go on with the one, some with the other, for a moment.
    std::thread::scope(|scope| {
        for n in 0..16 {
            let (house, cookie) = (&house, if n % 2 == 0 { &renewed[0] } else { &first });
            scope.spawn(move || ask(house, cookie).expect(200));
        }
    });
    ask(&house, &renewed[0]).expect(200);
    assert!(!house.log().contains("audit: a replaced session"), "nobody was taken for a thief");
}

#[test]
fn a_download_brings_it_too_and_signing_out_takes_it_back() {
    let (house, first) = home();
    house.advance(DAY);
    let download = house.curl("/api/v1/download?file_version_id=1").header("Cookie", &first).send().expect(200);
    assert_eq!(download.body, b"content");
    let second = pair(&house, &download).expect("the next one");
    ask(&house, &second).expect(200);
    house.advance(DAY);
    let out = house.curl("/api/v1/session").method("DELETE").header("Cookie", &second);
    let out = out.header("RBackup-UI", "1").header("Origin", house.url()).send().expect(204);
    assert!(
        out.header("Set-Cookie").is_some_and(|cookie| cookie.starts_with("rbackup=;")),
        "one cookie, and an empty one"
    );
    ask(&house, &second).refused(401, "no_session");
}

#[test]
fn nothing_but_a_cookie_renews_and_nothing_brings_it_in_a_body() {
    let (house, first) = home();
    house.advance(DAY);
    let secret = first.trim_start_matches("rbackup=");
    house.rotate(secret).refused(401, "no_session");
    house.curl("/api/v1/overview").session(secret).send().refused(401, "no_session");
    let answer = ask(&house, &first).expect(200);
    let next = pair(&house, &answer).expect("the next one");
    assert!(!answer.text().contains(next.trim_start_matches("rbackup=")));
}
