//! `rbackup export` and `rbackup import`: the whole store in one stream, to another machine or into a later format. What comes out is
//! the same store; what was touched on the way is refused, and leaves nothing that looks like a store.

use crate::support::api::{Way, file_id, newest, versions};
use crate::support::house::program;
use crate::support::{House, Member, noise};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const LARGE_BYTES: usize = 9 << 20;
/// Bytes of the head up to where it says its version.
const MAGIC_BYTES: usize = 16;
/// Flipped bytes and cuts that are tried with a process each; the unit tests try them all.
const TRIALS: usize = 120;

fn export(house: &House, target: &Path) -> Output {
    house.run(&["export", &target.to_string_lossy()])
}

fn import(data: &Path, source: &Path) -> Output {
    program().args(["import", "--data"]).args([data, source]).output().expect("the program runs")
}

fn import_bytes(house: &House, data: &Path, bytes: &[u8]) -> Output {
    let source = house.beside("stream");
    fs::write(&source, bytes).expect("write the stream");
    import(data, &source)
}

/// Exported to a file beside the house.
fn exported(house: &House) -> PathBuf {
    let target = house.beside("all.rbackup");
    let ended = export(house, &target);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    target
}

fn said(ended: &Output) -> String {
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

/// Exit code, and one sentence for people that names no panic.
#[track_caller]
fn refused(ended: &Output, code: i32, word: &str) {
    let text = said(ended);
    assert_eq!(ended.status.code(), Some(code), "{text}");
    assert!(text.contains(word) && text.starts_with("rbackup: ") && text.lines().count() == 1, "{word}: {text}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
}

/// A stopped store with what is hard to move: odd names, nothing, much, what was removed, two accounts, two devices.
fn filled(house: &mut House) -> (Member, Member) {
    house.open();
    let (anna, bert) = (house.member("anna", "laptop"), house.member("bert", "tower"));
    let names: [&[u8]; 6] = [b"/\xff\n", b"../../etc", b" ", "🦀/ü".as_bytes(), b"C:\\a b", &[b'x'; 4096]];
    for (n, name) in names.iter().enumerate() {
        house.upload(&anna.session, name, &noise(n as u64, 700 * n)).expect(200);
    }
    house.put(&anna, "/empty", b"");
    house.put(&anna, "/large", &noise(90, LARGE_BYTES));
    for round in 0..5 {
        house.put(&bert, "/again", &noise(200 + round, 5000));
    }
    let phone = house.device(&anna, "phone");
    house.put(&phone, "/large", &noise(90, LARGE_BYTES));
    house.remove_version(&bert.session, newest(&house.files(&bert)[0]) - 1).expect(200);
    let gone = house.put(&anna, "/gone", b"the newest of all");
    house.remove_file(&anna.session, file_id(&gone)).expect(200);
    house.stop();
    (anna, bert)
}

/// Everything a member sees: files, devices, and the bytes of every version.
fn seen(house: &House, member: &Member) -> (Vec<Value>, Value, BTreeMap<u64, Vec<u8>>) {
    let files = house.files(member);
    let ids: Vec<u64> = files.iter().flat_map(versions).collect();
    let bytes = ids.into_iter().map(|id| (id, house.get(member, id))).collect();
    (files, house.list_devices(&member.session).json(), bytes)
}

#[test]
fn a_moved_store_is_the_same_store() {
    let (mut old, mut new) = (House::empty(), House::empty());
    let (anna, bert) = filled(&mut old);
    let target = exported(&old);
    assert_eq!(fs::metadata(&target).expect("the export").permissions().mode() & 0o777, 0o600);
    assert!(!old.beside("all.rbackup.partial").exists());
    let ended = import(&new.data(), &target);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stdout).contains("imported"), "{ended:?}");
    let format = |house: &House| fs::read_to_string(house.data().join("FORMAT")).expect("FORMAT");
    assert_eq!(format(&new), format(&old), "the same store id");
    crate::dedup::checked(&new);
    old.open();
    new.open();
    for member in [&anna, &bert] {
        assert!(seen(&old, member) == seen(&new, member), "{}", member.name);
        new.login(Way::Form, "another", &member.name, &member.password).expect(201);
        new.login(Way::Form, "another", &member.name, "not the password").expect(401);
    }
    let (here, there) = (old.put(&anna, "/next", b"x"), new.put(&anna, "/next", b"x"));
    assert_eq!((file_id(&here), versions(&here)), (file_id(&there), versions(&there)), "no id is given twice");
    assert!(new.get(&anna, newest(&there)) == b"x");
}

#[test]
fn an_export_goes_through_a_pipe_and_changes_nothing() {
    let (mut old, new) = (House::empty(), House::empty());
    let (anna, _) = filled(&mut old);
    let first = exported(&old);
    let mut sending =
        program().args(["export", "-", "--data"]).arg(old.data()).stdout(Stdio::piped()).spawn().expect("runs");
    let stream = sending.stdout.take().expect("its stdout");
    let ended = program().args(["import", "-", "--data"]).arg(new.data()).stdin(stream).output().expect("runs");
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(sending.wait().expect("it ends").success());
    let again = new.beside("again");
    assert_eq!(export(&new, &again).status.code(), Some(0));
    assert!(fs::read(&first).expect("one") == fs::read(&again).expect("the other"), "the same, byte by byte");
    let volumes = |house: &House| fs::read_dir(house.data().join("volumes")).expect("volumes").count();
    let before = volumes(&old);
    old.open();
    assert!(!old.files(&anna).is_empty());
    old.stop();
    assert_eq!(volumes(&old), before);
}

/// A small store and its export.
fn small() -> (House, Member, Vec<u8>) {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/a", &noise(1, 1500));
    house.put(&member, "/b", b"b");
    house.stop();
    let bytes = fs::read(exported(&house)).expect("read the export");
    (house, member, bytes)
}

/// Numbers below `length`, spread evenly, with the first and the last.
fn spread(length: usize) -> impl Iterator<Item = usize> {
    (0..TRIALS).map(move |n| n * (length - 1) / (TRIALS - 1))
}

#[test]
fn a_stream_that_was_touched_is_refused_and_leaves_nothing() {
    let (house, _, whole) = small();
    let data = house.beside("new");
    for at in spread(whole.len()) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        refused(&import_bytes(&house, &data, &flipped), if at < MAGIC_BYTES { 2 } else { 15 }, "export");
        assert!(!data.exists(), "flipped at {at}");
    }
    for length in spread(whole.len()) {
        refused(&import_bytes(&house, &data, &whole[..length]), 15, "it ends before");
        assert!(!data.exists(), "cut at {length}");
    }
    refused(&import_bytes(&house, &data, &[&whole[..], b"\n"].concat()), 15, "behind its end");
    let mut newer = whole.clone();
    newer[MAGIC_BYTES] = 2;
    refused(&import_bytes(&house, &data, &newer), 15, "version 2");
    refused(&import_bytes(&house, &data, b"%PDF-1.7 and so on, and on"), 2, "no export");
    refused(&import(&data, &house.beside("nowhere")), 10, "nowhere");
    assert!(!data.exists());
    assert_eq!(import_bytes(&house, &data, &whole).status.code(), Some(0), "and untouched it is taken");
}

#[test]
fn an_import_makes_a_store_only_where_nothing_is() {
    let (mut house, member, whole) = small();
    refused(&import_bytes(&house, &house.data(), &whole), 11, "not an empty directory");
    let full = house.beside("full");
    fs::create_dir(&full).and_then(|()| fs::write(full.join("photo"), b"mine")).expect("a full directory");
    refused(&import_bytes(&house, &full, &whole), 11, "not an empty directory");
    assert_eq!(fs::read_dir(&full).expect("it is there").count(), 1);
    refused(&import_bytes(&house, &house.beside("no/where"), &whole), 11, "is not there");
    let unnamed = program().arg("import").arg(house.beside("stream")).output().expect("runs");
    refused(&unnamed, 2, "--data");
    house.open();
    assert_eq!(house.files(&member).len(), 2);
    refused(&import_bytes(&house, &house.data(), &whole), 11, "not an empty directory");
    refused(&export(&house, &house.beside("another")), 11, "in use");
    assert!(!house.beside("another").exists() && !house.beside("another.partial").exists());
}

#[test]
fn an_import_that_was_killed_is_no_store() {
    let (house, _, whole) = small();
    let data = house.beside("new");
    let mut importing =
        program().args(["import", "-", "--data"]).arg(&data).stdin(Stdio::piped()).spawn().expect("it runs");
    let mut pipe = importing.stdin.take().expect("its stdin");
    pipe.write_all(&whole[..whole.len() - 1]).expect("all but the last byte");
    let begun = std::time::Instant::now();
    while !data.join("volumes/00000001/db").exists() {
        assert!(begun.elapsed().as_secs() < 60, "the import began");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    importing.kill().and_then(|()| importing.wait()).expect("killed");
    assert!(!data.join("FORMAT").exists());
    for (words, code) in [(&["check"][..], 10), (&["rebuild"], 10), (&["serve", "--listen", "127.0.0.1:0"], 11)] {
        let ended = program().args(words).arg("--data").arg(&data).output().expect("the program runs");
        assert_eq!(ended.status.code(), Some(code), "{words:?}: {}", said(&ended));
    }
    refused(&import_bytes(&house, &data, &whole), 11, "not an empty directory");
    fs::remove_dir_all(&data).expect("remove it");
    assert_eq!(import_bytes(&house, &data, &whole).status.code(), Some(0));
}

#[test]
fn an_export_overwrites_nothing_and_a_failed_one_leaves_nothing() {
    let (house, _, whole) = small();
    let (target, partial) = (house.beside("all.rbackup"), house.beside("all.rbackup.partial"));
    refused(&export(&house, &target), 1, "not overwritten");
    assert!(fs::read(&target).expect("still there") == whole && !partial.exists());
    refused(&export(&house, &house.data().join("all")), 2, "data directory");
    refused(&export(&House::empty(), &house.beside("none")), 10, "no store");
    refused(&export(&house, &house.beside("no/where")), 10, "no/where");
    assert!(!house.beside("none").exists() && !house.beside("none.partial").exists());
    // What a kill left of an export is taken over.
    fs::remove_file(&target).and_then(|()| fs::write(&partial, &whole[..100])).expect("an unfinished export");
    assert_eq!(export(&house, &target).status.code(), Some(0));
    assert!(fs::read(&target).expect("whole") == whole && !partial.exists());
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let ended = program().args(["export", "-", "--data"]).arg(house.data()).stdout(full).output().expect("runs");
    assert_eq!(ended.status.code(), Some(14), "{}", said(&ended));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = program().args(["export", "-", "--data"]).arg(house.data()).stdout(writer).output().expect("runs");
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    assert_eq!(said(&ended).lines().count(), 1, "{}", said(&ended));
}

#[test]
fn a_terminal_gets_no_export() {
    let (house, _, _) = small();
    let typed = format!("'{}' export - --data '{}'", env!("CARGO_BIN_EXE_rbackup"), house.data().display());
    let mut script = Command::new("script");
    let ended = script.args(["-qec", &typed, "/dev/null"]).stdin(Stdio::null()).output().expect("`script` runs");
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let shown = String::from_utf8_lossy(&ended.stdout);
    assert!(shown.contains("not for terminals") && !shown.contains("RBackup export"), "{shown}");
}

#[test]
fn a_damaged_store_is_exported_but_for_what_is_damaged() {
    let (mut house, mut new) = (House::start(), House::empty());
    let member = house.member("anna", "laptop");
    house.put(&member, "/before", &noise(1, 3000));
    let bad = newest(&house.put(&member, "/the bad one", &noise(2, 1 << 20)));
    house.put(&member, "/after", &noise(3, 3000));
    house.stop();
    flip(&house, 700 << 10);
    let target = house.beside("rest.rbackup");
    let ended = export(&house, &target);
    assert_eq!(ended.status.code(), Some(15), "{ended:?}");
    assert!(said(&ended).contains("damaged and left out: volume 1 block"), "{}", said(&ended));
    let ended = import(&new.data(), &target);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(said(&ended).contains("left out"), "{}", said(&ended));
    new.open();
    for (file, wanted) in new.files(&member).iter().zip([Some(noise(1, 3000)), None, Some(noise(3, 3000))]) {
        match wanted {
            Some(bytes) => assert!(new.get(&member, newest(file)) == bytes),
            None => assert_eq!(newest(file), bad),
        }
    }
    let answer = new.curl(&format!("/download?file_version_id={bad}")).session(&member.session).try_send();
    assert!(answer.status == 500 || answer.curl_exit != 0, "{} {}", answer.status, answer.curl_exit);
    new.put(&member, "/the bad one", &noise(2, 1 << 20));
    let healed = new.download(&member.session, bad).expect(200);
    assert!(healed.body == noise(2, 1 << 20), "sent again it is whole again");
}

/// Turns a bit over, so many bytes into the only volume with content.
fn flip(house: &House, at: usize) {
    let volumes = fs::read_dir(house.data().join("volumes")).expect("the volumes").flatten();
    let databases = volumes.map(|volume| volume.path().join("db"));
    let sized = databases.filter_map(|db| Some((fs::metadata(&db).ok()?.len(), db)));
    let (_, largest) = sized.max().expect("a volume");
    let mut bytes = fs::read(&largest).expect("read it");
    bytes[at] ^= 0x10;
    fs::write(&largest, bytes).expect("damage it");
}
