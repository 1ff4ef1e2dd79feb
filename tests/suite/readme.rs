//! What the README promises on its first page, done as it stands there.
//!
//! A newcomer copies lines. Each block that is run here is taken out of README.md, so a line that stops working, or one that
//! somebody makes nicer and wrong, is noticed. Needs curl, jq and restic.

use crate::support::House;
use std::process::{Command, Output};

const README: &str = include_str!("../../README.md");
/// Where the README's lines believe the server to be.
const URL: &str = "http://127.0.0.1:3369";
/// What curl prints when a request of the README's is refused: without `-f` it ends with 0.
const REFUSED: &str = r#""code":"#;

/// The first block of shell lines below a heading.
pub fn block(heading: &str) -> &'static str {
    let (_, below) = README.split_once(&format!("\n## {heading}\n")).expect("a heading of the README");
    first_block(below)
}

fn first_block(text: &str) -> &str {
    let (_, code) = text.split_once("```sh\n").expect("a block of shell lines");
    code.split_once("```").expect("its end").0
}

/// Runs lines of the README against this server, in `cwd`, which is also the home directory.
pub fn run(house: &House, lines: &str) -> Output {
    assert!(lines.contains(URL.trim_start_matches("http://")), "these lines ask no server:\n{lines}");
    let home = house.beside("home");
    std::fs::create_dir_all(home.join("Pictures")).expect("make a home");
    std::fs::write(home.join("Pictures/cat.jpg"), crate::support::noise(7, 200_000)).expect("a picture");
    let host = |url: &str| url.trim_start_matches("http://").to_owned();
    let script = format!("set -euo pipefail\n{}", lines.replace(&host(URL), &host(house.url())));
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(&home).env("HOME", &home).env_remove("RESTIC_CACHE_DIR");
    command.output().expect("bash runs")
}

/// The lines for restic; an old one needs what the comment in them says.
pub fn restic_lines() -> String {
    let lines = block("Five minutes with restic");
    let version = Command::new("restic").arg("version").output().expect("restic runs").stdout;
    let version = String::from_utf8(version).expect("text");
    let mut numbers = version.split(' ').nth(1).expect("a version").split('.').map(|n| n.parse().expect("a number"));
    if [0, 1, 2].map(|_| numbers.next().unwrap_or(0)) >= [0, 16, 1] {
        return lines.to_owned();
    }
    let (_, url) = lines.split_once("stand in the URL: ").expect("the comment about an old restic");
    let url = url.lines().next().unwrap_or_default();
    let line = lines.lines().find(|line| line.starts_with("export RESTIC_REPOSITORY=")).expect("the repository");
    lines
        .replace("export RESTIC_REST_USERNAME=ann RESTIC_REST_PASSWORD='at least 8 characters' ", "export ")
        .replace(line, &format!("export RESTIC_REPOSITORY='{url}'"))
}

fn both(ended: &Output) -> String {
    String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr)
}

/// Why a run of the README's lines did not go as a newcomer would want.
pub fn wrong(ended: &Output) -> Option<String> {
    let said = both(ended);
    (!ended.status.success() || said.contains(REFUSED)).then_some(said)
}

#[test]
fn the_two_commands_stand_on_top() {
    let (top, _) = README.split_once("\n## ").expect("headings");
    let commands: Vec<&str> = first_block(top).lines().filter_map(|line| line.split("  ").next()).collect();
    assert_eq!(commands, ["cargo run --release", "tests/run"]);
    let help = crate::support::house::program().args(["serve", "--help"]).output().expect("the program runs");
    assert!(both(&help).contains("[default: 127.0.0.1:3369]"), "the README's URL is the default one: {}", both(&help));
}

#[test]
fn what_is_not_saved_is_said() {
    let (_, section) = README.split_once("\n## What is saved, and what is not yet\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    for word in ["Not saved yet", "symbolic and hard links", "owners", "empty folders"] {
        assert!(section.contains(word), "{word}");
    }
}

#[test]
fn its_lines_for_curl_and_for_restic_work_as_they_stand() {
    let house = House::start();
    house.said(&format!("curl {}", house.url()));
    let ended = run(&house, block("Five minutes with curl"));
    assert_eq!(wrong(&ended), None);
    let home = house.beside("home");
    let brought = std::fs::read(home.join("hosts.old")).expect("the README's download");
    assert_eq!(brought, std::fs::read("/etc/hosts").expect("read"), "version 1, from before it was removed");
    assert!(both(&ended).contains(r#""original_name":"/etc/hosts","versions":[{"version":1,"#), "{}", both(&ended));

    let ended = run(&house, &restic_lines());
    assert_eq!(wrong(&ended), None);
    assert!(both(&ended).contains("no errors were found"), "{}", both(&ended));
}

/// The lines that a first start prints, typed.
#[test]
fn what_the_server_says_to_type_works() {
    let house = House::start();
    let said = house.said("/list/files");
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 4, "{said}");
    let script = format!("{0}\nsession=$({1} | jq -r .session_id)\n{2}\n{3}\n", lines[0], lines[1], lines[2], lines[3]);
    let script = script
        .replace("FILE", "/etc/hosts")
        .replace("'RBackup-Session-Pass: SESSION_ID'", "\"RBackup-Session-Pass: $session\"");
    let ended = run(&house, &script.replace(house.url(), URL));
    assert_eq!(wrong(&ended), None);
    assert!(both(&ended).contains(r#""original_name":"/path/of//etc/hosts""#), "{}", both(&ended));
}

/// Planted: a version that is not there, and a password that is not that of the account.
#[test]
fn lines_that_stop_working_are_noticed() {
    let house = House::start();
    let lines = block("Five minutes with curl");
    let changed = lines.replace("download?file_version_id=1\" -o hosts.old", "download?file_version_id=99\"");
    assert_ne!(lines, changed);
    let said = wrong(&run(&house, &changed)).expect("a download of nothing passes");
    assert!(said.contains(r#""code":"not_found""#), "{said}");
    let lines = restic_lines();
    let changed = lines.replace("at least 8", "some other").replace("at%20least", "no%20more");
    assert_ne!(lines, changed);
    wrong(&run(&house, &changed)).expect("a wrong password passes");
}
