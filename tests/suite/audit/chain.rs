//! Somebody who knows the format and can write anywhere: entries changed, dropped and put elsewhere under right hashes of frames and files.
//!
//! The store goes through an export, is changed there, and imported: every checksum of the store is then the server's own, and only the
//! chain is broken. What the chain cannot show – its end cut off, or all made anew – shows by a hash that was noted before.

use crate::support::House;
use std::path::{Path, PathBuf};
use std::process::Output;

const HEAD_BYTES: usize = 64;
const FRAME_HEAD_BYTES: usize = 60;
const TRAILER_BYTES: usize = 105;
/// Before an entry in its record: kind, schema, a number below 251, the hash before.
const ENTRY_AT: usize = 2 + 1 + 32;

pub fn import(house: &House, file: &Path, data: &Path) -> Output {
    let mut command = house.program();
    command.arg("import").arg(file).arg("--data").arg(data).output().expect("the program runs")
}

pub fn audit(house: &House, data: &Path, words: &[&str]) -> Output {
    let mut command = house.program();
    command.arg("audit").args(words).arg("--data").arg(data).output().expect("the program runs")
}

/// Frames without their hashes.
struct Stream {
    head: Vec<u8>,
    frames: Vec<Vec<u8>>,
    trailer: Vec<u8>,
}

impl Stream {
    fn read(bytes: &[u8]) -> Self {
        let (head, mut rest) = bytes.split_at(HEAD_BYTES);
        let mut frames = Vec::new();
        while rest[0] != 0xFF {
            let stored = u32::from_le_bytes(rest[4..8].try_into().expect("four bytes")) as usize;
            let (frame, more) = rest.split_at(FRAME_HEAD_BYTES + stored);
            frames.push(frame.to_vec());
            rest = &more[16..];
        }
        assert_eq!(rest.len(), TRAILER_BYTES);
        Self { head: head.to_vec(), frames, trailer: rest[..TRAILER_BYTES - 32].to_vec() }
    }

    /// The same with every hash right.
    fn write(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        for frame in &self.frames {
            bytes.extend_from_slice(frame);
            bytes.extend_from_slice(&blake3::hash(frame).as_bytes()[..16]);
        }
        let mut trailer = self.trailer.clone();
        let records = self.frames.iter().filter(|frame| frame[0] == 3).count() as u64;
        trailer[25..33].copy_from_slice(&records.to_le_bytes());
        bytes.extend_from_slice(&trailer);
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        bytes
    }

    /// Where entries of the audit log are among the frames.
    fn entries(&self) -> Vec<usize> {
        let is_entry = |frame: &Vec<u8>| frame[0] == 3 && frame[FRAME_HEAD_BYTES] == 19;
        (0..self.frames.len()).filter(|at| is_entry(&self.frames[*at])).collect()
    }

    /// An entry's record.
    fn record(&mut self, at: usize) -> &mut [u8] {
        &mut self.frames[at][FRAME_HEAD_BYTES..]
    }

    /// Puts another text of the same length in the place of one.
    fn reword(&mut self, at: usize, from: &[u8], to: &[u8]) {
        let record = self.record(at);
        let place = record.windows(from.len()).position(|part| part == from).expect("the text is in it");
        record[place..place + to.len()].copy_from_slice(to);
    }

    /// Makes the chain anew, as who knows how it is made.
    fn relink(&mut self) {
        let entries = self.entries();
        for pair in entries.windows(2) {
            let hash = blake3::derive_key("rbackup v1 audit chain", &self.record(pair[0])[1..]);
            self.record(pair[1])[3..ENTRY_AT].copy_from_slice(&hash);
        }
    }

    /// Exchanges what two records say, and leaves each in its place of the chain.
    fn exchange(&mut self, one: usize, other: usize) {
        let (a, b) = (self.frames[one].clone(), self.frames[other].clone());
        let tail = FRAME_HEAD_BYTES + ENTRY_AT;
        for (at, head, from) in [(one, &a, &b), (other, &b, &a)] {
            let mut frame = [&head[..tail], &from[tail..]].concat();
            let stored = ((frame.len() - FRAME_HEAD_BYTES) as u32).to_le_bytes();
            frame[4..8].copy_from_slice(&stored);
            frame[8..12].copy_from_slice(&stored);
            self.frames[at] = frame;
        }
    }
}

/// What is done to a log, and what has to be said of it: without a hash that was noted before, and with one.
type Touch = (&'static str, fn(&mut Stream), Option<&'static str>, bool);

const TOUCHES: [Touch; 8] = [
    ("nothing", |_| {}, None, true),
    (
        "a name is changed",
        |it| it.reword(it.entries()[3], b"laptop", b"ladder"),
        Some("entry 5 does not follow entry 4"),
        true,
    ),
    (
        "an entry in the middle is dropped",
        |it| drop(it.frames.remove(it.entries()[4])),
        Some("entries 5 to 5 are missing"),
        true,
    ),
    ("the first is dropped", |it| drop(it.frames.remove(it.entries()[0])), Some("entries 1 to 1 are missing"), true),
    ("two are exchanged", |it| it.exchange(it.entries()[2], it.entries()[3]), Some("does not follow entry"), true),
    (
        "one stands twice",
        |it| {
            let again = it.frames[it.entries()[4]].clone();
            it.frames.push(again);
            let at = it.frames.len() - 1;
            it.reword(at, b"laptop", b"ladder")
        },
        Some("is there twice"),
        true,
    ),
    // What nobody sees without a note of before.
    ("the newest is dropped", |it| drop(it.frames.remove(*it.entries().last().expect("some"))), None, false),
    (
        "one is changed and all behind it made anew",
        |it| {
            it.reword(it.entries()[3], b"laptop", b"ladder");
            it.relink()
        },
        None,
        false,
    ),
];

fn home() -> (House, PathBuf, String) {
    let mut house = House::start();
    house.member("anna", "desk");
    let bert = house.member("bert", "laptop");
    for _ in 0..3 {
        house.login(crate::support::api::Way::Form, "laptop", "bert", &bert.password).expect(200);
    }
    let beside = house.run(&["audit", "verify", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&beside.stdout).expect("JSON");
    assert_eq!((beside.status.code(), &report["entries"]), (Some(0), &7.into()), "beside a running server: {report}");
    let head = report["head"].as_str().expect("a hash").to_owned();
    house.stop();
    let file = house.beside("all.rbackup");
    assert!(house.run(&["export", &file.to_string_lossy()]).status.success());
    (house, file, head)
}

#[test]
fn an_entry_that_is_changed_dropped_or_put_elsewhere_is_seen() {
    let (house, file, head) = home();
    let bytes = std::fs::read(&file).expect("the export");
    assert_eq!(Stream::read(&bytes).write(), bytes, "what is not touched stays as it is");
    for (number, (what, touch, problem, keeps_head)) in TOUCHES.into_iter().enumerate() {
        let mut stream = Stream::read(&bytes);
        touch(&mut stream);
        let (touched, data) = (house.beside(&format!("touched-{number}")), house.beside(&format!("data-{number}")));
        std::fs::write(&touched, stream.write()).expect("written");
        let imported = import(&house, &touched, &data);
        assert_eq!(imported.status.code(), Some(0), "{what}: {imported:?}");
        let seen = audit(&house, &data, &["verify"]);
        let said = String::from_utf8_lossy(&seen.stderr).into_owned();
        assert_eq!(seen.status.code(), Some(if problem.is_some() { 15 } else { 0 }), "{what}: {seen:?}");
        assert!(said.contains(problem.unwrap_or_default()), "{what}: {said}");
        let noted = audit(&house, &data, &["verify", "--head", &head]);
        let is_fine = problem.is_none() && keeps_head;
        assert_eq!(noted.status.code(), Some(if is_fine { 0 } else { 15 }), "{what}, with a hash of before: {noted:?}");
        if !keeps_head {
            assert!(String::from_utf8_lossy(&noted.stderr).contains("in no entry"), "{what}: {noted:?}");
        }
    }
}

#[test]
fn a_hash_of_before_is_found_however_much_came_after_and_one_that_is_none_is_refused() {
    let (mut house, _, head) = home();
    house.open();
    house.member("cora", "phone");
    for (known, exit) in [(head.as_str(), 0), (&"0".repeat(64), 15), ("x", 2), (&"ü".repeat(32), 2), ("", 2)] {
        let ran = house.run(&["audit", "verify", "--head", known]);
        assert_eq!(ran.status.code(), Some(exit), "{known}: {ran:?}");
    }
    house.stop();
    assert_eq!(house.run(&["audit", "verify", "--head", &head]).status.code(), Some(0), "without a server");
    assert_eq!(House::empty().run(&["audit", "verify"]).status.code(), Some(10));
}

#[test]
fn a_bit_that_flips_in_an_entry_is_seen_on_the_disk_itself() {
    let (house, _, _) = home();
    let volume = house.data().join("volumes/00000001");
    let mut files = std::fs::read_dir(&volume).expect("a volume").flatten().map(|entry| entry.path());
    let is_db = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("db"));
    let db = files.find(is_db).expect("its file");
    let mut bytes = std::fs::read(&db).expect("readable");
    let text = b"password\x09127.0.0.1";
    let at = bytes.windows(text.len()).position(|part| part == text).expect("an entry lies in the clear");
    bytes[at] ^= 1;
    std::fs::write(&db, &bytes).expect("written");
    let ran = house.run(&["audit", "verify"]);
    assert_eq!(ran.status.code(), Some(15), "{ran:?}");
}
