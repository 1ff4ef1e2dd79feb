//! A folder or a selection as one zip, as of any moment: read by the programs that people have, and gone on with where it broke.

use crate::support::api::{file_id, newest};
use crate::support::noise::percent_encoded;
use crate::support::{Answer, House, Member, noise};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn zip(house: &House, member: &Member, query: &str) -> Answer {
    house.curl(&format!("/api/v1/zip?device_id=laptop{query}")).session(&member.session).send()
}

fn saved(house: &House, name: &str, bytes: &[u8]) -> PathBuf {
    let path = house.beside(name);
    std::fs::write(&path, bytes).expect("save the archive");
    path
}

fn run(program: &str, words: &[&str], archive: &Path) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(words).arg(archive).env("LC_ALL", "C.UTF-8");
    let ran = command.output().expect("unzip and bsdtar are installed: tests/run tools brings them");
    (ran.status.success(), String::from_utf8_lossy(&ran.stdout).into_owned())
}

/// The names in an archive by both programs, which must find nothing wrong with it.
fn names(archive: &Path) -> Vec<String> {
    let (sound, said) = run("unzip", &["-tqq"], archive);
    assert!(sound, "unzip -t: {said}");
    let (listed, one) = run("unzip", &["-Z1"], archive);
    let (too, other) = run("bsdtar", &["-tf"], archive);
    assert!(listed && too);
    assert_eq!(one, other, "both programs see the same");
    one.lines().map(str::to_owned).collect()
}

fn content(archive: &Path, name: &str) -> Vec<u8> {
    let ran = Command::new("bsdtar").args(["-xOf"]).arg(archive).arg(name).output().expect("bsdtar runs");
    assert!(ran.status.success(), "{name}");
    ran.stdout
}

fn lived_in(house: &House) -> (Member, Vec<u8>) {
    let member = house.member("anna", "laptop");
    let large = noise(3, 5_000_000);
    house.put(&member, "/home/anna/docs/letter.txt", b"Dear Bob");
    house.put(&member, "/home/anna/docs/empty", b"");
    house.put(&member, "/home/anna/docs/deep/er/large.bin", &large);
    house.put(&member, "/home/anna/other.txt", b"elsewhere");
    (member, large)
}

#[test]
fn a_folder_is_taken_along_whole() {
    let house = House::start();
    let (member, large) = lived_in(&house);
    let upload = "/upload?file_path=/home/anna/docs/run.sh&mtime=1500000000000&mode=0755";
    house.curl(upload).session(&member.session).upload_file(b"#!/bin/sh\n").send().expect(200);
    let folder = format!("&folder={}", percent_encoded(b"/home/anna/docs/"));
    let answer = zip(&house, &member, &folder).expect(200);
    assert_eq!(answer.header("Content-Length"), Some(answer.body.len().to_string().as_str()));
    assert_eq!(answer.header("Content-Disposition"), Some("attachment; filename*=UTF-8''docs.zip"));
    assert_eq!(answer.header("Content-Type"), Some("application/zip"));
    let archive = saved(&house, "docs.zip", &answer.body);
    assert_eq!(names(&archive), ["docs/deep/er/large.bin", "docs/empty", "docs/letter.txt", "docs/run.sh"]);
    assert!(content(&archive, "docs/deep/er/large.bin") == large);
    let out = house.beside("out");
    let (sound, _) = run("unzip", &["-q", "-d", &out.to_string_lossy()], &archive);
    assert!(sound);
    let script = std::fs::metadata(out.join("docs/run.sh")).expect("it was unpacked");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&script.permissions()) & 0o777, 0o755);
    let changed = script.modified().expect("a time").duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    assert_eq!(changed.as_secs(), 1_500_000_000);
    let whole = saved(&house, "whole.zip", &zip(&house, &member, "").expect(200).body);
    assert_eq!(names(&whole)[4], "laptop/home/anna/other.txt");
    let mut broken = answer.body;
    let at = broken.len() / 2;
    broken[at] ^= 1;
    let (sound, _) = run("unzip", &["-tqq"], &saved(&house, "broken.zip", &broken));
    assert!(!sound, "planted: a changed bit is seen");
}

#[test]
fn a_selection_and_a_moment_say_what_is_in_it() {
    let house = House::start();
    let (member, _) = lived_in(&house);
    let letter = house.files(&member)[0].clone();
    let then = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    std::thread::sleep(Duration::from_millis(20));
    house.put(&member, "/home/anna/docs/letter.txt", b"Dear Bob, once more");
    house.put(&member, "/home/anna/docs/later.txt", b"later");
    house.remove_file(&member.session, file_id(&letter)).expect(200);
    let (home, docs) = (percent_encoded(b"/home/anna/"), percent_encoded(b"/home/anna/docs/"));
    let some = format!("&folder={home}&files=4&folders={}%00", percent_encoded(b"/home/anna/docs/deep/"));
    let archive = saved(&house, "some.zip", &zip(&house, &member, &some).expect(200).body);
    assert_eq!(names(&archive), ["docs/deep/er/large.bin", "other.txt"]);
    let now = saved(&house, "now.zip", &zip(&house, &member, &format!("&folder={docs}")).expect(200).body);
    assert_eq!(names(&now), ["docs/deep/er/large.bin", "docs/empty", "docs/later.txt"]);
    let past = format!("&folder={docs}&at={then}");
    let archive = saved(&house, "then.zip", &zip(&house, &member, &past).expect(200).body);
    assert_eq!(names(&archive), ["docs/deep/er/large.bin", "docs/empty", "docs/letter.txt"], "removed since, and held");
    assert_eq!(content(&archive, "docs/letter.txt"), b"Dear Bob");
    house.advance(8 * DAY);
    let archive = saved(&house, "late.zip", &zip(&house, &member, &past).expect(200).body);
    assert_eq!(names(&archive)[2], "docs/not in this archive.txt");
    assert!(content(&archive, "docs/not in this archive.txt").ends_with(b"\ndocs/letter.txt\n"));
    let before = saved(&house, "before.zip", &zip(&house, &member, &format!("&folder={docs}&at=0")).expect(200).body);
    let (_, said) = run("bsdtar", &["-tf"], &before);
    assert_eq!(said, "", "nothing had come yet");
}

#[test]
fn a_download_that_broke_goes_on() {
    let house = House::start();
    let (member, _) = lived_in(&house);
    let answer = zip(&house, &member, "").expect(200);
    let (whole, etag) = (answer.body.clone(), answer.header("ETag").expect("a tag").to_owned());
    let path = saved(&house, "broken.zip", &whole[..1_234_567]);
    let mut curl = Command::new("curl");
    curl.args(["-q", "-sSf", "-C", "-", "-H"]).arg(format!("RBackup-Session-Pass: {}", member.session));
    let ran = curl.arg("-o").arg(&path).arg(format!("{}/api/v1/zip?device_id=laptop", house.url())).status();
    assert!(ran.expect("curl runs").success());
    assert!(std::fs::read(&path).expect("the archive") == whole, "curl -C - made it whole");
    let part = |range: &str, more: &[(&str, &str)]| {
        let curl = house.curl("/api/v1/zip?device_id=laptop").session(&member.session).header("Range", range);
        more.iter().fold(curl, |curl, (name, value)| curl.header(name, value)).send()
    };
    let len = whole.len();
    let (step, mut seen) = (len / 37, 0);
    for from in (0..len).step_by(step) {
        let until = (from + step).min(len);
        let answer = part(&format!("bytes={from}-{}", until - 1), &[]).expect(206);
        assert!(answer.body == whole[from..until], "{from}");
        assert_eq!(answer.header("Content-Range"), Some(format!("bytes {from}-{}/{len}", until - 1).as_str()));
        seen += answer.body.len();
    }
    assert_eq!(seen, len);
    // Every byte around the headers begins or ends a range somewhere.
    for from in (0..400).chain(len - 400..len) {
        assert!(
            part(&format!("bytes={from}-{}", (from + 150).min(len - 1)), &[]).expect(206).body
                == whole[from..(from + 151).min(len)]
        );
    }
    part(&format!("bytes={len}-"), &[]).refused(416, "range_not_satisfiable");
    part("bytes=5-9", &[("If-Range", &etag)]).expect(206);
    house
        .curl("/api/v1/zip?device_id=laptop")
        .session(&member.session)
        .header("If-None-Match", &etag)
        .send()
        .expect(304);
    house.put(&member, "/home/anna/docs/new.txt", b"new");
    let other = part("bytes=5-9", &[("If-Range", &etag)]).expect(200);
    assert_ne!(other.header("ETag"), Some(etag.as_str()), "another archive is not a part of this one");
}

#[test]
fn names_of_files_lead_nowhere() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    for path in ["/../../evil", "C:\\Users\\x.txt", "/con\nline", "/a", "/a/b", "/x\u{202e}gpj.exe", "/-rf", "\\a"] {
        house.put(&member, path, path.as_bytes());
    }
    let archive = saved(&house, "names.zip", &zip(&house, &member, "").expect(200).body);
    let names = names(&archive);
    assert_eq!(names.len(), 8, "{names:?}");
    for name in &names {
        assert!(name.starts_with("laptop/") && !name.contains("..") && !name.contains('\\'), "{name}");
        assert!(!name.chars().any(char::is_control) && !name.contains("C:"), "{name}");
    }
    let out = house.beside("unpacked");
    std::fs::create_dir(&out).expect("a folder");
    let (sound, _) = run("bsdtar", &["-xC", &out.to_string_lossy(), "-f"], &archive);
    assert!(sound, "every name can be unpacked beside every other");
    assert!(!house.beside("evil").exists());
}

#[test]
fn bad_questions_and_other_accounts_get_a_sentence() {
    let house = House::start();
    let (member, _) = lived_in(&house);
    let bert = house.member("bert", "phone");
    house.put(&bert, "/secret", b"of bert");
    let secret = house.files(&bert)[0].clone();
    for (query, status) in [
        ("&folder=x".to_owned(), 400),
        ("&files=1,x".to_owned(), 400),
        ("&files=-1".to_owned(), 400),
        ("&folders=%2Fhome".to_owned(), 400),
        ("&at=soon".to_owned(), 400),
        (format!("&files={}", vec!["1"; 2001].join(",")), 400),
        ("&files=99".to_owned(), 404),
        (format!("&files={}", file_id(&secret)), 404),
        ("&folder=%2Fhome%2Fanna%2Fdocs%2F&files=4".to_owned(), 404),
        ("&folder=%2Fhome%2Fanna%2Fdocs%2F&folders=%2Fhome%2F".to_owned(), 404),
    ] {
        let answer = zip(&house, &member, &query).expect(status).json();
        assert!(answer["error"].as_str().is_some_and(|sentence| sentence.ends_with('.')), "{query}: {answer}");
    }
    house.curl("/api/v1/zip?device_id=phone").session(&member.session).send().refused(404, "not_found");
    house.curl("/api/v1/zip").session(&member.session).send().expect(400);
    assert!(newest(&secret) > 0);
}
