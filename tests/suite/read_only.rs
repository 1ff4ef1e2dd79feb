//! A data directory on a disk that takes no writes: one that went read-only, a snapshot. `check` and `export` read all of it; what
//! would change something is refused with a sentence, and so is a user who may not write where he could.

use crate::support::api::newest;
use crate::support::{House, Member, noise};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory mounted a second time, read-only, for as long as this lives.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn of(data: &Path, at: PathBuf) -> Self {
        std::fs::create_dir(&at).expect("a mount point");
        let (from, to) = (data.to_string_lossy().into_owned(), at.to_string_lossy().into_owned());
        for words in [&["--bind", &from, &to][..], &["-o", "remount,ro,bind", &to]] {
            let ran = Command::new("mount").args(words).output().expect("mount runs");
            assert!(ran.status.success(), "this test needs root, to mount: {ran:?}");
        }
        Self(at)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn filled() -> (House, Member) {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/one", &noise(1, 3 << 20));
    house.kill();
    house.open();
    house.put(&member, "/two", &noise(2, 3000));
    (house, member)
}

fn run(house: &House, data: &Path, words: &[&str]) -> Output {
    house.program().args(words).arg("--data").arg(data).output().expect("the program runs")
}

fn said(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr)
}

#[track_caller]
fn expect(ran: &Output, code: i32, words: &str) {
    assert_eq!(ran.status.code(), Some(code), "{}", said(ran));
    assert!(said(ran).contains(words), "no word of {words:?}: {}", said(ran));
}

#[test]
fn everything_is_read_after_a_stop_and_after_a_kill_and_exported() {
    for killed in [false, true] {
        let (mut house, member) = filled();
        if killed {
            house.kill()
        } else {
            house.stop()
        }
        let disk = ReadOnly::of(&house.data(), house.beside("read-only"));
        let checked = run(&house, &disk.0, &["check"]);
        expect(&checked, 0, "everything is whole");
        expect(&checked, 0, "resolved 2 versions");
        expect(&checked, 0, "the disk is read-only");
        let stream = house.beside("all.rbackup");
        expect(&run(&house, &disk.0, &["export", &stream.to_string_lossy()]), 0, "exported");
        for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["rebuild"], &["check", "--salvage"]] {
            expect(&run(&house, &disk.0, words), 1, "Read-only file system");
        }
        drop(disk);
        std::fs::rename(house.data(), house.beside("the old one")).expect("moved");
        expect(&house.run(&["import", &stream.to_string_lossy()]), 0, "import");
        house.open();
        assert_eq!(house.files(&member).len(), 2);
        let two = newest(&house.files(&member)[1]);
        assert!(house.get(&member, two) == noise(2, 3000));
    }
}

#[test]
fn a_snapshot_without_a_lock_or_a_catalog_is_read_and_one_in_use_is_not() {
    let (mut house, _) = filled();
    {
        let disk = ReadOnly::of(&house.data(), house.beside("in use"));
        expect(&run(&house, &disk.0, &["check"]), 11, "in use");
    }
    house.kill();
    std::fs::remove_file(house.data().join("lock")).expect("the lock");
    std::fs::remove_dir_all(house.data().join("catalog")).expect("the catalog");
    let disk = ReadOnly::of(&house.data(), house.beside("snapshot"));
    expect(&run(&house, &disk.0, &["check"]), 0, "resolved 2 versions");
}

#[test]
fn a_user_who_may_not_write_is_told_so() {
    let (mut house, _) = filled();
    house.stop();
    let stranger = |data: &Path| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(env!("CARGO_BIN_EXE_rbackup"));
        command.args(["check", "--data"]).arg(data).env("RBACKUP_STATE_DIR", data);
        command.output().expect("setpriv runs")
    };
    expect(&stranger(&house.data()), 1, "ermission denied");
}
