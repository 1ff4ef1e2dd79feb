//! Somebody else on the machine: links laid in the data directory's way, keys that lie open, and other users at the socket.

use crate::support::House;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A user that nobody is.
const SOMEBODY: &str = "64777";

/// Where the server writes, replaces or removes something by itself, and what is there when it does.
const FILES: [&str; 9] = [
    "FORMAT.new",
    "FORMAT.copy.new",
    "newest.new",
    "clean.new",
    "tls.pem.new",
    "rbackup.sock",
    "ballast/03",
    "volumes/00000001/db.new",
    "volumes/00000001/conf.new",
];
const DIRECTORIES: [&str; 6] = [
    "selftest",
    "volumes/00000009",
    "volumes/00000008.dead",
    "catalog.new",
    "catalog/run-00000007-00000007",
    "catalog.old",
];

/// Everything below a directory, with its content and mode.
fn content(dir: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut all = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let about = std::fs::symlink_metadata(&path).expect("it is still there");
        if about.is_dir() {
            left.extend(std::fs::read_dir(&path).expect("readable").flatten().map(|entry| entry.path()));
            all.push((path, about.permissions().mode(), Vec::new()));
        } else {
            let bytes = std::fs::read(&path).expect("readable");
            all.push((path, about.permissions().mode(), bytes));
        }
    }
    all.sort();
    all
}

/// Something of somebody else's, which no server may touch.
fn canary(house: &House) -> PathBuf {
    let place = house.beside("elsewhere");
    std::fs::create_dir_all(place.join("dir/inner")).expect("made");
    for name in ["file", "dir/db", "dir/conf", "dir/inner/more"] {
        std::fs::write(place.join(name), format!("somebody else's {name}")).expect("written");
    }
    place
}

/// Serves for a while, stops, rebuilds and serves again; a refusal is fine.
fn live(house: &House) {
    for words in [&["serve", "--listen", "127.0.0.1:0", "--tls", "auto"][..], &["rebuild"], &["check", "--salvage"]] {
        let mut command = house.program();
        command.args(words).arg("--data").arg(house.data()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        if words[0] == "serve" {
            // It has begun when it says where it listens, or ends.
            let mut first = [0; 1];
            let _ = std::io::Read::read(child.stdout.as_mut().expect("a pipe"), &mut first);
            std::thread::sleep(std::time::Duration::from_millis(50));
            crate::support::house::signal("TERM", child.id());
        }
        let _ = child.wait();
    }
}

#[test]
fn nothing_is_written_or_removed_through_a_link() {
    let mut house = House::start();
    let anna = house.member("anna", "laptop");
    house.put(&anna, "/f", b"kept");
    house.stop();
    let elsewhere = canary(&house);
    let before = content(&elsewhere);
    let rows = FILES.into_iter().map(|name| (name, "file")).chain(DIRECTORIES.into_iter().map(|name| (name, "dir")));
    for (name, target) in rows {
        let at = house.data().join(name);
        let _ = std::fs::remove_file(&at);
        std::fs::create_dir_all(at.parent().expect("a parent")).expect("a place for the link");
        symlink(elsewhere.join(target), &at).expect("a link");
        live(&house);
        assert_eq!(content(&elsewhere), before, "{name} leads to {target}");
        if at.symlink_metadata().is_ok_and(|about| about.is_symlink()) {
            std::fs::remove_file(&at).expect("the test's own link");
        }
    }
    // A link that leads to nothing makes nothing there either.
    for name in FILES.into_iter().chain(["lock", "tls.pem"]) {
        let (at, nothing) = (house.data().join(name), elsewhere.join("nothing"));
        let kept = std::fs::rename(&at, house.beside("kept")).is_ok();
        symlink(&nothing, &at).expect("a link");
        live(&house);
        assert!(!nothing.exists(), "{name} was written through");
        assert_eq!(content(&elsewhere), before, "{name}");
        if at.symlink_metadata().is_ok_and(|about| about.is_symlink()) {
            std::fs::remove_file(&at).expect("the test's own link");
        }
        if kept && !at.exists() {
            std::fs::rename(house.beside("kept"), &at).expect("as before");
        }
    }
    house.open();
    assert_eq!(house.get(&anna, 1), b"kept", "and what is ours is still there");
    // The canary itself can be seen to change.
    std::fs::write(elsewhere.join("dir/db"), b"x").expect("written");
    assert_ne!(content(&elsewhere), before, "planted: a file that was written");
}

#[test]
fn a_key_of_its_own_that_lies_open_is_refused_at_start() {
    let mut house = House::empty();
    house.open_with(&["--tls", "auto"]);
    house.stop();
    let key = house.data().join("tls.pem");
    for mode in [0o604, 0o644, 0o601] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).expect("change the mode");
        let ended = house.run(&["serve", "--listen", "127.0.0.1:0", "--tls", "auto"]);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{mode:o}: {said}");
        assert!(said.contains("can be read by others"), "{said}");
    }
    // A link to such a file is not better than the file.
    let open = house.beside("open.pem");
    std::fs::rename(&key, &open).and_then(|()| symlink(&open, &key)).expect("a link");
    assert_eq!(house.run(&["serve", "--listen", "127.0.0.1:0", "--tls", "auto"]).status.code(), Some(1));
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o600)).expect("change the mode");
    house.open_with(&["--tls", "auto"]);
}

fn as_somebody(house: &House, words: &[&str]) -> std::process::Output {
    let program = house.program();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", SOMEBODY, "--regid", SOMEBODY, "--clear-groups"]).arg(program.get_program()).args(words);
    command.arg("--data").arg(house.data()).env("RBACKUP_STATE_DIR", house.state()).stdin(Stdio::null());
    command.output().expect("setpriv is installed: tests/run tools")
}

#[test]
fn another_user_reads_no_file_of_the_data_directory_and_runs_no_errand() {
    let house = House::start();
    let anna = house.member("anna", "laptop");
    house.put(&anna, "/f", b"kept");
    let mode = |path: &Path| std::fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&house.data()), 0o700);
    for (path, held, _) in content_of_files(&house.data()) {
        assert_eq!(held & 0o077, 0, "{} is for its owner alone: {held:o}", path.display());
    }
    for words in [
        &["account", "list"][..],
        &["account", "invite"],
        &["account", "disable", "anna"],
        &["account", "remove", "anna", "--yes"],
        &["repo", "list"],
        &["check"],
        &["export", "/nonexistent/x"],
        &["rebuild"],
    ] {
        let ended = as_somebody(&house, words);
        assert!(!ended.status.success() && ended.stdout.is_empty(), "{words:?}: {ended:?}");
    }
    house.list_files(&anna.session, None).expect(200);
}

/// The same without what cannot be read: sockets.
fn content_of_files(dir: &Path) -> Vec<(PathBuf, u32, u64)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("readable").flatten() {
        let about = entry.path().symlink_metadata().expect("it is there");
        if about.is_dir() {
            all.extend(content_of_files(&entry.path()));
        } else {
            all.push((entry.path(), about.permissions().mode() & 0o777, about.len()));
        }
    }
    all
}
