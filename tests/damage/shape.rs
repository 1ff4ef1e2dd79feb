//! The stores that get damaged: small, with several accounts, volumes and catalog runs, each with another past.
//!
//! A shape is a data directory as it lay on the disk, two earlier copies of it, another store's, and what it has promised.
//! They are kept in a directory, so that worker processes read the same ones and a failed run can be repeated on them.

use super::image::Image;
use super::layout;
use super::oracle::{End, Oracle, Signed, Truth};
use super::visitor;
use crate::kit::random::{Content, Random};
use rbackup::model::{FileId, VersionId};
use rbackup::service::Services;
use rbackup::store::Segment;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Every shape's name, the size of its segments, and the past it has.
pub const SHAPES: [(&str, u32, Past); 6] = [
    ("stopped", MIB, |builder| {
        builder.day(14);
        builder.note("yesterday");
        builder.day(12);
        builder.lists();
        builder.evening();
    }),
    ("killed", MIB, |builder| {
        builder.day(14);
        builder.note("yesterday");
        builder.day(10);
        builder.evening();
        builder.killed(3);
    }),
    // No catalog has heard of its newest volume.
    (BEGUN, MIB, |builder| {
        builder.day(14);
        builder.note("yesterday");
        builder.day(6);
        builder.evening();
        builder.killed(3);
        builder.killed(4);
    }),
    ("recovered", MIB, |builder| {
        builder.day(8);
        builder.killed(8);
        builder.note("yesterday");
        builder.day(12);
        builder.lists();
        builder.evening();
    }),
    ("rebuilt", MIB, |builder| {
        (0..3).for_each(|_| builder.day(5));
        builder.note("yesterday");
        builder.rebuild();
        (0..2).for_each(|_| builder.day(5));
        builder.evening();
    }),
    // Small enough that every byte can be tried.
    (FINE, 4096, |builder| {
        builder.day(6);
        builder.note("yesterday");
        builder.day(4);
        builder.evening();
    }),
];

/// The shape that was killed in a volume which a start after a kill had begun.
pub const BEGUN: &str = "begun";
/// The shape with small segments.
pub const FINE: &str = "fine";
const MIB: u32 = 1 << 20;
/// A second on a machine with nothing else to do.
const LISTS_LIMIT: Duration = Duration::from_secs(30);

/// What happens to a store before it is damaged.
pub type Past = fn(&mut Builder);

/// A store to be damaged.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its name.
    pub name: String,
    /// As it is.
    pub now: Image,
    /// As it was, by name.
    pub before: Vec<(String, Image)>,
    /// What it has promised.
    pub oracle: Oracle,
}

impl Shape {
    /// Reads a shape that [`build`] left.
    pub fn load(shapes: &Path, name: &str) -> Shape {
        let root = shapes.join(name);
        let text = fs::read(root.join("oracle.json")).expect("the shape was built");
        let oracle = serde_json::from_slice(&text).expect("an oracle");
        let copy = |name: &str| (name.to_owned(), Image::read(&root.join(name)));
        let before = ["yesterday", "morning", "foreign"].map(copy).into();
        Shape { name: name.to_owned(), now: Image::read(&root.join("now")), before, oracle }
    }

    /// An earlier copy, or the foreign one.
    pub fn before(&self, name: &str) -> &Image {
        let found = self.before.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| unreachable!("no copy is called {name}")).1
    }

    /// The directory of the newest volume.
    pub fn newest_volume(&self) -> String {
        newest_volume(&self.now)
    }
}

/// The directory of the newest volume in an image.
pub fn newest_volume(image: &Image) -> String {
    let volumes = image.directories().filter(|path| is_volume(path));
    volumes.max().expect("a store has volumes").to_owned()
}

/// Whether a path is a volume's own directory.
pub fn is_volume(path: &str) -> bool {
    path.strip_prefix("volumes/").is_some_and(|name| name.len() == 8 && !name.contains(['.', '/']))
}

/// Builds every shape that is not there yet, and returns them all.
pub fn all(shapes: &Path, seed: u64) -> Vec<Shape> {
    let foreign = shapes.join("another");
    if !foreign.exists() {
        build(shapes, ("another", MIB, |builder| builder.day(3)), seed);
    }
    for (number, shape) in SHAPES.into_iter().enumerate() {
        if !shapes.join(shape.0).exists() {
            build(shapes, shape, seed + 1 + number as u64);
            Image::read(&foreign.join("now")).write(&shapes.join(shape.0).join("foreign"));
        }
    }
    SHAPES.iter().map(|shape| Shape::load(shapes, shape.0)).collect()
}

fn build(shapes: &Path, (name, segment_bytes, past): (&str, u32, Past), seed: u64) {
    let root = shapes.join(name);
    fs::create_dir_all(&root).expect("create the shape's directory");
    let mut builder = Builder { root, random: Random::new(seed), oracle: Oracle::default() };
    builder.sign_up(Segment::new(segment_bytes).expect("a size of segments"));
    past(&mut builder);
    builder.keep();
}

/// Lives a store's past and notes what it promises.
pub struct Builder {
    root: PathBuf,
    random: Random,
    oracle: Oracle,
}

impl Builder {
    fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    fn open(&self) -> Services {
        visitor::open(&self.data()).expect("a healthy store opens")
    }

    fn sign_up(&mut self, segment: Segment) {
        let services = visitor::create(&self.data(), segment);
        for (account, device) in [("anna", "laptop"), ("anna", "desk"), ("ben", "laptop"), ("cleo", "phone")] {
            if device != "desk" {
                visitor::register(&services, account);
            }
            let secret = visitor::login(&services, account, device).expect("signed in");
            self.oracle.sessions.push(Signed { account: account.into(), device: device.into(), secret });
        }
        services.close().expect("closed");
    }

    /// A start, some work, a stop in good order.
    pub fn day(&mut self, uploads: u32) {
        let services = self.open();
        self.work(&services, uploads);
        self.close(&services);
    }

    /// A start in which nothing happens, until it is written down where the blocks of the ended volumes lie.
    pub fn lists(&mut self) {
        let services = self.open();
        let lists = || {
            Image::read(&self.data())
                .files()
                .filter(|path| path.starts_with("volumes/") && path.ends_with("/pieces"))
                .count()
        };
        let begun = Instant::now();
        while lists() + 1 < Image::read(&self.data()).directories().filter(|path| is_volume(path)).count() {
            assert!(begun.elapsed() < LISTS_LIMIT, "{} lists were written", lists());
            std::thread::sleep(Duration::from_millis(50));
        }
        self.close(&services);
    }

    fn close(&mut self, services: &Services) {
        services.close().expect("closed");
        self.oracle.settled = self.end();
    }

    /// The last day and the one before: they write to one volume, which is open in the end.
    pub fn evening(&mut self) {
        let services = self.open();
        let newest = |builder: &Self| newest_volume(&Image::read(&builder.data()));
        let before = newest(self);
        while newest(self) == before {
            self.upload(&services, 300);
        }
        let open = newest(self);
        [600, 1500, 3000].into_iter().for_each(|size| self.upload(&services, size));
        self.remove(&services);
        self.close(&services);
        drop(services);
        self.note("morning");
        let services = self.open();
        [700, 900, 2000].into_iter().for_each(|size| self.upload(&services, size));
        self.remove(&services);
        self.close(&services);
        assert_eq!(newest(self), open, "the evening was to stay within one volume");
    }

    /// A start, some work, and `kill -9`: what the kernel holds is what there is.
    pub fn killed(&mut self, uploads: u32) {
        let services = self.open();
        self.work(&services, uploads);
        let left = Image::read(&self.data());
        drop(services);
        fs::remove_dir_all(self.data()).expect("remove what the drop has tidied up");
        left.write(&self.data());
    }

    /// `rbackup rebuild`: the catalog's runs are numbered from the beginning again.
    pub fn rebuild(&mut self) {
        visitor::rebuild(&self.data()).close().expect("closed");
    }

    /// Keeps a copy of how things are.
    pub fn note(&mut self, name: &str) {
        Image::read(&self.data()).write(&self.root.join(name));
    }

    fn keep(mut self) {
        self.note("now");
        let text = serde_json::to_vec_pretty(&self.oracle).expect("an oracle is plain");
        fs::write(self.root.join("oracle.json"), text).expect("write the oracle");
        fs::remove_dir_all(self.data()).expect("remove the store");
    }

    fn work(&mut self, services: &Services, uploads: u32) {
        for _ in 0..uploads {
            let size = match self.random.below(20) {
                0 => 0,
                1..9 => self.random.below(600),
                9..15 => 600 + self.random.below(4400),
                _ => 5000 + self.random.below(35_000),
            };
            self.upload(services, size as usize);
            if self.random.chance(15) {
                self.remove(services);
            }
        }
    }

    fn upload(&mut self, services: &Services, size: usize) {
        let signed = self.random.pick(&self.oracle.sessions).clone();
        let session = services.session(&signed.secret).expect("a live session");
        let path = format!("/home/{}/{}", signed.account, self.random.below(5));
        // Few seeds: some contents begin alike and share their chunks.
        let (seed, text) = (self.random.below(9), self.random.chance(30));
        let bytes = Content { seed, size, text, inserted: Vec::new() }.bytes();
        let (version, file) = visitor::upload(services, &session, &path, &bytes).expect("uploaded");
        let sha256 = visitor::sha256(&bytes).to_string();
        let Signed { account, device, .. } = signed;
        let truth = Truth {
            account,
            device,
            file,
            path,
            size: size as u64,
            sha256,
            seed,
            text,
            acknowledged: self.end(),
            removed: None,
        };
        assert!(self.oracle.versions.insert(version, truth).is_none(), "a version id was given twice");
    }

    /// Removes a version, or a file now and then.
    fn remove(&mut self, services: &Services) {
        let live: Vec<u64> =
            self.oracle.versions.iter().filter(|(_, one)| one.removed.is_none()).map(|(id, _)| *id).collect();
        let id = *self.random.pick(&live);
        let truth = self.oracle.versions[&id].clone();
        let of = |signed: &&Signed| signed.account == truth.account && signed.device == truth.device;
        let signed = self.oracle.sessions.iter().find(of).expect("its device is signed in");
        let session = services.session(&signed.secret).expect("a live session");
        let whole = self.random.chance(20);
        match whole {
            true => services.remove_file(&session, FileId(truth.file)),
            false => services.remove_version(&session, VersionId(id)),
        }
        .expect("removed");
        let gone = |other: &u64, one: &Truth| if whole { one.file == truth.file } else { *other == id };
        let end = Some(self.end());
        let leaving = self.oracle.versions.iter_mut().filter(|(id, one)| one.removed.is_none() && gone(id, one));
        leaving.for_each(|(_, one)| one.removed = end);
    }

    /// Where the log ends now, by its bytes.
    fn end(&self) -> End {
        let image = Image::read(&self.data());
        let volume = newest_volume(&image);
        layout::end_of(&image, &volume)
    }
}
