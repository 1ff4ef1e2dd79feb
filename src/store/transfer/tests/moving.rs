//! Stores that move, with everything, and imports that fail, with nothing left.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::super::super::frame::{Frame, FrameHeader, FrameKind};
use super::super::super::header::Counters;
use super::super::super::{
    AccessOperation, AccountAdded, Child, Done, Entry, Error, Generation, Operation, RemovalRow, Root, SessionRow,
    Store, Target, VersionRow, encode_manifest, import,
};
use super::super::Imported;
use super::super::stream::{Head, StreamReader, StreamWriter};
use super::{CHUNK_BYTES, TRAILER_BYTES, new_frame, noise, options, read, resealed};
use crate::model::ChunkId;
use crate::store::SessionKind;

const SESSION: [u8; 32] = [9; 32];

/// An upload of some chunks below one manifest.
fn upload(store: &Store, path: &str, seed: u64, lengths: &[usize]) {
    let mut draft = store.draft();
    let mut children = Vec::new();
    for (n, length) in lengths.iter().enumerate() {
        let stored = noise(seed + n as u64, *length);
        let id = ChunkId(*blake3::hash(&stored).as_bytes());
        children.push(Child { id, bytes: stored.len() as u64 });
        draft.append(new_frame(FrameKind::Chunk, id, stored)).expect("sent");
    }
    let manifest = encode_manifest(&children);
    let id = ChunkId(*blake3::hash(&manifest).as_bytes());
    draft.append(new_frame(FrameKind::Manifest, id, manifest)).expect("sent");
    let content = VersionRow {
        size: lengths.iter().sum::<usize>() as u64,
        sums: vec![1; 52],
        token: [2; 16],
        arrived: 3,
        mtime: None,
        mode: Some(0o644),
        storage_name: [4; 32],
        root: Some(Root { level: 1, id: id.0 }),
    };
    let added = Operation::AddVersion { account: 1, device: 1, path: path.into(), content };
    draft.commit(added).expect("committed");
}

fn open(dir: &Path) -> Store {
    Store::open(dir, options()).expect("opened")
}

/// A closed store with several volumes, whose newest version is removed.
fn filled(dir: &Path) {
    let store = open(dir);
    let added = AccountAdded {
        account: 0,
        name: "Ann".to_owned(),
        folded: "ann".to_owned(),
        added: 1,
        administrator: false,
        password: "$argon2id$".to_owned(),
        password_wrap: vec![5; 60],
        recovery_wrap: vec![6; 60],
    };
    store.commit(Operation::access(AccessOperation::AddAccount { added, entry: Entry::Anyone })).expect("an account");
    let row = SessionRow {
        account: 1,
        device: "laptop".to_owned(),
        number: 0,
        opened: 2,
        generation: 0,
        newest: Generation { hash: SESSION, wrap: vec![7; 60] },
        salt: None,
        used: Some(2),
        before: None,
        last_used: Some(2),
        address: "127.0.0.1".to_owned(),
        agent: "curl".to_owned(),
    };
    store
        .commit(Operation::access(AccessOperation::OpenSession { kind: SessionKind::Device, family: SESSION, row }))
        .expect("a session");
    for round in 0..12 {
        upload(&store, &format!("/file {}", round % 7), round * 100, &[3000, 800, 1]);
    }
    let removal = RemovalRow { at: 4, by: "laptop".to_owned(), hold_until: 5 };
    let remove = Operation::Remove { account: 1, target: Target::Version(12), removal };
    assert_eq!(store.commit(remove).expect("removed"), Done::Removed(1));
    store.close().expect("closed");
}

fn exported(dir: &Path) -> Vec<u8> {
    let (stream, left_out) = exported_with_losses(dir);
    assert_eq!(left_out, [""; 0]);
    stream
}

fn exported_with_losses(dir: &Path) -> (Vec<u8>, Vec<String>) {
    let store = open(dir);
    let (mut stream, mut left_out) = (Vec::new(), Vec::new());
    let counts = store.export(&mut stream, &mut |what| left_out.push(what.to_owned())).expect("exported");
    assert_eq!(counts.left_out, left_out.len() as u64);
    store.close().expect("closed");
    (stream, left_out)
}

fn import_bytes(dir: &Path, mut bytes: &[u8]) -> Result<Imported, Error> {
    import(dir, &mut bytes, options())
}

/// Key, seq and value.
type Rows = BTreeMap<Vec<u8>, (u64, Vec<u8>)>;

/// The rows of the catalog but for places and for what was stored where, and each frame that a place leads to.
fn content(store: &Store) -> (Rows, Vec<Frame>) {
    let (mut rows, mut frames) = (BTreeMap::new(), Vec::new());
    for (key, row) in store.shared.rows.scan(&[], &[0xff], 100_000).expect("scanned") {
        match key.strip_prefix(b"c").and_then(|id| <[u8; 32]>::try_from(id).ok()) {
            Some(id) => frames.push(store.read(&ChunkId(id)).expect("a frame")),
            None if key[0] == b'u' => {}
            None => drop(rows.insert(key, (row.seq, row.value))),
        }
    }
    assert!(!rows.is_empty() && !frames.is_empty());
    (rows, frames)
}

#[test]
fn a_store_moves_whole_and_its_export_is_the_same_again() {
    let home = tempfile::tempdir().expect("a directory");
    let (old, new) = (home.path().join("old"), home.path().join("new"));
    filled(&old);
    let stream = exported(&old);
    let imported = import_bytes(&new, &stream).expect("imported");
    assert_eq!((imported.counts.records, imported.counts.manifests, imported.counts.left_out), (18, 12, 0));
    assert!(imported.volumes > 3, "{imported:?}");
    let (before, after) = (open(&old), open(&new));
    assert!(content(&before) == content(&after), "every row and every frame, with its seq");
    assert_eq!(before.opened.counters, after.opened.counters);
    assert_eq!(before.format, after.format);
    assert!(after.check().expect("checked").is_clean());
    drop((before, after));
    assert!(exported(&new) == stream, "byte by byte");
}

#[test]
fn a_moved_store_gives_no_id_twice_even_without_its_catalog() {
    let home = tempfile::tempdir().expect("a directory");
    let (old, new) = (home.path().join("old"), home.path().join("new"));
    filled(&old);
    // The record of the newest version is gone for good, as after a compaction: only the counters know of it.
    let stream = exported(&old);
    let (frames, counters) = read(&stream).expect("read");
    let mut shorter = Vec::new();
    let head = StreamReader::open(&mut stream.as_slice()).expect("a head").head();
    let mut writer = StreamWriter::begin(&mut shorter, &head).expect("begun");
    for frame in
        frames.iter().filter(|frame| frame.header.kind != FrameKind::Record || frame.header.seq + 3 < counters.seq)
    {
        writer.frame(frame).expect("written");
    }
    writer.finish(counters).expect("finished");
    import_bytes(&new, &shorter).expect("imported");
    fs::remove_dir_all(new.join("catalog")).expect("the catalog is a directory");
    fs::remove_file(new.join("clean")).expect("the note of the last stop");
    let store = open(&new);
    assert_eq!(store.opened.counters, counters);
    upload(&store, "/one more", 5000, &[10]);
    assert_eq!(store.catalog().file_of(1, counters.version).expect("looked up"), Some(counters.file));
}

#[test]
fn a_new_store_and_one_that_a_kill_ended_are_exported_too() {
    let home = tempfile::tempdir().expect("a directory");
    let (empty, moved) = (home.path().join("empty"), home.path().join("moved"));
    open(&empty).close().expect("closed");
    import_bytes(&moved, &exported(&empty)).expect("imported");
    assert_eq!(open(&moved).catalog().all_files().count(), 0);
    let (killed, again) = (home.path().join("killed"), home.path().join("again"));
    filled(&killed);
    let store = open(&killed);
    upload(&store, "/after", 7000, &[10, 20]);
    drop(store);
    import_bytes(&again, &exported(&killed)).expect("imported");
    assert!(content(&open(&killed)) == content(&open(&again)));
}

#[test]
fn a_refused_import_leaves_everything_as_it_was() {
    let home = tempfile::tempdir().expect("a directory");
    let (old, new, made) = (home.path().join("old"), home.path().join("new"), home.path().join("made"));
    filled(&old);
    let stream = exported(&old);
    fs::create_dir(&made).expect("an empty directory");
    for part in 1..12 {
        let mut changed = stream.clone();
        let at = stream.len() * part / 12;
        changed[at] ^= 0x10;
        for dir in [&new, &made] {
            assert!(import_bytes(dir, &changed).is_err(), "flipped at {at}");
            assert!(import_bytes(dir, &stream[..at]).is_err(), "cut at {at}");
        }
        assert!(!new.exists(), "flipped or cut at {at}");
        assert_eq!(fs::read_dir(&made).expect("still there").count(), 0, "flipped or cut at {at}");
    }
    import_bytes(&made, &stream).expect("into a directory that was made before");
    assert!(open(&made).check().expect("checked").is_clean());
}

#[test]
fn next_ids_that_are_given_already_impossible_chunks_and_unknown_records_are_refused() {
    let home = tempfile::tempdir().expect("a directory");
    let (old, new) = (home.path().join("old"), home.path().join("new"));
    filled(&old);
    let stream = exported(&old);
    let numbers = stream.len() - TRAILER_BYTES + 1;
    for counter in 5..9 {
        let mut behind = stream.clone();
        behind[numbers + counter * 8..][..8].copy_from_slice(&1u64.to_le_bytes());
        let error = import_bytes(&new, &resealed(behind)).expect_err("given already");
        assert!(error.to_string().contains("given already"), "counter {counter}: {error}");
    }
    let refused = |chunk_bytes, stored: &[u8]| {
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::begin(&mut bytes, &Head { store: [1; 16], chunk_bytes }).expect("begun");
        let it = new_frame(FrameKind::Record, ChunkId([0; 32]), stored.to_vec());
        writer
            .frame(&Frame { header: FrameHeader { stored_len: stored.len() as u32, ..it.header }, stored: it.stored })
            .expect("written");
        writer.finish(Counters::default()).expect("finished");
        import_bytes(&new, &bytes).expect_err("refused")
    };
    assert!(refused([0, 1, 2], b"").to_string().contains("chunk sizes are impossible"));
    assert!(refused(CHUNK_BYTES, b"\x10\x01 from later").to_string().contains("newer program"));
    assert!(!new.exists());
}

#[test]
fn only_an_empty_directory_becomes_a_store() {
    let home = tempfile::tempdir().expect("a directory");
    let (old, full, file) = (home.path().join("old"), home.path().join("full"), home.path().join("file"));
    filled(&old);
    let stream = exported(&old);
    fs::create_dir(&full).and_then(|()| fs::write(full.join("photo"), b"mine")).expect("a full directory");
    fs::write(&file, b"mine too").expect("a file");
    for taken in [&old, &full, &file] {
        assert!(matches!(import_bytes(taken, &stream), Err(Error::NotEmpty { .. })), "{taken:?}");
    }
    assert!(matches!(import_bytes(&home.path().join("no/where"), &stream), Err(Error::NoParent { .. })));
    assert_eq!(fs::read_dir(&full).expect("still there").count(), 1);
    assert_eq!(fs::read(&file).expect("still there"), b"mine too");
    assert!(exported(&old) == stream, "the old store is as it was");
    let running = open(&old);
    assert!(matches!(Store::open(&old, options()), Err(Error::InUse { .. })));
    drop(running);
}

#[test]
fn what_damage_took_is_left_out_and_named_and_the_rest_is_there() {
    let home = tempfile::tempdir().expect("a directory");
    let (old, new) = (home.path().join("old"), home.path().join("new"));
    filled(&old);
    let whole = read(&exported(&old)).expect("read").0;
    let lost = whole.iter().filter(|frame| frame.header.kind == FrameKind::Chunk && frame.stored.len() == 3000).nth(1);
    let lost = lost.expect("a chunk of an older volume");
    let mut flipped = 0;
    for volume in fs::read_dir(old.join("volumes")).expect("the volumes").flatten() {
        let db = volume.path().join("db");
        let mut bytes = fs::read(&db).expect("read a volume");
        // Sixteen bytes of it that do not cross two blocks.
        let mut pieces = lost.stored[1000..].chunks_exact(16);
        if let Some(at) = pieces.find_map(|piece| memchr::memmem::find(&bytes, piece)) {
            bytes[at] ^= 1;
            flipped += 1;
            fs::write(&db, bytes).expect("damaged");
        }
    }
    assert_eq!(flipped, 1);
    let (stream, left_out) = exported_with_losses(&old);
    assert!(left_out.iter().any(|what| what.contains(&lost.header.id.to_string())), "{left_out:?}");
    let imported = import_bytes(&new, &stream).expect("imported");
    assert_eq!(imported.counts.left_out, left_out.len() as u64);
    let rest = read(&stream).expect("read").0;
    assert_eq!(rest.len() + left_out.len(), whole.len());
    assert!(rest.iter().all(|frame| whole.contains(frame)) && !rest.contains(lost));
    let records = |frames: &[Frame]| frames.iter().filter(|it| it.header.kind == FrameKind::Record).count();
    assert_eq!(records(&rest), records(&whole), "the footer repeats the records of the damaged block");
    assert!(!open(&new).check().expect("checked").damaged_versions.is_empty());
    let versions =
        |store: &Store| store.catalog().all_files().map(|it| it.expect("a file").versions.len()).sum::<usize>();
    let rebuilt = Store::rebuild(&old, options()).expect("rebuilt");
    assert_eq!((versions(&rebuilt), versions(&open(&new))), (12, 12), "a rebuild finds them there too");
}
