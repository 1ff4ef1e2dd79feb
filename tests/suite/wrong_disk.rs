//! The wrong disk: a data directory that has vanished, is empty, holds another store, or goes away under a running server.
//!
//! What may never happen: a new, empty store in the place of one that is only not mounted, or a write to a directory that
//! is no longer the store's. Each refusal is exit code 11 with one sentence that names the directory, and makes nothing.

#![allow(clippy::panic, reason = "a start that went otherwise ends the test")]

use crate::support::api::Way::Form;
use crate::support::api::newest;
use crate::support::house::wait;
use crate::support::{House, Member, noise};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a start went.
#[derive(Debug)]
enum Start {
    /// It said that it listens (and was ended), with what it had said on stderr.
    Served(String),
    /// It ended by itself: exit code and stderr.
    Ended(Option<i32>, String),
}

/// Starts the server and ends it as soon as it is known how that goes.
fn start(mut command: Command) -> Start {
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.expect("the program starts");
    let (mut line, mut said) = (String::new(), String::new());
    let mut out = BufReader::new(child.stdout.take().expect("a piped stdout"));
    let _ = out.read_line(&mut line);
    let served = line.contains(" listening on ");
    if served {
        let _ = child.kill();
    }
    let _ = child.stderr.take().expect("a piped stderr").read_to_string(&mut said);
    let code = wait(&mut child);
    if served { Start::Served(said) } else { Start::Ended(code, said) }
}

fn serve(house: &House, data: &Path, words: &[&str]) -> Command {
    let mut command = house.program();
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(words).arg("--data").arg(data);
    command
}

/// Exit 11, one sentence, and it names what it is about.
#[track_caller]
fn refused(start: Start, names: &Path) {
    let Start::Ended(code, said) = start else { panic!("it serves from the wrong disk: {start:?}") };
    assert_eq!(code, Some(11), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), 1, "one sentence: {said}");
    assert!(said.contains(&*names.to_string_lossy()), "it names {}: {said}", names.display());
}

#[track_caller]
fn served(start: Start) -> String {
    match start {
        Start::Served(said) => said,
        Start::Ended(code, said) => panic!("it does not serve: exit {code:?}, {said}"),
    }
}

/// Every file below a directory with its content's digest: what a write would change.
fn inside(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.insert(path.clone(), String::new());
            found.extend(inside(&path));
        } else {
            found.insert(path.clone(), crate::support::sha256_hex(&std::fs::read(&path).unwrap_or_default()));
        }
    }
    found
}

/// A stopped store with a file in it.
fn stopped() -> (House, Member) {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/kept", b"kept");
    house.stop();
    (house, member)
}

/// Moves the data directory away: the path a server must refuse afterwards.
fn moved_away(house: &House) -> PathBuf {
    let elsewhere = house.beside("elsewhere");
    std::fs::rename(house.data(), &elsewhere).expect("moved");
    elsewhere
}

#[track_caller]
fn back_and_whole(house: &mut House, member: &Member, elsewhere: &Path) {
    std::fs::rename(elsewhere, house.data()).expect("moved back");
    house.open();
    assert_eq!(house.get(member, 1), b"kept");
    house.put(member, "/more", b"more");
}

#[test]
fn a_directory_that_has_vanished_is_refused_and_not_made_again() {
    let (mut house, member) = stopped();
    let elsewhere = moved_away(&house);
    for _ in 0..2 {
        refused(start(serve(&house, &house.data(), &[])), &house.data());
        assert!(!house.data().exists(), "nothing was made");
    }
    back_and_whole(&mut house, &member, &elsewhere);
}

#[test]
fn a_directory_that_is_empty_is_refused_and_stays_empty() {
    let (mut house, member) = stopped();
    let elsewhere = moved_away(&house);
    std::fs::create_dir(house.data()).expect("an empty mount point");
    refused(start(serve(&house, &house.data(), &[])), &house.data());
    assert!(inside(&house.data()).is_empty(), "{:?}", inside(&house.data()));
    std::fs::create_dir(house.data().join("lost+found")).expect("a fresh disk");
    refused(start(serve(&house, &house.data(), &[])), &house.data());
    assert_eq!(inside(&house.data()).len(), 1, "{:?}", inside(&house.data()));
    std::fs::remove_dir_all(house.data()).expect("unmounted");
    back_and_whole(&mut house, &member, &elsewhere);
}

#[test]
fn a_directory_with_another_store_is_refused_until_it_is_accepted() {
    let (mut house, member) = stopped();
    let (other, _) = stopped();
    let elsewhere = moved_away(&house);
    std::fs::rename(other.data(), house.data()).expect("another disk is mounted");
    let before = inside(&house.data());
    refused(start(serve(&house, &house.data(), &[])), &house.data());
    assert_eq!(inside(&house.data()), before, "the other store was not touched");
    served(start(serve(&house, &house.data(), &["--new-store"])));
    served(start(serve(&house, &house.data(), &[])));
    std::fs::rename(house.data(), house.beside("accepted")).expect("moved");
    std::fs::rename(&elsewhere, house.data()).expect("the first disk again");
    refused(start(serve(&house, &house.data(), &[])), &house.data());
    served(start(serve(&house, &house.data(), &["--new-store"])));
    house.open();
    assert_eq!(house.get(&member, 1), b"kept", "accepting a store changes nothing in it");
}

#[test]
fn a_new_store_is_made_when_that_is_asked_for() {
    for mount_point in [false, true] {
        let (house, _) = stopped();
        let elsewhere = moved_away(&house);
        if mount_point {
            std::fs::create_dir(house.data()).expect("an empty directory");
        }
        served(start(serve(&house, &house.data(), &["--new-store"])));
        assert!(house.data().join("FORMAT").exists());
        served(start(serve(&house, &house.data(), &[])));
        std::fs::remove_dir_all(house.data()).expect("removed");
        std::fs::rename(&elsewhere, house.data()).expect("the first one comes back");
        refused(start(serve(&house, &house.data(), &[])), &house.data());
    }
}

#[test]
fn a_missing_parent_is_refused_however_the_directory_was_named() {
    let house = House::empty();
    let parent = house.beside("not-mounted");
    let data = parent.join("rbackup");
    let config = house.beside("rbackup.toml");
    std::fs::write(&config, format!("[storage]\ndata = {:?}\n", data.display().to_string())).expect("write it");
    let named = |how: &str| {
        let mut command = house.program();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        match how {
            "flag" => command.arg("--data").arg(&data),
            "environment" => command.env("RBACKUP_DATA", &data),
            _ => command.arg("--config").arg(&config),
        };
        command
    };
    for how in ["flag", "environment", "config"] {
        refused(start(named(how)), &parent);
        assert!(!parent.exists(), "{how}: nothing was made");
    }
    let mut command = named("flag");
    command.arg("--new-store");
    served(start(command));
    served(start(named("config")));
    served(start(named("environment")));
}

#[test]
fn one_file_for_each_path_is_kept_where_it_should_be() {
    let house = House::empty();
    let place = |name: &str| house.beside(name);
    // Each beats those behind it; the last is the home directory.
    let places = [
        ("RBACKUP_STATE_DIR", place("own"), place("own")),
        ("STATE_DIRECTORY", place("systemd"), place("systemd")),
        ("XDG_STATE_HOME", place("xdg"), place("xdg/rbackup")),
        ("HOME", place("home"), place("home/.local/state/rbackup")),
    ];
    for first in 0..places.len() {
        let data = house.beside(&format!("data-{first}"));
        let mut command = serve(&house, &data, &[]);
        command.envs(places.iter().map(|(name, value, _)| (name, value)));
        for (name, ..) in &places[..first] {
            command.env_remove(name);
        }
        served(start(command));
        for (number, (name, _, kept)) in places.iter().enumerate() {
            let files = inside(kept).len();
            assert_eq!(files, usize::from(number <= first), "{first}: {name}, {:?}", inside(kept));
        }
    }
    served(start(serve(&house, &house.beside("data-0"), &[])));
    let mut again = serve(&house, &house.beside("data-7"), &[]);
    again.env("RBACKUP_STATE_DIR", place("own"));
    served(start(again));
    assert_eq!(inside(&place("own")).len(), 2, "one file for each path");
}

#[test]
fn what_one_user_remembers_another_does_not() {
    let (mut house, member) = stopped();
    let elsewhere = moved_away(&house);
    refused(start(serve(&house, &house.data(), &[])), &house.data());
    let mut command = serve(&house, &house.data(), &[]);
    command.env("RBACKUP_STATE_DIR", house.beside("state of bert"));
    served(start(command));
    refused(start(serve(&house, &house.data(), &[])), &house.data());
    std::fs::remove_dir_all(house.data()).expect("removed");
    back_and_whole(&mut house, &member, &elsewhere);
}

#[test]
fn a_path_is_the_same_however_it_is_written() {
    let (house, _) = stopped();
    let elsewhere = moved_away(&house);
    let parent = house.beside("");
    let mut relative = serve(&house, Path::new("data"), &[]);
    relative.current_dir(&parent);
    refused(start(relative), Path::new("data"));
    refused(start(serve(&house, &parent.join("./x/../data"), &[])), Path::new("data"));
    std::fs::rename(elsewhere, house.data()).expect("moved back");
    std::os::unix::fs::symlink(&parent, house.beside("link")).expect("a link");
    served(start(serve(&house, &house.beside("link/data"), &[])));
    std::fs::rename(house.data(), house.beside("gone")).expect("moved");
    refused(start(serve(&house, &house.beside("link/data"), &[])), Path::new("data"));
}

#[test]
fn a_memory_that_cannot_be_written_only_warns() {
    let house = House::empty();
    std::fs::write(house.beside("file"), b"not a directory").expect("write it");
    let unwritable = || {
        let mut command = serve(&house, &house.data(), &[]);
        command.env("RBACKUP_STATE_DIR", house.beside("file/state"));
        command
    };
    for _ in 0..2 {
        let said = served(start(unwritable()));
        assert!(said.contains("WARN") && said.contains("cannot remember this data directory"), "it says so: {said:?}");
    }
}

/// A running server with a file, and what its data directory holds.
fn running() -> (House, Member) {
    let house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/kept", b"kept");
    (house, member)
}

/// Every change is refused with 503 `unavailable`, and none of these directories changes.
#[track_caller]
fn changes_nothing(house: &House, member: &Member, directories: &[&Path]) {
    let before: Vec<_> = directories.iter().map(|path| inside(path)).collect();
    house.upload(&member.session, b"/new", b"a few bytes").refused(503, "unavailable");
    house.upload(&member.session, b"/new", &noise(7, 3 << 20)).refused(503, "unavailable");
    house.remove_version(&member.session, 1).refused(503, "unavailable");
    house.remove_file(&member.session, 1).refused(503, "unavailable");
    house.register(Form, "bert", "long-enough").refused(503, "unavailable");
    house.login(Form, "phone", "anna", &member.password).refused(503, "unavailable");
    house.status().expect(200);
    let after: Vec<_> = directories.iter().map(|path| inside(path)).collect();
    assert_eq!(after, before, "something was written");
}

/// Planted: one small upload between two looks at a directory must be seen, or nothing above shows anything.
#[test]
fn a_look_at_a_directory_sees_one_small_write() {
    let (house, member) = running();
    let before = inside(&house.data());
    house.upload(&member.session, b"/new", b"a few bytes").expect(200);
    assert_ne!(inside(&house.data()), before);
}

/// All changes work again, by themselves.
#[track_caller]
fn works_again(house: &mut House, member: &Member) {
    let begun = Instant::now();
    let body = noise(8, 2 << 20);
    let file = loop {
        let answer = house.upload(&member.session, b"/again", &body);
        if answer.status == 200 || begun.elapsed() > Duration::from_secs(10) {
            break answer.expect(200).json();
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(house.get(member, newest(&file)) == body);
    house.register(Form, "carl", "long-enough").expect(201);
    house.restart();
    assert_eq!(house.get(member, 1), b"kept");
    assert!(house.get(member, newest(&file)) == body, "what was acknowledged afterwards is there after a restart");
    assert_eq!(house.files(member).len(), 2, "and nothing that was refused");
}

#[test]
fn a_format_file_that_goes_away_stops_changes_until_it_is_back() {
    let (mut house, member) = running();
    let (format, away) = (house.data().join("FORMAT"), house.beside("FORMAT"));
    for _ in 0..2 {
        std::fs::rename(&format, &away).expect("moved");
        changes_nothing(&house, &member, &[&house.data()]);
        std::fs::rename(&away, &format).expect("moved back");
        house.upload(&member.session, b"/again", b"1").expect(200);
    }
    works_again(&mut house, &member);
}

#[test]
fn a_format_file_of_another_store_stops_changes() {
    let (mut house, member) = running();
    let (other, _) = stopped();
    let (format, away) = (house.data().join("FORMAT"), house.beside("FORMAT"));
    std::fs::rename(&format, &away).expect("moved");
    std::fs::copy(other.data().join("FORMAT"), &format).expect("copied");
    changes_nothing(&house, &member, &[&house.data()]);
    std::fs::rename(&away, &format).expect("moved back");
    works_again(&mut house, &member);
}

/// As when a disk is unmounted by force, or another is mounted over it.
#[test]
fn a_data_directory_that_goes_away_gets_no_write_and_neither_does_its_place() {
    let (mut house, member) = running();
    let elsewhere = moved_away(&house);
    changes_nothing(&house, &member, &[&elsewhere, &house.data()]);
    assert!(!house.data().exists(), "nothing was made in its place");
    std::fs::create_dir(house.data()).expect("an empty mount point");
    changes_nothing(&house, &member, &[&elsewhere, &house.data()]);
    std::fs::remove_dir(house.data()).expect("unmounted");
    let (other, _) = stopped();
    std::fs::rename(other.data(), house.data()).expect("another disk");
    changes_nothing(&house, &member, &[&elsewhere, &house.data()]);
    std::fs::remove_dir_all(house.data()).expect("and gone");
    std::fs::rename(&elsewhere, house.data()).expect("the right one");
    works_again(&mut house, &member);
}

#[test]
fn an_open_volume_that_goes_away_or_is_replaced_stops_changes() {
    let (mut house, member) = running();
    // The ballast beside them grows by itself.
    let (volumes, catalog) = (house.data().join("volumes"), house.data().join("catalog"));
    let open = std::fs::read_dir(&volumes).expect("volumes").flatten();
    let open = open.map(|entry| entry.path()).filter(|path| path.extension().is_none()).max().expect("a volume");
    let away = house.beside("volume");
    std::fs::rename(&open, &away).expect("moved");
    changes_nothing(&house, &member, &[&volumes, &catalog, &away]);
    let copied = Command::new("cp").arg("-a").args([&away, &open]).status().expect("cp runs");
    assert!(copied.success(), "another volume in its place");
    changes_nothing(&house, &member, &[&volumes, &catalog, &away]);
    std::fs::remove_dir_all(&open).expect("removed");
    std::fs::rename(&away, &open).expect("moved back");
    works_again(&mut house, &member);
}
