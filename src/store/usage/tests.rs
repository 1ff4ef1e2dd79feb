//! Stores whose volumes have no note, as the first programs wrote them; a note that a kill took, and one that is lost with its volume.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use super::recover::Tally;
use crate::model::ChunkId;
use crate::store::frame::{Frame, FrameHeader, FrameKind};
use crate::store::header::Counters;
use crate::store::log::Log;
use crate::store::operation::Operation;
use crate::store::place::Address;
use crate::store::records::{Record, VersionAdded, VersionRow};
use crate::store::scan::Until;
use crate::store::shape::Shape;
use crate::store::writer::Writer;
use crate::store::{NewFrame, Options, Store, VolumeLimits};

fn options() -> Options {
    let volume = VolumeLimits { payload_bytes: 30_000, blocks: 200, frames: 20, record_bytes: 8_000 };
    Options { volume, ballast_bytes: Some(0), ..Options::DEFAULT }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, options()).expect("opened")
}

/// Frames of two accounts, and something to sync them with.
fn fill(store: &Store, seed: u64, frames: u64) {
    for n in 0..frames {
        let mut stored = vec![0; 2000 + n as usize];
        blake3::Hasher::new().update(&(seed + n).to_le_bytes()).finalize_xof().fill(&mut stored);
        let id = ChunkId(*blake3::hash(&stored).as_bytes());
        let raw_len = stored.len() as u32;
        let header =
            FrameHeader { kind: FrameKind::Part, flags: 0, stored_len: 0, raw_len, account: 1 + n % 2, seq: 0, id };
        store.draft().append(NewFrame { header, stored }).expect("sent");
    }
    sync(store);
}

fn sync(store: &Store) {
    let create =
        crate::store::RepoOperation::Create { account: 1, path: format!("{:?}", std::time::Instant::now()), at: 1 };
    store.commit(Operation::Repo(create)).expect("synced");
}

/// What is counted is what there is.
#[track_caller]
fn compare(store: &Store) {
    let there = store.recount_stored().expect("counted");
    assert!(there.values().sum::<u64>() > 0, "planted: there is something to count");
    for account in 0..3 {
        let counted = store.usage(account).expect("known").stored_bytes;
        assert_eq!(counted, Some(there.get(&account).copied().unwrap_or(0)), "account {account}");
    }
}

/// Planted: a byte that was not stored.
#[test]
fn the_comparison_sees_a_byte_too_many() {
    let home = tempfile::tempdir().expect("a directory");
    let store = open(home.path());
    fill(&store, 0, 5);
    compare(&store);
    store.shared.meter.synced(1, 1);
    assert!(catch_unwind(AssertUnwindSafe(|| compare(&store))).is_err());
}

/// Planted: a note that says too little, as one would that was written before what lies before it was counted.
#[test]
fn the_comparison_sees_a_note_that_is_wrong() {
    let home = tempfile::tempdir().expect("a directory");
    let store = open(home.path());
    fill(&store, 0, 40);
    drop(store);
    begin_volume(home.path(), Some(vec![(1, 1), (2, 2)]));
    assert!(catch_unwind(AssertUnwindSafe(|| compare(&open(home.path())))).is_err());
}

#[test]
fn a_note_that_a_kill_took_is_found_in_the_volumes_before() {
    let home = tempfile::tempdir().expect("a directory");
    let store = open(home.path());
    fill(&store, 0, 40);
    drop(store);
    (0..2).for_each(|_| begin_volume(home.path(), None));
    let store = open(home.path());
    compare(&store);
    fill(&store, 100, 40);
    compare(&store);
    drop(store);
    compare(&open(home.path()));
}

/// Begins the next volume, with this note or none, as a kill may leave it.
fn begin_volume(dir: &Path, note: Option<Vec<(u64, u64)>>) {
    let format = crate::store::format_file::read(dir).expect("read").expect("a format");
    let log = Log::at(dir.join("volumes"), format.shape().expect("a shape")).expect("a log");
    let newest = log.numbers().pop().expect("a volume");
    let scanned = crate::store::scan::scan(&log, newest, Until::AtLeast(Address::START), |_, _| Ok(())).expect("read");
    let counters = Counters { seq: 1000, ..Counters::default() };
    let note = note.map(|stored| super::UsageNoted { stored }.frame(counters.seq).expect("encoded"));
    let store = format.id().expect("an id");
    let begun = Writer::begin(&log, newest + 1, store, counters, scanned.ending, None, note.as_ref());
    drop(begun.expect("begun"));
}

#[test]
fn a_lost_volume_whose_note_the_catalog_knew_counts_nothing_twice() {
    let home = tempfile::tempdir().expect("a directory");
    let store = open(home.path());
    fill(&store, 0, 40);
    store.close().expect("closed");
    let newest = *store.shared.log.numbers().last().expect("a volume");
    assert!(newest > 2, "planted: there are several");
    drop(store);
    fs::remove_dir_all(home.path().join(format!("volumes/{newest:08}"))).expect("lost");
    let (store, _) = Store::rebuild_without(home.path(), options(), &[newest]).expect("goes on without it");
    compare(&store);
    fill(&store, 100, 40);
    drop(store);
    compare(&open(home.path()));
}

#[test]
fn a_catalog_that_is_mended_while_it_is_used_forgets_no_note() {
    let home = tempfile::tempdir().expect("a directory");
    let store = open(home.path());
    fill(&store, 0, 40);
    store.close().expect("closed");
    drop(store);
    let store = open(home.path());
    for run in fs::read_dir(home.path().join("catalog")).expect("a catalog").flatten() {
        let db = run.path().join("db");
        let length = fs::metadata(&db).expect("a run").len();
        fs::write(&db, vec![0; length as usize]).expect("damaged");
    }
    assert!(store.usage(1).is_err(), "planted: its rows do not read");
    let begun = Instant::now();
    while store.usage(1).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not mended");
        std::thread::sleep(Duration::from_millis(20));
    }
    compare(&store);
    fill(&store, 100, 3);
    compare(&store);
    drop(store);
    compare(&open(home.path()));
}

#[test]
fn the_count_is_right_after_stops_kills_and_rebuilds() {
    let home = tempfile::tempdir().expect("a directory");
    for round in 0..6 {
        let store = open(home.path());
        fill(&store, round * 1000, 7 + round * 5);
        compare(&store);
        if round % 3 != 1 {
            store.close().expect("closed");
        }
        // Else it is a kill.
        drop(store);
        match round % 3 {
            2 => {
                let rebuilt = Store::rebuild(home.path(), options()).expect("rebuilt");
                compare(&rebuilt);
                drop(rebuilt);
            }
            // Kills before anything was written.
            _ => (0..2).for_each(|_| drop(open(home.path()))),
        }
        compare(&open(home.path()));
    }
}

/// A store as the first programs left it: volumes without a note.
fn without_notes(dir: &Path) {
    open(dir).close().expect("closed");
    ["clean", "newest"].iter().for_each(|note| fs::remove_file(dir.join(note)).expect("a note"));
    fs::remove_dir_all(dir.join("catalog")).expect("a catalog");
    fs::remove_dir_all(dir.join("volumes")).expect("volumes");
    fs::create_dir(dir.join("volumes")).expect("made");
    let format = crate::store::format_file::read(dir).expect("read").expect("a format");
    let (store, shape): ([u8; 16], Shape) = (format.id().expect("an id"), format.shape().expect("a shape"));
    let log = Log::at(dir.join("volumes"), shape).expect("a log");
    let mut before = crate::store::header::Ending::NOTHING;
    for number in 1..=3 {
        let counters = Counters { seq: u64::from(number), ..Counters::default() };
        let mut writer = Writer::begin(&log, number, store, counters, before, None, None).expect("begun");
        for n in 0..5u8 {
            let stored = vec![n; 700];
            let id = ChunkId([number as u8 * 16 + n; 32]);
            let header = FrameHeader {
                kind: FrameKind::Chunk,
                flags: 0,
                stored_len: 700,
                raw_len: 700,
                account: 1 + u64::from(n % 2),
                seq: u64::from(number),
                id,
            };
            writer.append(&header, &stored).expect("appended");
        }
        writer.flush(u64::from(number)).expect("synced");
        let (ending, sealed) = writer.seal(&log);
        sealed.expect("sealed");
        before = ending;
    }
}

#[test]
fn an_old_store_is_counted_when_somebody_asks_and_then_for_good() {
    let home = tempfile::tempdir().expect("a directory");
    without_notes(home.path());
    let store = open(home.path());
    assert_eq!(store.usage(1).expect("known").stored_bytes, None, "nobody counted it");
    fill(&store, 5000, 30);
    drop(store);
    let store = open(home.path());
    assert_eq!(store.usage(1).expect("known").stored_bytes, None, "still nobody");
    store.count_stored().expect("counted");
    compare(&store);
    store.count_stored().expect("once is enough");
    fill(&store, 6000, 30);
    compare(&store);
    drop(store);
    compare(&open(home.path()));
    compare(&Store::rebuild(home.path(), options()).expect("rebuilt"));
}

#[test]
fn a_tally_counts_what_lies_behind_the_note() {
    let frame = |account| FrameHeader {
        kind: FrameKind::Chunk,
        flags: 0,
        stored_len: 10,
        raw_len: 10,
        account,
        seq: 1,
        id: ChunkId([1; 32]),
    };
    let mut tally = Tally::default();
    tally.take(&frame(1));
    let (head, stored) = super::UsageNoted { stored: vec![(1, 12)] }.frame(9).expect("encoded");
    let note = Frame { header: head, stored };
    assert_eq!(note.header.seq, 8, "it takes no seq of its own");
    tally.take(&note.header);
    tally.take_record(&crate::store::records::Record::parse(&note.stored).expect("a record"));
    tally.take(&frame(2));
    assert!(tally.is_noted && tally.bytes == [(1, 12), (2, 10)].into(), "{tally:?}");
}

/// An account's versions as rows of the catalog alone, as many as asked for, three to a file; returns their bytes.
fn rows_of_versions(store: &Store, account: u64, versions: u64) -> u64 {
    let (mut bytes, mut changes) = (0, Vec::new());
    for version in 1..=versions {
        let file = 1 + version / 3;
        let content = VersionRow {
            size: version % 1000,
            sums: vec![7; 64],
            token: [7; 16],
            arrived: 1,
            mtime: Some(1),
            mode: Some(0o644),
            storage_name: [7; 32],
            root: None,
        };
        bytes += content.size;
        let path = format!("/home/somebody/documents/{file}.txt").into_bytes();
        let added = VersionAdded { account, device: 1, file, path, version, content };
        changes.extend(Record::VersionAdded(added).changes(1000 + version).expect("rows"));
        if changes.len() > 20_000 || version == versions {
            store.shared.rows.apply(std::mem::take(&mut changes));
            if store.shared.rows.delta_bytes() > 8 << 20 {
                store.shared.rows.freeze(store.opened.encode().expect("a mark"));
                store.shared.rows.write_frozen().expect("written");
            }
        }
    }
    bytes
}

/// The first question after a start reads all rows of the account, on the storage thread: so long commits wait, once. The figures are for
/// `ARCHITECTURE.md`; `RBACKUP_COUNT_VERSIONS` says how many.
#[test]
fn the_first_count_reads_the_accounts_rows_once_and_no_more() {
    let versions = std::env::var("RBACKUP_COUNT_VERSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(30_000);
    let home = tempfile::tempdir().expect("a directory");
    let store = Store::open(home.path(), Options { ballast_bytes: Some(0), ..Options::DEFAULT }).expect("opened");
    let bytes = rows_of_versions(&store, 7, versions);
    rows_of_versions(&store, 8, versions / 10);
    let begun = Instant::now();
    assert_eq!(store.usage(7).expect("counted").logical_bytes, bytes);
    let first = begun.elapsed();
    let begun = Instant::now();
    assert_eq!(store.usage(7).expect("known").logical_bytes, bytes);
    let again = begun.elapsed();
    assert_ne!(store.usage(8).expect("counted").logical_bytes, bytes, "planted: another account's are other bytes");
    eprintln!("{versions} versions: the first count takes {first:?}, the next {again:?}");
    assert!(again * 10 < first, "it is counted once: {first:?}, {again:?}");
}
