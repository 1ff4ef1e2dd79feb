//! `rbackup repo` and `/api/v1/repos`: repositories seen from outside of restic.

use super::home;
use crate::support::{House, sha256_hex};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;

fn json_of(ran: &Output) -> Value {
    assert!(ran.status.success(), "{ran:?}");
    serde_json::from_slice(&ran.stdout).expect("JSON")
}

#[test]
fn the_account_is_shown_its_repositories() {
    let home = home();
    let repos = || home.house.curl("/api/v1/repos").session(&home.member.session).send().expect(200).json();
    assert_eq!(repos(), json!([]));
    home.house.curl("/api/v1/repos").send().refused(401, "no_session");
    home.put("/restic/photos/", "data", &[7; 1000]);
    home.put("/restic/photos/", "snapshots", b"snapshot");
    home.put("/restic/photos/", "locks", b"lock");
    home.get("POST", "/restic/?create=true").expect(200);
    let shown = repos();
    let (root, photos) = (&shown[0], &shown[1]);
    assert_eq!((&root["name"], &root["objects"], &root["last_write"]), (&json!(""), &json!(0), &Value::Null));
    assert_eq!((&photos["name"], &photos["objects"], &photos["bytes"]), (&json!("photos"), &json!(3), &json!(1012)));
    assert_eq!((&photos["snapshots"], &photos["locks"].as_array().map(Vec::len)), (&json!(1), &Some(1)));
    assert!(photos["locks"][0]["age_s"].as_u64().is_some_and(|age| age < 60), "{photos}");
}

#[test]
fn repositories_are_listed_shown_and_removed_from_the_shell() {
    let mut home = home();
    home.post("/restic/a/b/config", b"config").expect(200);
    home.put("/restic/a/b/", "data", b"pack");
    home.post("/restic/kept/config", b"kept").expect(200);
    manage(&home);
    home.post("/restic/a/b/config", b"another").expect(200);
    assert_eq!(home.list("/restic/a/b/", "data"), [], "made again it begins empty");
    home.put("/restic/a/b/", "data", b"and");
    // The same without a server.
    home.house.stop();
    manage(&home);
    home.house.open();
    assert_eq!(home.get("GET", "/restic/a/b/config").status, 404);
    assert_eq!(home.list("/restic/a/b/", "data"), []);
    assert_eq!(home.get("GET", "/restic/kept/config").expect(200).body, b"kept");
}

fn manage(home: &super::Home) {
    let run = |words: &[&str]| {
        let (command, rest) = words.split_first().expect("a command");
        home.house.run(&[&["repo", *command, "--account", "anna"], rest].concat())
    };
    let list = json_of(&run(&["list", "--json"]));
    assert_eq!((&list[0]["name"], &list[1]["name"], &list[0]["bytes"]), (&json!("a/b"), &json!("kept"), &json!(10)));
    assert_eq!(json_of(&run(&["show", "a/b", "--json"]))["objects"], 2);
    assert_eq!(run(&["remove", "a/b"]).status.code(), Some(2), "it is only said what would go");
    assert!(run(&["remove", "a/b", "--yes"]).status.success());
    assert_eq!(run(&["show", "a/b"]).status.code(), Some(10));
    assert_eq!(run(&["show", "../b"]).status.code(), Some(2));
    assert_eq!(home.house.run(&["repo", "list", "--account", "nobody"]).status.code(), Some(10));
    assert_eq!(json_of(&home.house.run(&["repo", "list", "--json"])), json!([]), "the local realm has none");
}

fn write(dir: &Path, path: &str, body: &[u8]) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, body).expect("written");
}

/// A directory as rest-server and rclone keep it: packs below two digits, everything else flat.
fn directory(house: &House) -> std::path::PathBuf {
    let dir = house.beside("rest-server/photos");
    for (n, body) in [vec![1; 3_000_000], vec![2; 10], Vec::new()].into_iter().enumerate() {
        let name = sha256_hex(&body);
        write(&dir, &format!("data/{}/{name}", &name[..2]), &body);
        write(&dir, &format!("index/{}", sha256_hex(&[n as u8])), &[n as u8]);
    }
    for kind in ["keys", "snapshots", "locks"] {
        write(&dir, &format!("{kind}/{}", sha256_hex(kind.as_bytes())), kind.as_bytes());
    }
    write(&dir, "data/aa/.tmp-file", b"left by a crash");
    write(&dir, "config", b"the configuration");
    dir
}

#[test]
fn a_directory_of_another_server_is_taken_over() {
    let mut home = home();
    let dir = directory(&home.house);
    let import = |home: &super::Home, words: &[&str]| {
        let dir = dir.to_str().expect("a plain path");
        home.house.run(&[&["repo", "import", "--account", "anna", dir], words].concat())
    };
    let empty = home.house.beside("empty");
    fs::create_dir_all(&empty).expect("made");
    let refused = home.house.run(&["repo", "import", empty.to_str().expect("plain"), "x"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    for round in 0..2 {
        // With a server, and without.
        if round == 1 {
            home.house.stop();
        }
        let taken = import(&home, &["photos"]);
        assert!(taken.status.success(), "{taken:?}");
        let said = String::from_utf8_lossy(&taken.stdout).into_owned();
        assert!(said.starts_with("took 9 objects with "), "round {round}: {said}");
    }
    // A file whose content is not its name: left out, named, and told by the exit code.
    let wrong = sha256_hex(b"right");
    write(&dir, &format!("data/{}/{wrong}", &wrong[..2]), b"wrong");
    let taken = import(&home, &["damaged"]);
    assert_eq!(taken.status.code(), Some(15));
    assert!(String::from_utf8_lossy(&taken.stderr).contains(&wrong), "{taken:?}");
    home.house.open();
    assert_eq!(home.get("GET", "/restic/photos/config").expect(200).body, b"the configuration");
    assert_eq!(home.list("/restic/photos/", "data").len(), 3);
    assert_eq!(home.list("/restic/photos/", "index").len(), 3);
    assert_eq!(home.list("/restic/photos/", "locks"), [], "locks are not taken over");
    let large = format!("/restic/photos/data/{}", sha256_hex(&vec![1; 3_000_000]));
    assert!(home.get("GET", &large).expect(200).body == vec![1; 3_000_000]);
    assert_eq!(home.list("/restic/damaged/", "data").len(), 3, "the wrong one is not there");
}

fn import(home: &super::Home, dir: &Path, repo: &str) -> Output {
    home.house.run(&["repo", "import", "--account", "anna", dir.to_str().expect("a plain path"), repo])
}

#[test]
fn a_repository_is_not_taken_over_into_another() {
    let home = home();
    let dir = directory(&home.house);
    let names = |kind: &str| home.list("/restic/photos/", kind).len();
    // Another configuration, objects that are not the directory's without any, and the directory's own.
    home.post("/restic/photos/config", b"another configuration").expect(200);
    home.put("/restic/loose/", "data", b"of somebody else");
    home.put("/restic/begun/", "data", &[2; 10]);
    home.put("/restic/begun/", "locks", b"a lock");
    for repo in ["photos", "loose"] {
        let refused = import(&home, &dir, repo);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("is another one; nothing was taken over"), "{repo}: {said}");
    }
    assert_eq!((names("data"), names("index"), names("keys")), (0, 0, 0), "nothing was taken");
    assert_eq!(home.list("/restic/loose/", "data").len(), 1);
    assert_eq!(home.get("GET", "/restic/photos/config").expect(200).body, b"another configuration");
    for _ in 0..2 {
        let taken = import(&home, &dir, "begun");
        assert!(taken.status.success(), "an import goes on: {taken:?}");
    }
    assert_eq!(home.list("/restic/begun/", "data").len(), 3);
}

#[test]
fn what_is_no_file_is_told_and_what_is_no_repository_refused() {
    let home = home();
    let dir = directory(&home.house);
    let shard = sha256_hex(&[2; 10])[..2].to_owned();
    let elsewhere = home.house.beside("elsewhere");
    fs::rename(dir.join("data").join(&shard), &elsewhere).expect("moved");
    link(&elsewhere, &dir.join("data").join(&shard));
    let key = dir.join("keys").join(sha256_hex(b"keys"));
    fs::rename(&key, home.house.beside("key")).expect("moved");
    link(&home.house.beside("key"), &key);
    let taken = import(&home, &dir, "photos");
    assert_eq!(taken.status.code(), Some(15), "{taken:?}");
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    for path in [dir.join("data").join(&shard), key] {
        assert!(said.contains(path.to_str().expect("plain")), "{said}");
    }
    assert!(said.contains("links are not followed"), "{said}");
    assert_eq!((home.list("/restic/photos/", "data").len(), home.list("/restic/photos/", "keys").len()), (2, 0));
    // A directory without data, with a link to it, with a link for its configuration.
    let data = home.house.beside("data-elsewhere");
    fs::rename(dir.join("data"), &data).expect("moved");
    let refused = |repo: &str| {
        let refused = import(&home, &dir, repo);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("no repository of restic's"), "{refused:?}");
    };
    refused("no-data");
    link(&data, &dir.join("data"));
    refused("linked-data");
    fs::remove_file(dir.join("data")).expect("removed");
    fs::rename(&data, dir.join("data")).expect("moved back");
    fs::rename(dir.join("config"), home.house.beside("config")).expect("moved");
    link(&home.house.beside("config"), &dir.join("config"));
    refused("linked-config");
    for repo in ["no-data", "linked-data", "linked-config"] {
        assert_eq!(home.house.run(&["repo", "show", "--account", "anna", repo]).status.code(), Some(10), "{repo}");
    }
}

fn link(to: &Path, path: &Path) {
    std::os::unix::fs::symlink(to, path).expect("linked");
}
