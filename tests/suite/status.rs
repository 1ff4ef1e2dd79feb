//! Is it RBackup, and which one? The answer that existing clients look for first.

use crate::support::House;

#[test]
fn the_status_says_that_it_runs_and_its_version() {
    let house = House::start();
    let answer = house.status().expect(200);
    let status = answer.json();
    assert_eq!(status["status"], "RBackup running");
    let version = status["version"].as_str().unwrap_or_default();
    let numbers: Vec<&str> = version.split('.').collect();
    assert!(numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok()), "{version}");
    assert!(house.first_line().starts_with(&format!("rbackup {version} listening on ")), "{}", house.first_line());
    assert!(answer.header("Content-Type").is_some_and(|kind| kind.starts_with("application/json")), "{answer:?}");
}

#[test]
fn the_status_needs_no_session_and_gives_no_cookie() {
    let house = House::start();
    let answer = house.curl("/status").session("nobody").send().expect(200);
    assert_eq!(answer.header("Set-Cookie"), None);
}

#[test]
fn a_path_without_a_route_is_404_and_a_wrong_method_405() {
    let house = House::start();
    house.curl("/nothing/here").send().refused(404, "no_route");
    let answer = house.curl("/list/files").method("DELETE").send().refused(405, "method_not_allowed");
    assert!(answer.header("Allow").is_some_and(|methods| methods.contains("GET")), "{answer:?}");
}

#[test]
fn every_error_has_a_sentence_and_a_request_id_of_its_own() {
    let house = House::start();
    let (one, two) = (house.curl("/nothing").send().json(), house.curl("/nothing").send().json());
    assert!(one["error"].as_str().is_some_and(|sentence| sentence.ends_with('.')), "{one}");
    assert!(one["request_id"].is_string() && one["request_id"] != two["request_id"], "{one} {two}");
}
