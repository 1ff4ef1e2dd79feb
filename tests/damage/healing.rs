//! What was damaged and comes again is whole again; what is healthy is left alone; a catalog mends itself while it is used.

use super::harm::{Class, Harm};
use super::image::Image;
use super::layout::Layout;
use super::look::{Fate, Look, fate};
use super::oracle::Truth;
use super::shape::{self, Shape};
use super::visitor;
use crate::kit::place::Place;
use crate::kit::random::run_seed;
use crate::kit::server;
use rbackup::service::{Caller, Services};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Some seconds, with room for a busy machine.
const MENDED_WITHIN: Duration = Duration::from_secs(30);

struct Patient {
    place: Place,
    shape: Shape,
    version: u64,
    truth: Truth,
    /// A damage to each frame that the version needs.
    harms: Vec<Harm>,
}

/// How many stores are made until one has a version of several chunks in sealed volumes; about one in ten has none.
const STORES_MAX: u64 = 20;

/// The largest live version in sealed volumes, and a flip in each of its frames.
fn patient(name: &str) -> Patient {
    let seed = run_seed("damage, healing");
    let found = (0..STORES_MAX).find_map(|n| patient_of(name, seed.wrapping_add(n)));
    found.expect("a version of several chunks")
}

fn patient_of(name: &str, seed: u64) -> Option<Patient> {
    let place = Place::in_memory("damage-healing");
    let shapes = place.path().join("shapes");
    shape::all(&shapes, seed);
    let shape = Shape::load(&shapes, name);
    let layout = Layout::of(&shape, &place.path().join("layout"));
    let newest = shape.newest_volume();
    let sealed = |id: u64| layout.bytes_of(id).iter().all(|(path, _)| Class::of(path, &newest) == Class::SealedDb);
    let live = shape.oracle.versions.iter().filter(|(id, truth)| truth.removed.is_none() && sealed(**id));
    let (version, truth) = live.max_by_key(|(_, truth)| truth.size)?;
    let (version, truth) = (*version, truth.clone());
    let middle = |(path, range): (String, std::ops::Range<usize>)| {
        let at = range.start + range.len() / 2;
        Harm::Flip { path, at, mask: 4 }
    };
    let harms: Vec<Harm> = layout.bytes_of(version).into_iter().map(middle).collect();
    (harms.len() > 3).then_some(Patient { place, shape, version, truth, harms })
}

impl Patient {
    fn damaged(&self, harm: &Harm) -> PathBuf {
        let data = self.place.path().join("trial");
        let _ = std::fs::remove_dir_all(&data);
        harm.done_to(&self.shape).write(&data);
        data
    }

    fn session(&self, services: &Services) -> Caller {
        let own = self.shape.oracle.sessions.iter().find(|signed| signed.account == self.truth.account);
        services.session(&own.expect("its account is signed in").secret).expect("a live session")
    }

    fn fate(&self, services: &Services) -> Fate {
        fate(services, &self.session(services), self.version, &self.truth)
    }

    fn send_again(&self, services: &Services) {
        let session = self.session(services);
        visitor::upload(services, &session, "/sent/again", &self.truth.content()).expect("backups go on");
    }

    /// What is wrong unless the old version and the new one are right, now and after a restart, and `check` does not name it. It may
    /// name others: a block has frames of several.
    fn is_well(&self, services: Services, data: &Path) -> Result<(), String> {
        self.both(&services).map_err(|what| format!("at once: {what}"))?;
        services.close().expect("closed");
        drop(services);
        let services = visitor::open(data).expect("opened again");
        self.both(&services).map_err(|what| format!("after a restart: {what}"))?;
        let report = services.check().expect("checked");
        services.close().expect("closed");
        let named = report.damaged_versions.iter().find(|named| named.version == self.version);
        named.map_or(Ok(()), |named| Err(format!("`check` says {named:?}")))
    }

    fn both(&self, services: &Services) -> Result<(), String> {
        let session = self.session(services);
        let newest = services.files(&session, None).expect("listed").flatten().flat_map(|file| file.versions);
        let new = newest.map(|version| version.id.0).max().expect("the new version");
        match (self.fate(services), fate(services, &session, new, &self.truth)) {
            (Fate::Right, Fate::Right) => Ok(()),
            (old, new) => Err(format!("the old version: {old:?}; the one just acknowledged: {new:?}")),
        }
    }

    /// Tries each damage and fails when one does not heal.
    fn each_heals(&self, heals: impl Fn(&Patient, &Harm) -> Result<(), String>) {
        let failed = |harm: &Harm| heals(self, harm).err().map(|why| format!("{harm:?}: {why}"));
        let wrong: Vec<String> = self.harms.iter().filter_map(failed).collect();
        let (all, count) = (self.harms.len(), wrong.len());
        assert!(wrong.is_empty(), "{count} of {all} damages do not heal:\n{}", wrong.join("\n"));
        eprintln!("{all} damages healed");
    }
}

#[test]
fn a_chunk_that_could_not_be_read_is_stored_again_when_it_comes_again() {
    patient("stopped").each_heals(|it, harm| {
        let data = it.damaged(harm);
        let services = visitor::open(&data).expect("a flipped byte does not stop a start");
        assert!(matches!(it.fate(&services), Fate::Failed(_)), "{harm:?} hits the version");
        it.send_again(&services);
        it.is_well(services, &data)
    });
}

/// What notices a damage before the store is opened again.
type Notice = fn(&Patient, &Path);

const NOTICED: [(&str, Notice); 2] = [
    ("a reader", |it, data| {
        let services = visitor::open(data).expect("a flipped byte does not stop a start");
        assert!(matches!(it.fate(&services), Fate::Failed(_)), "the version is hit");
        services.close().expect("closed");
    }),
    ("`check`", |_, data| assert_eq!(server::command(data, &["check"]).0, Some(15))),
];

/// Whoever has noticed it, and however long ago. Planted: without the note of it, what comes again is not whole.
#[test]
fn damage_that_was_noticed_before_the_last_start_heals_too() {
    let patient = patient("stopped");
    for (who, notice) in NOTICED {
        let heals = |it: &Patient, harm: &Harm, is_remembered: bool| {
            let data = it.damaged(harm);
            notice(it, &data);
            if !is_remembered {
                std::fs::remove_file(data.join("suspects")).expect("a note");
            }
            let services = visitor::open(&data).expect("opened again");
            it.send_again(&services);
            it.is_well(services, &data)
        };
        patient.each_heals(|it, harm| heals(it, harm, true).map_err(|why| format!("noticed by {who}: {why}")));
        heals(&patient, &patient.harms[0], false).expect_err("a damage that nobody remembers heals");
    }
}

#[test]
fn a_salvage_forgets_what_is_damaged_so_that_it_heals() {
    patient("stopped").each_heals(|it, harm| {
        let data = it.damaged(harm);
        let (code, said) = server::command(&data, &["check", "--salvage"]);
        assert_eq!(code, Some(15), "{harm:?}: {said}");
        let services = visitor::open(&data).expect("a salvaged store opens");
        let look = Look::at(&services, &it.shape.oracle, false);
        for (id, truth) in it.shape.oracle.versions.iter().filter(|(_, truth)| truth.removed.is_none()) {
            let found = &look.fates[id];
            let lost = matches!(found, Fate::Failed(_));
            assert!(lost || *found == Fate::Right, "version {id} {truth:?}: {found:?}");
        }
        assert!(matches!(it.fate(&services), Fate::Failed(_)), "{harm:?}: what is lost is lost");
        it.send_again(&services);
        it.is_well(services, &data)
    });
}

#[test]
fn a_salvage_of_a_healthy_store_changes_nothing() {
    let place = Place::in_memory("damage-salvage");
    let shapes = shape::all(&place.path().join("shapes"), run_seed("damage, salvage"));
    for shape in &shapes {
        let data = place.path().join(&shape.name);
        let after = |words: &[&str]| {
            let _ = std::fs::remove_dir_all(&data);
            shape.now.write(&data);
            let (code, said) = server::command(&data, words);
            assert_eq!(code, Some(0), "{}: {said}", shape.name);
            Image::read(&data)
        };
        // What opening a store changes, a salvage may change too, and nothing else.
        let (checked, salvaged) = (after(&["check"]), after(&["check", "--salvage"]));
        let changed = |image: &Image| shape.now.differing(image);
        let more: Vec<String> =
            changed(&salvaged).into_iter().filter(|path| !changed(&checked).contains(path)).collect();
        assert!(more.is_empty(), "{}: {more:?}", shape.name);
        let volumes = |path: &String| path.starts_with("volumes");
        assert!(
            !shape.now.has("clean") || !changed(&salvaged).iter().any(volumes),
            "{}: {:?}",
            shape.name,
            changed(&salvaged)
        );
        let services = visitor::open(&data).expect("a salvaged store opens");
        is_right(&services, shape).unwrap_or_else(|why| panic!("{}: {why}", shape.name));
        services.close().expect("closed");
        std::fs::remove_dir_all(&data).expect("remove the copy");
    }
}

#[test]
fn a_catalog_that_is_damaged_while_it_is_used_mends_itself() {
    let place = Place::in_memory("damage-running");
    let shapes = shape::all(&place.path().join("shapes"), run_seed("damage, running"));
    for shape in shapes.iter().filter(|shape| shape.now.has("clean")) {
        for (name, damage) in WAYS {
            let data = place.path().join("trial");
            shape.now.write(&data);
            let services = visitor::open(&data).expect("a healthy store opens");
            let runs = shape.now.files().filter(|path| path.starts_with("catalog/run-") && path.ends_with("/db"));
            runs.for_each(|run| damage(&data.join(run)));
            let (rounds, took) = mends(&services, shape, name);
            eprintln!("{}, {name}: right after {took:.1?}, {rounds} rounds with errors", shape.name);
            services.close().expect("closed");
            drop(services);
            let services = visitor::open(&data).expect("opened again");
            assert!(is_right(&services, shape).is_ok(), "{}, {name}: after a restart", shape.name);
            drop(services);
            std::fs::remove_dir_all(&data).expect("remove the copy");
        }
    }
}

type Damage = fn(&Path);

const WAYS: [(&str, Damage); 3] = [
    ("every hundredth byte changed", |db| {
        let bytes = std::fs::read(db).expect("read the run");
        let changed = bytes.iter().enumerate().map(|(at, byte)| if at % 100 == 50 { byte ^ 0x55 } else { *byte });
        overwrite(db, &changed.collect::<Vec<u8>>());
    }),
    ("all zeros", |db| {
        let length = std::fs::metadata(db).expect("the run").len();
        overwrite(db, &vec![0; length as usize]);
    }),
    ("cut to nothing", |db| {
        let file = std::fs::OpenOptions::new().write(true).open(db).expect("open the run");
        file.set_len(0).expect("cut it");
    }),
];

/// In place: the store has the file open.
fn overwrite(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("open the run");
    file.write_all_at(bytes, 0).expect("write it");
}

/// Waits until all is right; until then there may be errors, and nothing else.
fn mends(services: &Services, shape: &Shape, name: &str) -> (u32, Duration) {
    let begun = Instant::now();
    let mut rounds = 0;
    loop {
        match is_right(services, shape) {
            Ok(()) => return (rounds, begun.elapsed()),
            Err(why) => {
                assert!(begun.elapsed() < MENDED_WITHIN, "{}, {name}: still not mended: {why}", shape.name);
                rounds += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Right, or the first error; something that is not so ends the test.
fn is_right(services: &Services, shape: &Shape) -> Result<(), String> {
    let look = Look::at(services, &shape.oracle, false);
    assert!(look.contradictions.is_empty(), "{:?}", look.contradictions);
    for (name, account) in &look.accounts {
        let failed = account.list_failed.as_ref().or(account.refused.as_ref().map(|(_, why)| why));
        if let Some(why) = failed {
            return Err(format!("{name}: {why}"));
        }
    }
    for (id, truth) in &shape.oracle.versions {
        match (&look.fates[id], truth.removed.is_some()) {
            (Fate::Right, false) | (Fate::NotFound, true) => {}
            (Fate::Failed(why), _) => return Err(format!("version {id}: {why}")),
            (fate, _) => panic!("version {id} {truth:?}: {fate:?}"),
        }
    }
    Ok(())
}
