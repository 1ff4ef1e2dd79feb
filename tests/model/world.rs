//! A store with two people on it, and beside it what each of them must find: plain maps.
//!
//! Both people give their devices and files the same names, so that one who is shown the other's would not notice by
//! the name; contents come from the same few seeds, so that equal bytes are stored for both.

use super::access::Access;
use super::objects::Objects;
use super::steps::{Step, Who};
use bytes::Bytes;
use rbackup::model::{
    AccountId, Clock, DeviceName, FileId, FilePath, Password, Sha256, SystemClock, Username, VersionId,
};
use rbackup::service::{Admission, Caller, Error, Policy, Services, UploadRequest, Visit};
use rbackup::store::{Options, Store, VolumeLimits, import};
use sha2::Digest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Small volumes and chunks, so that a short run crosses many of them.
pub const OPTIONS: Options = Options {
    volume: VolumeLimits { payload_bytes: 300_000, blocks: 40, frames: 60, record_bytes: 8_000 },
    chunk_bytes: [1024, 4096, 16384],
    ..Options::DEFAULT
};

const ANN: Who = 0;
const BERT: Who = 1;

/// Version id → path, SHA-256 and length.
pub type Versions = BTreeMap<u64, (Vec<u8>, Sha256, u64)>;

/// One account, its one device, and what must be there.
pub struct Person {
    name: &'static str,
    /// The session of its last login.
    pub session: Caller,
    /// What must be listed, and nothing else.
    pub versions: Versions,
    files: BTreeMap<Vec<u8>, u64>,
}

/// The store and the maps.
pub struct World {
    /// Where it lives.
    pub home: tempfile::TempDir,
    /// The store, while it is open.
    pub services: Option<Services>,
    /// Ann and Bert.
    pub people: [Person; 2],
    /// restic's objects.
    pub objects: Objects,
    /// Sessions and tokens of somebody else.
    pub access: Access,
    /// The newest entry of the audit log when it was last looked at.
    audited: Option<[u8; 32]>,
    next_version: u64,
}

impl World {
    /// An empty store with both signed in.
    pub fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let services = open(&home.path().join("data"));
        let people = ["ann", "bert"].map(|name| {
            services
                .register(Username::parse(name.to_owned()).expect("fine"), password(name), &Admission::local())
                .expect("registered");
            Person { name, session: login(&services, name), versions: Versions::new(), files: BTreeMap::new() }
        });
        Self {
            home,
            services: Some(services),
            people,
            objects: Objects::default(),
            access: Access::default(),
            audited: None,
            next_version: 1,
        }
    }

    /// The open store.
    pub fn services(&self) -> &Services {
        self.services.as_ref().expect("open")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Does one step to the store and to the maps.
    pub fn step(&mut self, step: &Step) {
        match *step {
            Step::Upload { who, path, content, length } => self.upload(who, path, content, length),
            Step::UploadAround { who, path, content, length, other } => {
                self.upload_around(who, path, &bytes(content, length), |world| {
                    world.upload(1 - who, path, content, other)
                })
            }
            Step::UploadCut { who, path, length } => {
                let mut intake = self.services().upload(&self.people[who].session, request(path)).expect("begun");
                intake.push(Bytes::from(bytes(u16::from(path) + 1000, length))).expect("taken");
            }
            Step::RemoveFile { who, path } => self.remove_file(who, path),
            Step::RemoveVersion { who, nth } => self.remove_version(who, nth),
            Step::Trespass { who, nth } => self.trespass(who, nth),
            Step::Login { who } => self.login_again(who),
            Step::Restart => {
                let before = self.stored();
                self.services().close().expect("closed");
                self.reopen();
                assert_eq!(self.stored(), before, "what was counted while it came is what is there");
            }
            Step::Crash => self.reopen(),
            Step::Rebuild => self.rebuild(),
            Step::Move => self.move_house(),
            Step::Object(ref step) => {
                let Self { services, objects, .. } = self;
                objects.step(services.as_ref().expect("open"), step);
            }
            Step::Access(ref step) => {
                let Self { services, access, .. } = self;
                access.step(services.as_ref().expect("open"), step);
            }
        }
    }

    /// One upload from the first byte to the answer.
    pub fn upload(&mut self, who: Who, path: u8, content: u16, length: u32) {
        self.upload_around(who, path, &bytes(content, length), |_| ());
    }

    fn upload_around(&mut self, who: Who, path: u8, data: &[u8], between: impl FnOnce(&mut Self)) {
        let sha = Sha256(sha2::Sha256::digest(data).into());
        let mut intake = self.services().upload(&self.people[who].session, request(path)).expect("begun");
        let (first, rest) = data.split_at(data.len() / 2);
        first.chunks(7000).for_each(|piece| intake.push(Bytes::copy_from_slice(piece)).expect("taken"));
        between(self);
        rest.chunks(7000).for_each(|piece| intake.push(Bytes::copy_from_slice(piece)).expect("taken"));
        let file = intake.finish(Some(sha)).expect("committed");
        let newest = file.versions.last().expect("the new version");
        assert_eq!(newest.id.0, self.next_version, "ids have no gaps");
        self.next_version += 1;
        let person = &mut self.people[who];
        person.versions.insert(newest.id.0, (name(path), sha, data.len() as u64));
        let known = *person.files.entry(name(path)).or_insert(file.id.0);
        assert_eq!(known, file.id.0, "a path keeps its file id");
        let other = &self.people[1 - who];
        assert!(other.files.values().all(|id| *id != file.id.0), "a file id was given to two accounts");
    }

    fn remove_file(&mut self, who: Who, path: u8) {
        let person = &self.people[who];
        let Some(file) = person.files.get(&name(path)).copied() else { return };
        let had = person.versions.values().any(|(of, _, _)| *of == name(path));
        let result = self.services().remove_file(&person.session, FileId(file));
        assert_eq!(result.is_ok(), had, "{result:?}");
        self.people[who].versions.retain(|_, (of, _, _)| *of != name(path));
    }

    fn remove_version(&mut self, who: Who, nth: usize) {
        let person = &self.people[who];
        let Some(id) = nth_key(&person.versions, nth) else { return };
        self.services().remove_version(&person.session, VersionId(id)).expect("removed");
        let again = self.services().remove_version(&person.session, VersionId(id));
        assert!(matches!(again, Err(Error::NotFound(_))), "{again:?}");
        self.people[who].versions.remove(&id);
    }

    /// What is the other's does not exist: neither to be read nor to be removed.
    fn trespass(&mut self, who: Who, nth: usize) {
        let (person, other) = (&self.people[who], &self.people[1 - who]);
        if let Some(id) = nth_key(&other.versions, nth) {
            let read = self.services().download(&person.session, VersionId(id)).map(|download| download.size());
            assert!(matches!(read, Err(Error::NotFound(_))), "{} may read version {id}: {read:?}", person.name);
            let removed = self.services().remove_version(&person.session, VersionId(id));
            assert!(matches!(removed, Err(Error::NotFound(_))), "{} may remove version {id}", person.name);
        }
        let files: Vec<u64> = other.files.values().copied().collect();
        if let Some(id) = files.get(nth % files.len().max(1)) {
            let removed = self.services().remove_file(&person.session, FileId(*id));
            assert!(matches!(removed, Err(Error::NotFound(_))), "{} may remove file {id}", person.name);
        }
        self.compare();
    }

    fn login_again(&mut self, who: Who) {
        let name = self.people[who].name;
        let stranger = self.people[1 - who].name;
        let username = Username::parse(name.to_owned()).expect("fine");
        let foreign = self.services().login(&username, password(stranger).secret(), device(), &Visit::default());
        assert!(matches!(foreign, Err(Error::BadCredentials)), "{stranger}'s password opens {name}'s account");
        let fresh = login(self.services(), name);
        let old = std::mem::replace(&mut self.people[who].session, fresh);
        let intake = self.services().upload(&old, request(0)).expect("begun");
        assert!(matches!(intake.finish(None), Err(Error::NoSession)), "an ended session commits nothing");
    }

    /// A catalog from nothing but the volumes.
    pub fn rebuild(&mut self) {
        self.services().close().expect("closed");
        self.services = None;
        let store = Store::rebuild(&self.data(), OPTIONS).expect("rebuilt");
        self.services = Some(serve(store));
        self.compare_usage();
        self.compare();
    }

    /// The store that an export and an import make from a crashed one, in its place.
    pub fn move_house(&mut self) {
        self.services = None;
        let (mut stream, moved) = (Vec::new(), self.home.path().join("moved"));
        let store = Store::open(&self.data(), OPTIONS).expect("opened");
        store.export(&mut stream, &mut |what| unreachable!("nothing is damaged: {what}")).expect("exported");
        drop(store);
        import(&moved, &mut stream.as_slice(), OPTIONS).expect("imported");
        std::fs::remove_dir_all(self.data()).and_then(|()| std::fs::rename(&moved, self.data())).expect("moved");
        self.reopen();
    }

    /// Lets go of the store, and opens it.
    pub fn reopen(&mut self) {
        self.services = None;
        self.services = Some(open(&self.data()));
        self.compare_usage();
        self.compare();
    }

    /// What each account has stored, as it is counted: nobody's, Ann's, Bert's, Cara's.
    fn stored(&self) -> [Option<u64>; 4] {
        [0, 1, 2, 3].map(|account| self.services().account_use(AccountId(account)).expect("counted").stored_bytes)
    }

    /// What is counted of everybody is what the maps say, and what all volumes hold.
    pub fn compare_usage(&self) {
        let there = self.services().recount_stored().expect("counted");
        let expected = [0, 1, 2, 3].map(|account| Some(there.get(&account).copied().unwrap_or(0)));
        assert_eq!(self.stored(), expected, "stored bytes");
        self.compare_logical();
    }

    fn compare_logical(&self) {
        for (account, whose) in [(1, ANN), (2, BERT), (0, 2)] {
            let objects = self.objects.0.iter().filter(|((of, ..), _)| *of == whose).map(|(_, body)| body.len() as u64);
            let versions = self.people.get(whose).into_iter().flat_map(|person| person.versions.values());
            let bytes = objects.sum::<u64>() + versions.map(|(_, _, length)| length).sum::<u64>();
            let counted = self.services().account_use(AccountId(account)).expect("counted").logical_bytes;
            assert_eq!(counted, bytes, "logical bytes of account {account}");
        }
    }

    /// Stops in good order and stays closed.
    pub fn stop(&mut self) {
        self.services().close().expect("closed");
        self.services = None;
    }

    /// Both find what is theirs, bit for bit, and nothing else.
    pub fn compare(&mut self) {
        for person in &self.people {
            assert_eq!(read_all(self.services(), &person.session), person.versions, "what {} finds", person.name);
            let devices = self.services().devices(&person.session).expect("listed");
            assert_eq!(devices, [device()], "{}'s devices", person.name);
        }
        self.compare_logical();
        // Whatever crashed, was rebuilt or moved meanwhile: the chain is whole and goes on from where it was.
        let audit = self.services().verify_audit(self.audited).expect("read");
        assert_eq!(audit.problems, [""; 0], "the audit log");
        assert!(audit.entries > 0, "two have registered and signed in");
        self.audited = audit.head;
        self.objects.compare(self.services());
        let Self { services, access, .. } = self;
        access.compare(services.as_ref().expect("open"));
    }
}

fn nth_key(versions: &Versions, nth: usize) -> Option<u64> {
    versions.keys().nth(nth % versions.len().max(1)).copied()
}

fn read_all(services: &Services, session: &Caller) -> Versions {
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

/// Opens a store.
pub fn open(data: &Path) -> Services {
    serve(Store::open(data, OPTIONS).expect("opened"))
}

/// The services of a store.
pub fn serve(store: Store) -> Services {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Services::new(store, clock, Policy::default())
}

fn login(services: &Services, name: &str) -> Caller {
    let username = Username::parse(name.to_uppercase()).expect("fine");
    let signed_in = services.login(&username, password(name).secret(), device(), &Visit::default()).expect("signed in");
    services.session(signed_in.session_id.reveal()).expect("live")
}

fn password(name: &str) -> Password {
    Password::parse(format!("the password of {name}")).expect("fine")
}

fn device() -> DeviceName {
    DeviceName::parse("laptop".to_owned()).expect("fine")
}

fn name(path: u8) -> Vec<u8> {
    [b"/etc/\xFF ", &[path + b'a'][..]].concat()
}

fn request(path: u8) -> UploadRequest {
    UploadRequest { path: FilePath::parse(name(path)).expect("fine"), size: None, size_min: 0, mtime: None, mode: None }
}

/// `length` bytes that depend on `seed`; a longer content of the same seed begins alike, so that chunks are shared.
fn bytes(seed: u16, length: u32) -> Vec<u8> {
    let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    let mut bytes = vec![0; length as usize];
    reader.fill(&mut bytes);
    bytes
}
