//! The scripts in `examples/curl/`, run as a newcomer would run them, and on trees and at moments that are not nice.
//!
//! What may never happen: a file that was acknowledged to the user and is not there, one written outside of the target, a
//! secret in a command line, or an exit code of 0 when something failed.

use crate::support::api::newest;
use crate::support::{House, Member, noise};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/curl")
}

/// A script with the environment a user would have.
fn script(house: &House, name: &str, words: &[&OsStr]) -> Command {
    let mut command = Command::new(scripts().join(name));
    command.args(words).env("HOME", house.beside("home")).env_remove("XDG_CONFIG_HOME");
    command.env("RBACKUP_URL", house.url()).env("RBACKUP_PASSWORD", "the password of anna");
    command
}

fn run(house: &House, name: &str, words: &[&str]) -> Output {
    let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    script(house, name, &words).output().expect("the script runs")
}

/// The standard output of a script that has to succeed.
#[track_caller]
fn said(house: &House, name: &str, words: &[&str]) -> String {
    let ended = run(house, name, words);
    assert!(ended.status.success(), "{name} {words:?}: {}", both(&ended));
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

fn both(ended: &Output) -> String {
    String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr)
}

/// A house in which `register.sh` and `login.sh` were run.
fn signed_in() -> (House, Member) {
    let house = House::start();
    let registered = said(&house, "register.sh", &["anna"]);
    assert!(registered.contains("recovery_code"), "{registered}");
    assert!(said(&house, "login.sh", &["anna", "laptop"]).starts_with("signed in as anna on laptop"));
    let file = house.beside("home/.config/rbackup/session");
    let text = std::fs::read_to_string(&file).expect("the session file");
    let session = text.lines().next().unwrap_or_default().to_owned();
    house.secret(&session);
    house.secret("the password of anna");
    assert_eq!(std::fs::metadata(&file).expect("look").permissions().mode() & 0o777, 0o600);
    let member =
        Member { name: "anna".into(), password: "the password of anna".into(), device: "laptop".into(), session };
    (house, member)
}

/// Every regular file below a folder: name, content, time of change.
fn tree(folder: &Path) -> BTreeMap<Vec<u8>, (Vec<u8>, i64)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("read a folder").flatten() {
        let name = entry.file_name().into_vec();
        if entry.path().is_dir() {
            found.extend(
                tree(&entry.path()).into_iter().map(|(below, held)| ([&name[..], b"/", &below].concat(), held)),
            );
        } else {
            let mtime = std::fs::metadata(entry.path()).expect("look").mtime();
            found.insert(name, (std::fs::read(entry.path()).expect("read a file"), mtime));
        }
    }
    found
}

fn write(folder: &Path, name: &[u8], body: &[u8]) {
    let path = folder.join(OsStr::from_bytes(name));
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("make folders");
    std::fs::write(path, body).expect("write a file");
}

/// Sets a time of change that lies safely in the past.
fn age(path: &Path, when: &str) {
    let ran =
        Command::new("find").arg(path).args(["-type", "f", "-exec", "touch", "-m", "-d", when, "{}", "+"]).status();
    assert!(ran.is_ok_and(|status| status.success()));
}

#[test]
fn the_small_scripts_do_what_their_first_lines_say() {
    let (house, member) = signed_in();
    write(&house.beside("files"), b"a [1] {2}", b"hello");
    let file = house.beside("files/a [1] {2}");
    let file = file.to_string_lossy();
    assert!(said(&house, "upload.sh", &[&file]).contains("\"version\":1"));
    assert!(said(&house, "upload.sh", &[&file, "/other + % name"]).contains("/other + % name"));
    assert_eq!(said(&house, "list.sh", &[]).lines().count(), 2);
    assert_eq!(said(&house, "list.sh", &["laptop"]).lines().count(), 2);
    let listed: serde_json::Value = serde_json::from_str(&said(&house, "list.sh", &["--json"])).expect("JSON");
    assert_eq!(listed[0]["original_name"], *file);
    let copy = house.beside("copy");
    assert!(
        said(&house, "download.sh", &["1", &copy.to_string_lossy()]).starts_with(&crate::support::sha256_hex(b"hello"))
    );
    assert_eq!(std::fs::read(&copy).expect("the copy"), b"hello");
    assert_eq!(said(&house, "remove.sh", &["version", "1"]), "removed version 1\n");
    assert_eq!(said(&house, "remove.sh", &["file", "2"]), "removed file 2\n");
    assert!(house.files(&member).is_empty());
    let token = said(&house, "token.sh", &["nightly backup", "append"]);
    house.secret(token.trim());
    assert!(token.starts_with("rbt_"), "{token}");
    let nightly = script(&house, "backup-folder.sh", &[house.beside("files").as_os_str()])
        .env("RBACKUP_SESSION", token.trim())
        .env("RBACKUP_DEVICE", "laptop")
        .output()
        .expect("the script runs");
    assert!(nightly.status.success(), "a token to append is enough for it: {}", both(&nightly));
    assert_eq!(house.files(&member).len(), 1);
}

#[test]
fn the_small_scripts_fail_when_the_server_says_no() {
    let (house, _) = signed_in();
    let copy = house.beside("copy");
    let copy = copy.to_string_lossy();
    let rows: [(&str, &[&str], i32); 9] = [
        ("register.sh", &["anna"], 1),
        ("login.sh", &["nobody", "laptop"], 1),
        ("list.sh", &["nowhere"], 1),
        ("download.sh", &["77", &copy], 1),
        ("remove.sh", &["file", "77"], 1),
        ("upload.sh", &["/nowhere"], 2),
        ("remove.sh", &["everything"], 2),
        ("backup-folder.sh", &["/nowhere"], 2),
        ("restore-folder.sh", &[], 2),
    ];
    for (name, words, code) in rows {
        let ended = run(&house, name, words);
        assert_eq!(ended.status.code(), Some(code), "{name} {words:?}: {}", both(&ended));
    }
    assert!(!house.beside("copy").exists(), "a refused download leaves no file");
    assert!(said(&house, "list.sh", &[]).is_empty(), "a failed login leaves the session as it was");
}

#[test]
fn a_folder_with_hard_names_is_sent_once_and_comes_back_whole() {
    let (house, _) = signed_in();
    let folder = house.beside("hard\nfolder ");
    let names: [&[u8]; 22] = [
        b"two\nlines",
        b"end\n",
        b"\n",
        b"cr\r",
        b"tab\t",
        b" a ",
        b"a+b",
        b"100%",
        b"%41",
        b"a&b=c;d#e?f",
        b"\"q\" 'x' `y` $HOME",
        b"(!*)",
        b"-rf",
        b"--help",
        b"lat\xfcn/\xff",
        b"[a-z]{x,y}",
        b"#1",
        b"\\back\\n",
        b"d\n/in\n/x",
        "🦀/é".as_bytes(),
        b"@file",
        b"~",
    ];
    names.iter().enumerate().for_each(|(number, name)| write(&folder, name, &noise(number as u64, number * 999)));
    write(&folder, &[b'x'; 255], b"long");
    write(&folder, &[[b'd'; 200]; 12].join(&b'/'), b"deep");
    write(&folder, &(1..=255).filter(|byte| *byte != b'/').collect::<Vec<u8>>(), b"every byte");
    age(&folder, "2020-02-02 02:02:02 UTC");
    age(&folder.join("tab\t"), "1970-01-01 00:00:00 UTC");
    let folder_word = folder.to_string_lossy();
    let sent = run(&house, "backup-folder.sh", &[&folder_word]);
    assert!(sent.status.success() && sent.stdout.starts_with(b"25 files: 25 sent"), "{}", both(&sent));
    let progress = String::from_utf8_lossy(&sent.stderr);
    assert!(progress.contains("25 of 25 files, 0.2 MB of 0.2 MB, "), "it says how far it is: {progress}");
    assert!(said(&house, "backup-folder.sh", &[&folder_word]).contains("0 sent (0.0 MB), 25 unchanged"));
    let target = house.beside("back");
    assert!(
        said(&house, "restore-folder.sh", &[&target.to_string_lossy()]).contains("25 checked, 0 failed, 0 refused")
    );
    let inside = target.join(folder.strip_prefix("/").expect("an absolute path"));
    assert!(tree(&inside) == tree(&folder), "names, contents and times are the same");
}

#[test]
fn only_what_changed_is_sent_and_as_of_brings_the_old_state_back() {
    let (house, member) = signed_in();
    let folder = house.beside("folder");
    (0..30u64).for_each(|n| write(&folder, format!("{n}").as_bytes(), &noise(n, 1000)));
    age(&folder, "2021-01-01");
    let word = folder.to_string_lossy().into_owned();
    said(&house, "backup-folder.sh", &[&word]);
    let before = tree(&folder);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let moment = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S"]).output().expect("date runs").stdout;
    let moment = String::from_utf8_lossy(&moment).trim().to_owned();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    write(&folder, b"3", &noise(99, 1000));
    write(&folder, b"4", b"other size");
    write(&folder, b"new", b"new");
    age(&folder.join("4"), "2021-01-01");
    let summary = said(&house, "backup-folder.sh", &[&word]);
    assert!(summary.starts_with("31 files: 3 sent") && summary.contains("28 unchanged"), "{summary}");
    assert_eq!(house.files(&member).len(), 31);
    let restore = |words: &[&str], target: &str| {
        let to = house.beside(target);
        said(&house, "restore-folder.sh", &[words, &[&to.to_string_lossy()]].concat());
        tree(&to.join(word.trim_start_matches('/')))
    };
    assert!(restore(&["--as-of", &moment], "old") == before);
    assert!(restore(&["--device", "laptop"], "now") == tree(&folder));
    // A folder alone, which no longer name that begins alike joins.
    let deep = format!("{word}/deep");
    write(&folder, b"deep/one", b"one");
    write(&folder, b"deep down/two", b"two");
    said(&house, "backup-folder.sh", &[&word]);
    for (below, target) in [(deep.clone(), "below"), (format!("{deep}/"), "below, with a slash")] {
        let names: Vec<_> = restore(&["--below", &below], target).into_keys().collect();
        assert_eq!(names, [b"deep/one".to_vec()]);
    }
}

#[test]
fn files_that_vanish_or_change_while_they_are_read_are_named_and_not_fatal() {
    let (house, member) = signed_in();
    let folder = house.beside("folder");
    (0..40u64).for_each(|n| write(&folder, format!("{n}").as_bytes(), &noise(n, 5000)));
    let shim = house.beside("shim");
    let moment = format!(
        "#!/bin/sh\ncase \"$*\" in *--parallel*) rm -f '{0}/3' '{0}/33'; echo more >>'{0}/7' ;; esac\nexec /usr/bin/curl \"$@\"\n",
        folder.display()
    );
    write(&shim, b"curl", moment.as_bytes());
    std::fs::set_permissions(shim.join("curl"), PermissionsExt::from_mode(0o755)).expect("make it run");
    let path = format!("{}:{}", shim.display(), std::env::var("PATH").unwrap_or_default());
    let ended = script(&house, "backup-folder.sh", &[folder.as_os_str()]).env("PATH", path).output().expect("it runs");
    let text = both(&ended);
    assert_eq!(ended.status.code(), Some(0), "{text}");
    assert!(text.contains("37 sent") && text.contains("2 vanished, 1 changed while read, 0 failed"), "{text}");
    assert!(text.contains("folder/7: changed while it was read") && text.contains("folder/33: vanished"), "{text}");
    assert_eq!(house.files(&member).len(), 37);
    let again = said(&house, "backup-folder.sh", &[&folder.to_string_lossy()]);
    assert!(again.contains("0 failed"), "{again}");
    assert_eq!(house.files(&member).len(), 38);
}

/// What came otherwise than the list says is no file of the restored folder, however often it came so.
#[test]
fn a_download_with_another_hash_is_named_and_not_kept() {
    let (house, _) = signed_in();
    let folder = house.beside("folder");
    (0..3u64).for_each(|n| write(&folder, format!("{n}").as_bytes(), &noise(n, 5000)));
    let sent = said(&house, "backup-folder.sh", &[&folder.to_string_lossy()]);
    assert!(sent.contains("3 sent"), "{sent}");
    let shim = house.beside("shim");
    let other = "#!/bin/sh\n/usr/bin/curl \"$@\"\ncode=$?\ncase \"$*\" in *--parallel*) for it in $(find . -path '*folder/1' -type f); do printf X | dd of=\"$it\" conv=notrunc status=none; done ;; esac\nexit $code\n";
    write(&shim, b"curl", other.as_bytes());
    std::fs::set_permissions(shim.join("curl"), PermissionsExt::from_mode(0o755)).expect("make it run");
    let path = format!("{}:{}", shim.display(), std::env::var("PATH").unwrap_or_default());
    let target = house.beside("restored");
    let ended = script(&house, "restore-folder.sh", &[target.as_os_str()]).env("PATH", path).output().expect("it runs");
    let text = both(&ended);
    assert_eq!(ended.status.code(), Some(1), "{text}");
    assert!(text.contains("folder/1"), "it names the file: {text}");
    let kept = tree(&target);
    assert_eq!(kept.len(), 2, "the two that are right: {:?}", kept.keys());
    assert!(kept.keys().all(|name| !name.ends_with(b"/1")), "{:?}", kept.keys());
}

#[test]
fn a_file_that_cannot_be_sent_is_named_and_the_exit_code_is_1() {
    let (house, member) = signed_in();
    let folder = house.beside("folder");
    (0..5u64).for_each(|n| write(&folder, format!("{n}").as_bytes(), &noise(n, 100)));
    let half = |name: &str| [name.repeat(250).as_str(); 9].join("/");
    write(&folder, format!("{}/x", half("d")).as_bytes(), b"");
    write(&house.beside("lower"), format!("{}/deep", half("e")).as_bytes(), b"longer than a path may be");
    std::fs::rename(house.beside("lower"), folder.join(half("d")).join("lower")).expect("two halves make a long path");
    let ended = run(&house, "backup-folder.sh", &[&folder.to_string_lossy()]);
    let text = both(&ended);
    assert_eq!(ended.status.code(), Some(1), "{text}");
    assert!(text.contains("6 sent") && text.contains("1 failed") && text.contains("longer than 4095 bytes"), "{text}");
    assert_eq!(house.files(&member).len(), 6);
    house.login(crate::support::api::Way::Form, "laptop", "anna", &member.password).expect(200);
    let ended = run(&house, "backup-folder.sh", &[&folder.to_string_lossy()]);
    assert_eq!(ended.status.code(), Some(1), "a revoked session: {}", both(&ended));
    assert!(both(&ended).contains("login.sh"), "it says what to do: {}", both(&ended));
}

#[test]
fn a_restore_never_leaves_its_target_and_never_shows_an_unchecked_file() {
    let (house, member) = signed_in();
    let bad = ["../../out", "/a/../../../out", "..", r"C:\..\..\out", "C:out", "/", "."];
    let good = [
        ("/etc/x", "etc/x"),
        (r"C:\Users\a", "C/Users/a"),
        (r"\\nas\share\b", "nas/share/b"),
        ("-rf", "-rf"),
        ("a//b/./c", "a/b/c"),
        (r"back\slash", r"back\slash"),
    ];
    bad.iter().for_each(|name| drop(house.put(&member, name, b"evil")));
    good.iter().for_each(|(name, _)| drop(house.put(&member, name, name.as_bytes())));
    house.put(&member, "a/b/c", b"the same place as a//b/./c");
    house.put(&member, "/etc/x/below", b"a folder where a file is");
    let target = house.beside("deep/er/back");
    let ended = run(&house, "restore-folder.sh", &[&target.to_string_lossy()]);
    let text = both(&ended);
    assert_eq!(ended.status.code(), Some(1), "{text}");
    assert!(text.contains("9 refused"), "{text}");
    let back = tree(&target);
    for (name, place) in &good[1..] {
        let held = back.get(place.as_bytes()).map(|(body, _)| body.as_slice());
        assert_eq!(held, Some(name.as_bytes()), "{text}");
    }
    assert!(!back.values().any(|(body, _)| body == b"evil"));
    let beside: Vec<_> =
        std::fs::read_dir(house.beside("deep/er")).expect("read it").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(beside, ["back"]);
    let again = run(&house, "restore-folder.sh", &[&target.to_string_lossy()]);
    assert_eq!(again.status.code(), Some(1), "a folder that is not empty is left alone");
    assert!(tree(&target) == back);
}

#[test]
fn no_secret_stands_in_a_command_line() {
    let (house, member) = signed_in();
    let folder = house.beside("folder");
    (0..20u64).for_each(|n| write(&folder, format!("{n}").as_bytes(), &noise(n, 100)));
    let shim = house.beside("shim");
    let told = house.beside("told");
    for name in ["curl", "awk", "jq", "sed", "xargs", "sh"] {
        let real = Command::new("sh").args(["-c", &format!("command -v {name}")]).output().expect("a shell").stdout;
        let real = String::from_utf8_lossy(&real).trim().to_owned();
        let text = format!("#!/bin/bash\nprintf '%s\\n' \"$*\" >>'{}'\nexec {real} \"$@\"\n", told.display());
        write(&shim, name.as_bytes(), text.as_bytes());
        std::fs::set_permissions(shim.join(name), PermissionsExt::from_mode(0o755)).expect("make it run");
    }
    let path = format!("{}:{}", shim.display(), std::env::var("PATH").unwrap_or_default());
    let target = house.beside("back");
    let runs: [(&str, &[&OsStr]); 4] = [
        ("login.sh", &[OsStr::new("anna"), OsStr::new("phone")]),
        ("backup-folder.sh", &[folder.as_os_str()]),
        ("list.sh", &[]),
        ("restore-folder.sh", &[target.as_os_str()]),
    ];
    for (name, words) in runs {
        let ended = script(&house, name, words).env("PATH", &path).output().expect("it runs");
        assert!(ended.status.success(), "{name}: {}", both(&ended));
    }
    let session = std::fs::read_to_string(house.beside("home/.config/rbackup/session")).expect("the session file");
    let session = session.lines().next().unwrap_or_default();
    let told = std::fs::read_to_string(told).expect("what the shims were told");
    assert!(told.lines().count() > 10, "{told}");
    assert_eq!(told.matches("--parallel --parallel-max 12 ").count(), 2, "sent and restored many at once: {told}");
    for secret in [session, &member.session, &member.password] {
        assert!(!told.contains(secret), "a secret in a command line");
    }
    assert_eq!(newest(&house.put(&member, "/last", b"x")), 21);
}
