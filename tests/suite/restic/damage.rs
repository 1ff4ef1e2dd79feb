//! Cases 17 and 60: what is damaged or out of reach is never "not there", which would make restic's prune remove what hangs on it.

use super::{Home, home};
use crate::support::noise;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Every file called `db` below a directory.
fn databases(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory").flatten().map(|entry| entry.path());
    entries.map(|path| path.join("db")).filter(|path| path.exists()).collect()
}

/// Flips a bit in the first place where one of the files has these bytes.
fn flip(files: &[PathBuf], needle: &[u8], offset: usize) -> bool {
    for file in files {
        let mut bytes = std::fs::read(file).expect("read");
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
            bytes[at + offset] ^= 1;
            std::fs::write(file, bytes).expect("written");
            return true;
        }
    }
    false
}

/// A stopped house whose only object has a flipped bit on the disk.
fn damaged(body: &[u8], path: &str) -> Home {
    let mut home = home();
    home.post(path, body).expect(200);
    home.house.stop();
    assert!(flip(&databases(&home.house.data().join("volumes")), &body[1000..1064], 7), "the bytes were found");
    home
}

#[test]
fn case_17_a_damaged_object_is_an_error_until_its_content_comes_again() {
    let body = noise(17, 700_000);
    for path in ["/restic/a/config".to_owned(), format!("/restic/a/data/{}", crate::support::sha256_hex(&body))] {
        let mut home = damaged(&body, &path);
        home.house.open();
        home.get("GET", &path).refused(500, "damaged");
        home.ask("GET", &path).header("Range", "bytes=5-10").send().refused(500, "damaged");
        assert_eq!(home.get("HEAD", &path).expect(200).header("Content-Length"), Some("700000"));
        home.post(&path, &body).expect(200);
        assert!(home.get("GET", &path).expect(200).body == body, "mended by the same upload");
        home.house.stop();
        let checked = home.house.run(&["check", "--json"]);
        let report: serde_json::Value = serde_json::from_slice(&checked.stdout).expect("JSON");
        assert_eq!(
            report["damaged_objects"],
            serde_json::json!([]),
            "nothing of the object is missing any more: {report}"
        );
    }
}

#[test]
fn check_names_the_objects_that_damage_touches() {
    let body = noise(18, 700_000);
    let home = damaged(&body, "/restic/photos/config");
    let checked = home.house.run(&["check", "--json"]);
    assert_eq!(checked.status.code(), Some(15));
    let report: serde_json::Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    let named = &report["damaged_objects"][0];
    assert_eq!(
        (&named["repo"], &named["object"], &named["account_id"]),
        (&"photos".into(), &"config".into(), &"1".into())
    );
    let text = home.house.run(&["check"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("cannot be read: config of restic's repository photos"), "{text}");
}

#[test]
fn case_60_a_list_that_cannot_be_read_is_an_error_and_never_empty() {
    let mut home = home();
    for n in 0..300 {
        home.put("/restic/a/", "data", &noise(n, 10));
    }
    let whole = home.list("/restic/a/", "data");
    home.house.stop();
    assert!(flip(&databases(&home.house.data().join("catalog")), b"RBp1", 60), "a page was found");
    home.house.open();
    let begun = Instant::now();
    loop {
        let answer = home.ask("GET", "/restic/a/data/").header("Accept", super::V2).send();
        assert!(answer.status == 200 || answer.status >= 500, "case 60: {}", answer.status);
        if answer.status == 200 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the catalog is mended by itself");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(home.list("/restic/a/", "data"), whole, "case 60");
}
