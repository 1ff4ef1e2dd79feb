//! The row store against a model, and against what crashes and bad disks leave behind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::shape::{BlockKey, Segment};
use super::rewrite::{FAN_IN, merge_due};
use super::*;

const SHAPE: fn() -> Shape = || Shape { key: BlockKey::of([7; 16]), segment: Segment::DEFAULT };

type Model = BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)>;

/// xorshift, so that a failure can be repeated from its seed
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

fn change(key: &str, seq: u64, value: Option<&str>) -> Change {
    Change { key: key.into(), seq, value: value.map(Into::into) }
}

fn open(dir: &Path) -> (Rows, Option<Vec<u8>>) {
    Rows::open(dir, SHAPE()).unwrap()
}

fn checkpoint(rows: &Rows, mark: &str) {
    assert!(rows.freeze(mark.into()));
    rows.write_frozen().unwrap();
}

fn live(model: &Model) -> Vec<(Vec<u8>, Row)> {
    model
        .iter()
        .filter_map(|(key, (seq, value))| Some((key.clone(), Row { seq: *seq, value: value.clone()? })))
        .collect()
}

fn paged(rows: &Rows, limit: usize) -> Vec<(Vec<u8>, Row)> {
    let (mut all, mut from) = (Vec::new(), Vec::new());
    loop {
        let some = rows.scan(&from, &[0xff], limit).unwrap();
        let Some((last, _)) = some.last() else { return all };
        from = after(last);
        all.extend(some);
    }
}

fn agree(rows: &Rows, model: &Model, dice: &mut Dice) {
    assert_eq!(paged(rows, 1 + dice.roll(300) as usize), live(model));
    for n in 0..400 {
        let key = format!("k{n:03}").into_bytes();
        let want = model.get(&key).and_then(|(seq, value)| Some(Row { seq: *seq, value: value.clone()? }));
        assert_eq!(rows.get(&key).unwrap(), want);
    }
}

fn random_changes(dice: &mut Dice, seq: &mut u64) -> Vec<Change> {
    (0..1 + dice.roll(120))
        .map(|_| {
            *seq += 1;
            let len = if dice.roll(50) == 0 { 60_000 } else { dice.roll(600) as usize };
            let value = (dice.roll(4) != 0).then(|| vec![*seq as u8; len]);
            Change { key: format!("k{:03}", dice.roll(400)).into_bytes(), seq: *seq, value }
        })
        .collect()
}

#[test]
fn agrees_with_a_model_over_freezes_merges_and_reopens() {
    for seed in 1..=3 {
        let dir = tempfile::tempdir().unwrap();
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed));
        let (mut rows, mut model, mut written, mut seq) = (open(dir.path()).0, Model::new(), Model::new(), 0);
        let mut frozen = Model::new();
        for _ in 0..120 {
            match dice.roll(8) {
                0..4 => {
                    let changes = random_changes(&mut dice, &mut seq);
                    model.extend(changes.iter().map(|c| (c.key.clone(), (c.seq, c.value.clone()))));
                    rows.apply(changes);
                }
                4 | 5 => {
                    if rows.freeze(seq.to_be_bytes().into()) {
                        frozen = model.clone();
                    }
                }
                6 => {
                    rows.write_frozen().unwrap();
                    written = frozen.clone();
                }
                _ if dice.roll(3) == 0 => {
                    drop(rows);
                    (rows, _) = open(dir.path());
                    (model, frozen) = (written.clone(), written.clone());
                }
                _ => agree(&rows, &model, &mut dice),
            }
        }
        agree(&rows, &model, &mut dice);
        assert!(rows.runs().len() < FAN_IN);
    }
}

#[test]
fn the_mark_and_only_what_it_covers_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (rows, mark) = open(dir.path());
    assert_eq!(mark, None);
    assert!(!rows.freeze(b"nothing".into()));
    rows.apply(vec![change("a", 1, Some("one"))]);
    assert!(rows.freeze(b"first".into()) && !rows.freeze(b"too early".into()));
    rows.apply(vec![change("b", 2, Some("two"))]);
    rows.write_frozen().unwrap();
    assert!(rows.get(b"b").unwrap().is_some() && rows.delta_bytes() > 0);
    drop(rows);
    let (rows, mark) = open(dir.path());
    assert_eq!(mark.as_deref(), Some(&b"first"[..]));
    assert_eq!(rows.get(b"a").unwrap(), Some(Row { seq: 1, value: b"one".into() }));
    assert_eq!(rows.get(b"b").unwrap(), None);
}

#[test]
fn tombstones_hide_until_the_oldest_run_is_merged() {
    let dir = tempfile::tempdir().unwrap();
    let (rows, _) = open(dir.path());
    rows.apply(vec![change("a", 1, Some("one")), change("b", 2, Some("two"))]);
    checkpoint(&rows, "1");
    rows.apply(vec![change("a", 3, None)]);
    checkpoint(&rows, "2");
    assert_eq!((rows.get(b"a").unwrap(), rows.seq_of(b"a").unwrap()), (None, Some(3)));
    assert_eq!(paged(&rows, 1).len(), 1);
    rows.apply_if_newer(vec![change("a", 1, Some("one")), change("b", 5, Some("five"))]).unwrap();
    assert_eq!((rows.get(b"a").unwrap(), rows.seq_of(b"b").unwrap()), (None, Some(5)));
    for n in 3..=8 {
        rows.apply(vec![change(&format!("c{n}"), 10 + n, Some("x"))]);
        checkpoint(&rows, &n.to_string());
    }
    let runs = rows.runs();
    assert_eq!((runs.len(), runs[0].rows, runs[0].name.as_str()), (1, 7, "run-00000001-00000008"));
    assert_eq!((rows.get(b"a").unwrap(), rows.seq_of(b"a").unwrap()), (None, None));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_scan_passes_many_tombstones_in_the_delta() {
    let dir = tempfile::tempdir().unwrap();
    let (rows, _) = open(dir.path());
    let key = |n: u64| format!("{n:06}");
    rows.apply((0..5_000).map(|n| change(&key(n), n, Some("x"))).collect());
    checkpoint(&rows, "1");
    rows.apply((10..4_990).map(|n| change(&key(n), n + 9_000, None)).collect());
    assert_eq!(rows.scan(b"", b"~", 15).unwrap().len(), 15);
    assert_eq!(rows.scan(b"", b"~", usize::MAX).unwrap().len(), 20);
    assert_eq!(rows.scan(b"000005", b"004995", usize::MAX).unwrap().len(), 10);
    assert_eq!(rows.scan(b"b", b"a", 5).unwrap().len(), 0);
    assert!(rows.freeze(b"2".into()));
    assert_eq!(rows.scan(b"", b"~", 15).unwrap().len(), 15);
}

fn three_runs() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let (rows, _) = open(dir.path());
    for run in 0..3 {
        rows.apply((0..2_000).map(|n| change(&format!("{n:05}/{run}"), n, Some("some value"))).collect());
        checkpoint(&rows, &run.to_string());
    }
    let names = rows.runs().iter().rev().map(|run| dir.path().join(&run.name)).collect();
    (dir, names)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn what_a_crash_leaves_is_removed() {
    let (dir, runs) = three_runs();
    copy(&runs[0], &dir.path().join("tmp-run-00000004-00000004"));
    copy(&runs[0], &dir.path().join("run-00000001-00000002.dead"));
    std::fs::write(runs[1].join("snap.0000000000000400.generating"), b"half").unwrap();
    sled_dir::open(&dir.path().join("run-00000004-00000004"), SHAPE().segment)
        .unwrap()
        .insert(b"no", b"footer")
        .unwrap();
    let (rows, mark) = open(dir.path());
    assert_eq!((mark.as_deref(), paged(&rows, 999).len()), (Some(&b"2"[..]), 6_000));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn a_run_inside_a_merged_one_is_removed() {
    let (dir, runs) = three_runs();
    let saved = tempfile::tempdir().unwrap();
    copy(&runs[1], &saved.path().join("run"));
    let (rows, _) = open(dir.path());
    for n in 4..=8 {
        rows.apply(vec![change("x", n, Some("y"))]);
        checkpoint(&rows, &n.to_string());
    }
    assert_eq!(rows.runs().len(), 1);
    drop(rows);
    copy(&saved.path().join("run"), &runs[1]);
    let (rows, mark) = open(dir.path());
    assert_eq!((mark.as_deref(), rows.runs().len(), runs[1].exists()), (Some(&b"8"[..]), 1, false));
    assert_eq!(paged(&rows, 999).len(), 6_001);
}

#[test]
fn a_missing_run_is_an_error() {
    let (dir, runs) = three_runs();
    std::fs::remove_dir_all(&runs[1]).unwrap();
    assert!(matches!(Rows::open(dir.path(), SHAPE()), Err(RowsError::Gap { before: 1, .. })));
}

#[test]
fn a_run_in_anothers_place_is_refused() {
    let (dir, runs) = three_runs();
    std::fs::remove_dir_all(&runs[1]).unwrap();
    copy(&runs[0], &runs[1]);
    assert!(Rows::open(dir.path(), SHAPE()).is_err_and(|error| error.is_damage()), "it is none of this name");
}

#[test]
fn a_flipped_byte_is_an_error_and_never_other_data() {
    let (dir, runs) = three_runs();
    let (rows, _) = open(dir.path());
    let whole = paged(&rows, 500);
    drop(rows);
    let db = runs[1].join("db");
    let clean = std::fs::read(&db).unwrap();
    let used = clean.windows(4).rposition(|window| *window == page::MAGIC).unwrap();
    let (mut dice, mut noticed) = (Dice(77), 0);
    for _ in 0..40 {
        let mut bad = clean.clone();
        bad[dice.roll(used as u64) as usize] ^= 1 << dice.roll(8);
        std::fs::write(&db, &bad).unwrap();
        let read = Rows::open(dir.path(), SHAPE()).and_then(|(rows, _)| rows.scan(b"", b"~", usize::MAX));
        match read {
            Ok(read) => assert!(read == whole),
            Err(error) if error.is_damage() => noticed += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(noticed > 0);
}

#[test]
fn what_sled_refuses_is_read_without_it() {
    let (dir, runs) = three_runs();
    let whole = paged(&open(dir.path()).0, 500);
    for entry in std::fs::read_dir(&runs[1]).unwrap().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("snap.") {
            std::fs::write(entry.path(), b"no snapshot").unwrap();
        }
    }
    std::fs::write(runs[2].join("conf"), b"no configuration").unwrap();
    assert!(paged(&open(dir.path()).0, 500) == whole);
}

#[test]
fn a_rebuild_supersedes_every_run_and_a_failed_one_changes_nothing() {
    let (dir, _) = three_runs();
    let (rows, _) = open(dir.path());
    let whole = paged(&rows, 500);
    let failed = rows.rebuild(|_| Err::<Vec<u8>, _>(RowsError::Missing { run: "planted".to_owned() }));
    assert!(failed.is_err() && paged(&rows, 500) == whole && rows.runs().len() == 3);
    let again: Result<(), RowsError> = rows.rebuild(|scratch| {
        scratch.apply(vec![change("only", 9, Some("this")), change("gone", 9, None)]);
        Ok(b"9".to_vec())
    });
    again.unwrap();
    for rows in [rows, open(dir.path()).0] {
        assert_eq!(paged(&rows, 9), vec![(b"only".to_vec(), Row { seq: 9, value: b"this".to_vec() })]);
        assert_eq!(rows.runs().len(), 1);
    }
}

#[test]
fn a_failed_write_keeps_the_frozen_rows_and_can_be_retried() {
    let dir = tempfile::tempdir().unwrap();
    let (rows, _) = open(dir.path());
    rows.apply(vec![change("a", 1, Some("one"))]);
    assert!(rows.freeze(b"1".into()));
    std::fs::write(dir.path().join("tmp-run-00000001-00000001"), b"in the way").unwrap();
    assert!(matches!(rows.write_frozen(), Err(RowsError::Io { .. })));
    assert!(rows.get(b"a").unwrap().is_some());
    std::fs::remove_file(dir.path().join("tmp-run-00000001-00000001")).unwrap();
    rows.write_frozen().unwrap();
    assert_eq!(rows.runs().len(), 1);
    assert!(crate::store::durable::syncs() > 0);
}

#[test]
fn merges_are_due_by_size_class() {
    const MIB: u64 = 1024 * 1024;
    assert_eq!(merge_due(&[3 * MIB; 7]), None);
    assert_eq!(merge_due(&[3 * MIB; 8]), Some(8));
    assert_eq!(merge_due(&[[3 * MIB; 7], [30 * MIB; 7]].concat()), Some(14));
    assert_eq!(merge_due(&[[3 * MIB; 3].as_slice(), &[30 * MIB; 4]].concat()), None);
    assert_eq!(merge_due(&[3000 * MIB; 9]), None);
}
