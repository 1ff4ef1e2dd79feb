//! Root's commands on a directory that is somebody else's, which `sudo` and services make an everyday thing: whatever they make in it
//! belongs to its owner, who could not open it otherwise. Root reads and reaches what only root may all the same: systemd's dynamic users
//! have their data below a directory of root's.

use crate::support::House;
use crate::support::noise::noise;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Output;

/// Debian's nobody and nogroup.
const OWNER: u32 = 65534;
const NOTHING: [PathBuf; 0] = [];

/// Everything in `dir` and itself.
fn all_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        if entry.file_type().expect("a type").is_dir() {
            found.extend(all_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// What does not belong to the owner.
fn strange(dir: &Path) -> Vec<PathBuf> {
    let is_strange = |path: &PathBuf| {
        let meta = std::fs::symlink_metadata(path).expect("it is there");
        (meta.uid(), meta.gid()) != (OWNER, OWNER)
    };
    all_below(dir).into_iter().filter(is_strange).collect()
}

/// A stopped server's directory with two versions in it, which is the owner's, and the account's name.
fn somebody_elses() -> House {
    let mut house = House::start();
    let member = house.member("ann", "laptop");
    house.put(&member, "/a", &noise(1, 300_000));
    house.put(&member, "/b", b"small");
    house.stop();
    for path in all_below(&house.data()) {
        chown(path, Some(OWNER), Some(OWNER)).expect("given away");
    }
    let data = house.data();
    let above = data.parent().expect("it lies somewhere");
    std::fs::set_permissions(above, PermissionsExt::from_mode(0o700)).expect("its owner cannot come here by itself");
    house
}

fn expect_success(words: &[&str], output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {} {said}", output.status);
    assert!(!said.contains("cannot remember"), "{words:?}: {said}");
}

#[test]
fn what_roots_commands_make_belongs_to_the_directorys_owner() {
    let house = somebody_elses();
    assert_eq!(strange(&house.data()), NOTHING, "nothing was done yet");
    let exported = house.beside("all.rbackup").to_string_lossy().into_owned();
    let commands: [&[&str]; 10] = [
        &["check"],
        &["account", "list"],
        &["account", "quota", "ann", "--logical", "1G"],
        &["account", "invite"],
        &["audit", "verify"],
        &["repo", "list", "--account", "ann"],
        &["export", &exported],
        &["rebuild"],
        &["check", "--salvage"],
        &["check"],
    ];
    for words in commands {
        expect_success(words, &house.run(words));
        assert_eq!(strange(&house.data()), NOTHING, "{words:?}");
    }
    assert_eq!(std::fs::metadata(&exported).expect("an export").uid(), 0, "what lies elsewhere is root's");

    std::fs::write(house.data().join("volumes/planted"), "").expect("planted");
    assert_eq!(strange(&house.data()), [house.data().join("volumes/planted")], "planted: a file of root's is seen");
}

#[test]
fn a_server_of_root_works_as_the_directorys_owner() {
    let mut house = somebody_elses();
    house.open();
    let status = std::fs::read_to_string(format!("/proc/{}/status", house.pid())).expect("a process");
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).expect(name).to_owned();
    let words = |line: String| line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(line("Uid:")), ["0", "65534", "0", "65534"], "its files are the owner's");
    let member = house.member("bob", "phone");
    house.put(&member, "/c", &noise(3, 3_000_000));
    assert_eq!(house.files(&member).len(), 1);
    assert_eq!(strange(&house.data()), NOTHING, "while it serves");
    assert!(house.run(&["account", "show", "bob"]).status.success(), "root may come in by its socket");
    house.stop();
    assert_eq!(strange(&house.data()), NOTHING, "after its end");
}

/// What an earlier program left to root in such a directory.
#[test]
fn root_opens_what_root_left_there() {
    let house = somebody_elses();
    let volume = house.data().join("volumes/00000001/db");
    chown(&volume, Some(0), Some(0)).expect("root's again");
    std::fs::set_permissions(&volume, PermissionsExt::from_mode(0o600)).expect("for root alone");
    for words in [&["check"][..], &["rebuild"], &["account", "list"]] {
        expect_success(words, &house.run(words));
        assert_eq!(strange(&house.data()), std::slice::from_ref(&volume), "{words:?}");
    }
}
