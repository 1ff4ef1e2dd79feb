//! Random uploads, removals, sign-ins, restarts, crashes and rebuilds against a plain map. After every restart the store
//! must say exactly what the map says, bit for bit; a version that is listed but cannot be read is a failure as much as
//! one that is missing. The last test plants a fault to show that the comparison can fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rbackup::model::{Clock, DeviceName, FilePath, Password, Sha256, SystemClock, Username, VersionId};
use rbackup::service::{Error, Policy, Services, Session, UploadRequest};
use rbackup::store::{Options, Store, VolumeLimits};
use sha2::Digest;

/// Small volumes and chunks, so that a short run crosses many of them.
const OPTIONS: Options = Options {
    volume: VolumeLimits { payload_bytes: 300_000, blocks: 40, frames: 60, record_bytes: 8_000 },
    chunk_bytes: [1024, 4096, 16384],
    ..Options::DEFAULT
};

#[derive(Debug, Clone)]
enum Step {
    Upload { path: u8, content: u16, length: u32 },
    UploadCut { path: u8, length: u32 },
    RemoveFile { path: u8 },
    RemoveVersion { nth: usize },
    Login,
    Restart,
    Crash,
    Rebuild,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![Just(0u32), 1u32..600, 1u32..5_000, 5_000u32..120_000];
    let step = prop_oneof![
        12 => (0u8..12, 0u16..24, length.clone()).prop_map(|(path, content, length)| Step::Upload { path, content, length }),
        2 => (0u8..12, length).prop_map(|(path, length)| Step::UploadCut { path, length }),
        1 => (0u8..12).prop_map(|path| Step::RemoveFile { path }),
        2 => any::<usize>().prop_map(|nth| Step::RemoveVersion { nth }),
        1 => Just(Step::Login),
        1 => Just(Step::Restart),
        2 => Just(Step::Crash),
        1 => Just(Step::Rebuild),
    ];
    prop::collection::vec(step, 1..60)
}

/// What must be there: version id → path, SHA-256 and length.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Model {
    versions: BTreeMap<u64, (Vec<u8>, Sha256, u64)>,
    files: BTreeMap<Vec<u8>, u64>,
    next_version: u64,
}

struct World {
    home: tempfile::TempDir,
    services: Option<Services>,
    session: Session,
    model: Model,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let services = open(&home.path().join("data"));
        let password = Password::parse("a long password".to_owned()).expect("fine");
        services.register(Username::parse("ann".to_owned()).expect("fine"), password).expect("registered");
        let session = login(&services);
        Self { home, services: Some(services), session, model: Model { next_version: 1, ..Model::default() } }
    }

    fn services(&self) -> &Services {
        self.services.as_ref().expect("open")
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Upload { path, content, length } => self.upload(*path, *content, *length),
            Step::UploadCut { path, length } => {
                let mut intake = self.services().upload(&self.session, request(*path)).expect("begun");
                intake.push(Bytes::from(bytes(u16::from(*path) + 1000, *length))).expect("taken");
            }
            Step::RemoveFile { path } => self.remove_file(*path),
            Step::RemoveVersion { nth } => self.remove_version(*nth),
            Step::Login => self.login_again(),
            Step::Restart => {
                self.services().close().expect("closed");
                self.reopen();
            }
            Step::Crash => self.reopen(),
            Step::Rebuild => self.rebuild(),
        }
    }

    fn upload(&mut self, path: u8, content: u16, length: u32) {
        let data = bytes(content, length);
        let sha = Sha256(sha2::Sha256::digest(&data).into());
        let mut intake = self.services().upload(&self.session, request(path)).expect("begun");
        for piece in data.chunks(7000) {
            intake.push(Bytes::copy_from_slice(piece)).expect("taken");
        }
        let file = intake.finish(Some(sha)).expect("committed");
        let newest = file.versions.last().expect("the new version");
        assert_eq!(newest.id.0, self.model.next_version, "ids have no gaps");
        self.model.next_version += 1;
        self.model.versions.insert(newest.id.0, (name(path), sha, u64::from(length)));
        let known = *self.model.files.entry(name(path)).or_insert(file.id.0);
        assert_eq!(known, file.id.0, "a path keeps its file id");
    }

    fn remove_file(&mut self, path: u8) {
        let Some(file) = self.model.files.get(&name(path)).copied() else { return };
        let had = self.model.versions.values().any(|(of, _, _)| *of == name(path));
        let result = self.services().remove_file(&self.session, rbackup::model::FileId(file));
        assert_eq!(result.is_ok(), had, "{result:?}");
        self.model.versions.retain(|_, (of, _, _)| *of != name(path));
    }

    fn remove_version(&mut self, nth: usize) {
        let ids: Vec<u64> = self.model.versions.keys().copied().collect();
        let Some(id) = ids.get(nth % ids.len().max(1)).copied() else { return };
        self.services().remove_version(&self.session, VersionId(id)).expect("removed");
        let again = self.services().remove_version(&self.session, VersionId(id));
        assert!(matches!(again, Err(Error::NotFound(_))), "{again:?}");
        self.model.versions.remove(&id);
    }

    fn login_again(&mut self) {
        let fresh = login(self.services());
        let old = std::mem::replace(&mut self.session, fresh);
        let intake = self.services().upload(&old, request(0)).expect("begun");
        assert!(matches!(intake.finish(None), Err(Error::NoSession)), "an ended session commits nothing");
    }

    fn rebuild(&mut self) {
        self.services().close().expect("closed");
        self.services = None;
        let store = Store::rebuild(&self.data(), OPTIONS).expect("rebuilt");
        self.services = Some(serve(store));
        self.compare();
    }

    fn reopen(&mut self) {
        self.services = None;
        self.services = Some(open(&self.data()));
        self.compare();
    }

    fn compare(&self) {
        let found = read_all(self.services(), &self.session);
        assert_eq!(found, self.model.versions);
    }
}

fn read_all(services: &Services, session: &Session) -> BTreeMap<u64, (Vec<u8>, Sha256, u64)> {
    let mut found = BTreeMap::new();
    for file in services.files(session, None).expect("listed") {
        let file = file.expect("a file");
        for version in &file.versions {
            let download = services.download(session, version.id).expect("there");
            let mut hasher = sha2::Sha256::new();
            let mut length = 0;
            for piece in download.read(0..version.size) {
                let piece = piece.expect("readable");
                length += piece.len() as u64;
                hasher.update(&piece);
            }
            let sha = Sha256(hasher.finalize().into());
            assert_eq!(sha, version.hash);
            found.insert(version.id.0, (file.path.as_bytes().to_vec(), sha, length));
        }
    }
    found
}

fn open(data: &Path) -> Services {
    serve(Store::open(data, OPTIONS).expect("opened"))
}

fn serve(store: Store) -> Services {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Services::new(store, clock, Policy::default())
}

fn login(services: &Services) -> Session {
    let name = Username::parse("Ann".to_owned()).expect("fine");
    let password = Password::parse("a long password".to_owned()).expect("fine");
    let device = DeviceName::parse("laptop".to_owned()).expect("fine");
    let signed_in = services.login(&name, password.secret(), device).expect("signed in");
    services.session(signed_in.session_id.reveal()).expect("live")
}

fn name(path: u8) -> Vec<u8> {
    [b"/etc/\xFF ", &[path + b'a'][..]].concat()
}

fn request(path: u8) -> UploadRequest {
    UploadRequest { path: FilePath::parse(name(path)).expect("fine"), size: None, mtime: None, mode: None }
}

/// `length` bytes that depend on `seed`; a longer content of the same seed begins alike, so that chunks are shared.
fn bytes(seed: u16, length: u32) -> Vec<u8> {
    let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    let mut bytes = vec![0; length as usize];
    reader.fill(&mut bytes);
    bytes
}

fn play(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.step(step);
    }
    world.compare();
    world.services().close().expect("closed");
    world.reopen();
}

#[test]
fn any_sequence_of_changes_restarts_and_crashes_leaves_what_the_map_says() {
    let cases = std::env::var("RBACKUP_MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(24);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            play(&steps);
            Ok(())
        })
        .expect("no sequence fails");
}

/// A store that was stopped in good order and has more than two volumes.
fn stopped_with_several_volumes() -> World {
    let mut world = World::new();
    for path in 0..12 {
        world.upload(path, u16::from(path), 100_000);
    }
    world.services().close().expect("closed");
    world.services = None;
    assert!(world.data().join("volumes/00000003").is_dir(), "the test needs several volumes");
    world
}

#[test]
fn the_comparison_sees_a_volume_that_was_lost() {
    let mut world = stopped_with_several_volumes();
    let lost = world.data().join("volumes/00000002");
    assert!(lost.is_dir(), "the test needs several volumes");
    std::fs::rename(&lost, world.home.path().join("elsewhere")).expect("moved");
    let missed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.reopen()));
    assert!(missed.is_err(), "a lost volume went unnoticed");
}

/// A store whose newest volume was never checkpointed, after a crash: nothing but its own bytes speaks for it.
fn crashed() -> (World, PathBuf) {
    let mut world = World::new();
    world.upload(1, 1, 200);
    world.upload(2, 2, 90_000);
    world.services = None;
    let db = newest_db(&world);
    (world, db)
}

fn newest_db(world: &World) -> PathBuf {
    let volumes = std::fs::read_dir(world.data().join("volumes")).expect("volumes");
    let newest = volumes.map(|entry| entry.expect("an entry").path()).max().expect("a volume");
    newest.join("db")
}

#[test]
fn a_newest_volume_with_a_damaged_head_is_never_taken_for_one_that_was_not_begun() {
    let (mut world, db) = crashed();
    let mut bytes = std::fs::read(&db).expect("read");
    let block = bytes.windows(4).position(|window| window == b"RBk1").expect("a block");
    bytes[block + 60] ^= 0xFF;
    std::fs::write(&db, &bytes).expect("written");
    match Store::open(&world.data(), OPTIONS) {
        Ok(store) => world.services = Some(serve(store)),
        Err(error) => assert!(error.is_damage(), "{error}"),
    }
    if world.services.is_some() {
        world.compare();
    }
    assert!(db.exists(), "the volume is still there");
}

#[test]
fn a_newest_volume_that_cannot_be_opened_stops_the_start_and_loses_nothing() {
    let (mut world, db) = crashed();
    let held = std::fs::File::open(&db).expect("opened");
    held.lock().expect("locked");
    assert!(Store::open(&world.data(), OPTIONS).is_err(), "somebody else holds the volume");
    drop(held);
    world.reopen();
    world.services().close().expect("closed");
    world.services = None;
    let db = newest_db(&world);
    let away = db.with_file_name("away");
    std::fs::rename(&db, &away).expect("moved");
    assert!(Store::open(&world.data(), OPTIONS).is_err(), "a volume in use lost its database");
    std::fs::rename(&away, &db).expect("moved back");
    world.reopen();
}

#[test]
fn a_volume_of_another_store_is_refused() {
    let (mut ours, mut other) = (World::new(), World::new());
    for path in 0..6 {
        ours.upload(path, 1, 500);
        other.upload(path, u16::from(path), 90_000);
    }
    for world in [&mut ours, &mut other] {
        world.services().close().expect("closed");
        world.services = None;
    }
    let next = std::fs::read_dir(ours.data().join("volumes")).expect("volumes").count() + 1;
    let foreign = other.data().join(format!("volumes/{next:08}"));
    assert!(foreign.is_dir(), "the other store has more volumes");
    std::fs::rename(foreign, ours.data().join(format!("volumes/{next:08}"))).expect("moved");
    let error = Store::open(&ours.data(), OPTIONS).err().expect("refused");
    assert!(error.to_string().contains("another store"), "{error}");
}

#[test]
fn a_rebuild_that_fails_leaves_the_catalog_as_it_was() {
    let mut world = stopped_with_several_volumes();
    let (lost, elsewhere) = (world.data().join("volumes/00000002"), world.home.path().join("elsewhere"));
    std::fs::rename(&lost, &elsewhere).expect("moved");
    for _ in 0..2 {
        let error = Store::rebuild(&world.data(), OPTIONS).err().expect("a volume is missing");
        assert!(error.is_damage(), "{error}");
    }
    std::fs::rename(&elsewhere, &lost).expect("moved back");
    world.reopen();
}

#[test]
fn a_version_id_is_never_given_twice_even_when_the_newest_was_removed_and_the_catalog_rebuilt() {
    let mut world = World::new();
    for path in 0..3 {
        world.upload(path, 1, 50);
    }
    world.services().remove_version(&world.session, VersionId(3)).expect("removed");
    world.model.versions.remove(&3);
    world.rebuild();
    world.upload(5, 2, 60);
    assert_eq!(world.model.versions.keys().max(), Some(&4));
}
