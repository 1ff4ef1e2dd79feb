//! One process at a time on a data directory: the second one says so and leaves the first alone.

use crate::support::House;

fn second(house: &House, words: &[&str]) -> (Option<i32>, String, String) {
    let ended = house.program().args(words).arg("--data").arg(house.data()).output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.code(), text(&ended.stdout), text(&ended.stderr))
}

#[test]
fn a_second_server_ends_with_11_and_one_clear_sentence() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let (code, stdout, stderr) = second(&house, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(11), "{stderr}");
    assert_eq!(stdout, "", "it never said that it listens");
    let said: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(said.len(), 1, "one sentence: {stderr}");
    let data = house.data();
    assert!(said[0].contains(&*data.to_string_lossy()) || said[0].contains("in use"), "{stderr}");
    house.put(&member, "/a", b"the first goes on");
}

#[test]
fn a_rebuild_beside_a_server_ends_with_11() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/a", b"1");
    let (code, _, stderr) = second(&house, &["rebuild"]);
    assert_eq!(code, Some(11), "{stderr}");
    assert_eq!(house.files(&member).len(), 1);
}

#[test]
fn the_directory_is_free_again_after_a_stop_and_after_a_kill() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    for _ in 0..3 {
        house.restart();
        house.kill();
        house.open();
    }
    house.put(&member, "/a", b"1");
}
