//! `examples/systemd/rbackup.service`, looked at as systemd will, on a machine that need not run it.
//!
//! systemd would end the server at the first call its filter does not let through, at an hour of its choosing. So a day of the server's
//! is watched, and each call it made must be allowed. Needs systemd-analyze and strace.

use crate::readme;
use crate::support::House;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const UNIT: &str = include_str!("../../examples/systemd/rbackup.service");
/// `systemd-analyze security`, in tenths of its scale from 0 to 10, which calls up to 2.0 well guarded.
const EXPOSURE_MAX: &str = "20";

fn analyze(words: &[&str]) -> Output {
    Command::new("systemd-analyze").args(words).output().expect("systemd-analyze runs")
}

/// The unit as a file whose program is there.
fn as_file(house: &House, name: &str, text: &str) -> String {
    let file = house.beside(name);
    std::fs::write(&file, text.replace("/usr/local/bin/rbackup", env!("CARGO_BIN_EXE_rbackup"))).expect("write a unit");
    file.to_str().expect("a plain path").to_owned()
}

#[test]
fn systemd_understands_every_line_of_it() {
    let house = House::empty();
    let about = |name: &str, text: &str| {
        let said = analyze(&["verify", "--man=no", &as_file(&house, name, text)]);
        // What it says about other units of the machine names those.
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        said.lines().filter(|line| line.contains(name)).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(about("rbackup.service", UNIT), [""; 0]);
    assert_eq!(about("planted.service", &UNIT.replace("ProtectHome=", "ProtectHouse=")).len(), 1);
}

#[test]
fn it_is_hardened() {
    let house = House::empty();
    let guarded = |name: &str, text: &str| {
        let file = as_file(&house, name, text);
        analyze(&["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE_MAX, &file]).status.success()
    };
    assert!(guarded("rbackup.service", UNIT));
    let planted: Vec<&str> = UNIT.lines().filter(|line| !line.starts_with("SystemCallFilter=")).collect();
    assert!(!guarded("planted.service", &planted.join("\n")));
}

#[test]
fn its_filter_lets_a_day_of_the_server_through() {
    let mut house = House::empty();
    let table = house.beside("calls");
    house.open_under(&["strace", "-D", "-f", "-c", "-o", table.to_str().expect("a plain path")]);
    assert_eq!(readme::wrong(&readme::run(&house, readme::block("Five minutes with curl"))), None);
    assert_eq!(readme::wrong(&readme::run(&house, &readme::restic_lines())), None);
    house.stop();

    let made = calls(&table);
    for call in ["execve", "accept4", "fdatasync"] {
        assert!(made.contains(call), "strace saw no {call}: {made:?}");
    }
    let allowed = allowed(UNIT);
    let refused: Vec<&String> = made.iter().filter(|call| !allowed.contains(*call)).collect();
    assert_eq!(refused, [""; 0], "systemd would end the server");

    let planted = self::allowed(&UNIT.replace("~@privileged", "~@network-io @privileged"));
    assert!(made.iter().any(|call| !planted.contains(call)), "a filter without network passes");
}

/// The names in strace's table, once it is written.
fn calls(table: &Path) -> BTreeSet<String> {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        if text.trim_end().ends_with("total") {
            let rows = text.lines().skip(2).filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
            return rows
                .filter_map(|row| row.split_whitespace().last())
                .map(str::to_owned)
                .filter(|name| name != "total")
                .collect();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "strace wrote no table: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the filters of a unit let through: a first list of what is allowed, then some with `~` that take away from it. systemd
/// allows what it needs itself, its set `@default`, in any case.
fn allowed(unit: &str) -> BTreeSet<String> {
    let listed = analyze(&["syscall-filter"]);
    let sets = String::from_utf8(listed.stdout).expect("text");
    let mut allowed = members(&sets, "@default");
    for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        match line.strip_prefix('~') {
            None => allowed.extend(line.split_whitespace().flat_map(|name| members(&sets, name))),
            Some(names) => {
                let gone: BTreeSet<String> = names.split_whitespace().flat_map(|name| members(&sets, name)).collect();
                allowed.retain(|call| !gone.contains(call));
            }
        }
    }
    assert!(allowed.len() > 100, "systemd-analyze named {} calls", allowed.len());
    allowed
}

/// The calls of a set, those of the sets in it included; a name that is none is itself.
fn members(sets: &str, name: &str) -> BTreeSet<String> {
    if !name.starts_with('@') {
        return BTreeSet::from([name.to_owned()]);
    }
    let below = sets.lines().skip_while(|line| *line != name).skip(1);
    let lines = below.take_while(|line| line.starts_with(' ')).map(str::trim);
    lines.filter(|line| !line.starts_with('#') && !line.is_empty()).flat_map(|line| members(sets, line)).collect()
}
