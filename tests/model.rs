//! Random uploads, removals, sign-ins, restarts, crashes and rebuilds of two people against plain maps. After every
//! restart the store must say to each exactly what their map says, bit for bit, and nothing of the other's; a version
//! that is listed but cannot be read is a failure as much as one that is missing.
//!
//! `RBACKUP_MODEL_CASES` (24). A sequence that fails is written to `tests/data/model.proptest-regressions` and is played
//! first in every later run: commit it with the repair. Planted: a version that is forgotten, the other's version that
//! is shown, a lost volume, a failing sequence that must be kept and found again.

#[path = "model/mod.rs"]
mod parts;

use parts::access::AccessStep;
use parts::objects::ObjectStep;
use parts::steps::{Step, steps, steps_with_access, steps_with_objects};
use parts::world::{OPTIONS, World, serve};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestError, TestRunner};
use rbackup::model::VersionId;
use rbackup::store::Store;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Ann and Bert.
const ANN: usize = 0;
const BERT: usize = 1;

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/model.proptest-regressions");

fn play(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.step(step);
    }
    world.compare();
    world.services().close().expect("closed");
    world.reopen();
}

fn config(cases: u32, kept_in: &'static str) -> Config {
    let failure_persistence = Some(Box::new(FileFailurePersistence::Direct(kept_in)) as _);
    Config { cases, failure_persistence, max_shrink_iters: 200, ..Config::default() }
}

/// Plays the sequences that were kept, and new ones; a harness that lost those that once failed must not look well.
fn play_all(strategy: &impl Strategy<Value = Vec<Step>>, kept_in: &'static str) {
    let cases = std::env::var("RBACKUP_MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(24);
    let played = std::cell::Cell::new(0);
    let run = TestRunner::new(config(cases, kept_in)).run(strategy, |steps| {
        played.set(played.get() + 1);
        play(&steps);
        Ok(())
    });
    run.unwrap_or_else(|failure| unreachable!("{failure}"));
    assert_eq!(played.get(), cases + kept(kept_in), "every kept sequence was played besides the new ones");
}

/// How many sequences a file has.
fn kept(file: &str) -> u32 {
    let kept = std::fs::read_to_string(file).expect("the file of kept sequences is there");
    kept.lines().filter(|line| line.starts_with("cc ")).count() as u32
}

#[test]
fn any_sequence_of_changes_restarts_and_crashes_leaves_what_the_maps_say() {
    play_all(&steps(), REGRESSIONS);
}

/// The same with restic's objects among them.
#[test]
fn any_sequence_with_objects_leaves_what_the_maps_say() {
    play_all(
        &steps_with_objects(),
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/model-objects.proptest-regressions"),
    );
}

/// The same with sessions, tokens and passwords among them.
#[test]
fn any_sequence_of_sign_ins_leaves_what_the_list_says() {
    play_all(
        &steps_with_access(),
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/model-access.proptest-regressions"),
    );
}

/// Planted: a dead token that opens, one with other rights, one that was forgotten, an account that may not be used.
#[test]
fn the_comparison_sees_who_may_do_what_too() {
    for kind in 0..4 {
        let mut world = World::new();
        for step in [AccessStep::Login, AccessStep::Rotate, AccessStep::Token { scopes: 1 }] {
            world.step(&Step::Access(step));
        }
        world.compare();
        world.access.mistake(kind);
        assert!(catch_unwind(AssertUnwindSafe(|| world.compare())).is_err(), "mistake {kind} was not noticed");
    }
}

/// Planted: an object forgotten, one of another owner's, one with another byte.
#[test]
fn the_comparison_sees_objects_too() {
    let mut world = World::new();
    for (whose, length) in [(ANN, 1_500_000), (BERT, 600), (2, 0)] {
        world.step(&Step::Object(ObjectStep::Put { whose, repo: 1, kind: 1, content: 7, length }));
    }
    world.compare();
    let kept = world.objects.0.clone();
    let key = *kept.keys().next().expect("Ann's object");
    let mut fails = |change: &dyn Fn(&mut World)| {
        change(&mut world);
        assert!(catch_unwind(AssertUnwindSafe(|| world.compare())).is_err(), "not noticed");
        world.objects.0.clone_from(&kept);
    };
    fails(&|world| drop(world.objects.0.remove(&key)));
    fails(&|world| drop(world.objects.0.insert((BERT, key.1, key.2), Vec::new())));
    fails(&|world| world.objects.0.get_mut(&key).expect("there")[1_400_000] ^= 1);
}

/// Planted: a property that fails. What it fails on must be written down, and be what a later run fails on at once.
#[test]
fn a_failing_sequence_is_kept_and_played_first() {
    let home = tempfile::tempdir().expect("a directory");
    let kept_in = home.path().join("kept").to_str().expect("a plain path").to_owned();
    let kept_in: &'static str = Box::leak(kept_in.into_boxed_str());
    let crashes = |steps: &[Step]| steps.iter().filter(|step| matches!(step, Step::Crash)).count();
    let fails = |steps: Vec<Step>| if crashes(&steps) > 2 { Err(TestCaseError::fail("planted")) } else { Ok(()) };
    let first = TestRunner::new(config(2000, kept_in)).run(&steps(), fails);
    let Err(TestError::Fail(_, shrunk)) = first else { unreachable!("2000 sequences and none has three crashes") };
    assert_eq!(crashes(&shrunk), 3, "the smallest one that fails");
    // No new sequence is tried, so only the kept one can fail.
    let later = TestRunner::new(config(0, kept_in)).run(&steps(), fails);
    assert!(matches!(later, Err(TestError::Fail(..))), "the kept sequence was not played: {later:?}");
}

/// Planted: what the maps of two people would look like if the store had forgotten, or shown one the other's.
#[test]
fn the_comparison_sees_a_version_forgotten_and_a_version_of_the_other() {
    let mut world = World::new();
    world.upload(ANN, 1, 1, 500);
    world.upload(BERT, 1, 2, 500);
    world.compare();
    let taken = world.people[BERT].versions.remove(&2).expect("Bert's version");
    assert!(catch_unwind(AssertUnwindSafe(|| world.compare())).is_err(), "Bert has one that was never sent");
    world.people[ANN].versions.insert(2, taken.clone());
    world.people[BERT].versions.insert(2, taken);
    assert!(catch_unwind(AssertUnwindSafe(|| world.compare())).is_err(), "Ann's map has one more than she is shown");
    world.people[ANN].versions.remove(&2);
    let [ann, bert] = &mut world.people;
    std::mem::swap(&mut ann.session, &mut bert.session);
    assert!(catch_unwind(AssertUnwindSafe(|| world.compare())).is_err(), "each is shown what is the other's");
}

/// Planted: a count that is a byte off, and one that has the other's bytes.
#[test]
fn the_comparison_sees_a_count_that_is_wrong() {
    let mut world = World::new();
    world.upload(ANN, 1, 1, 500);
    world.upload(BERT, 1, 2, 700);
    world.step(&Step::Restart);
    world.compare_usage();
    let kept = world.people[ANN].versions.clone();
    world.people[ANN].versions.get_mut(&1).expect("there").2 += 1;
    assert!(catch_unwind(AssertUnwindSafe(|| world.compare_usage())).is_err(), "a byte more");
    world.people[ANN].versions = world.people[BERT].versions.clone();
    assert!(catch_unwind(AssertUnwindSafe(|| world.compare_usage())).is_err(), "the other's");
    world.people[ANN].versions = kept;
    world.compare_usage();
}

/// A store that was stopped in good order and has more than two volumes.
fn stopped_with_several_volumes() -> World {
    let mut world = World::new();
    for path in 0..12 {
        world.upload(usize::from(path % 2), path, u16::from(path), 100_000);
    }
    world.stop();
    assert!(world.data().join("volumes/00000003").is_dir(), "the test needs several volumes");
    world
}

#[test]
fn the_comparison_sees_a_volume_that_was_lost() {
    let mut world = stopped_with_several_volumes();
    let lost = world.data().join("volumes/00000002");
    assert!(lost.is_dir(), "the test needs several volumes");
    std::fs::rename(&lost, world.home.path().join("elsewhere")).expect("moved");
    let missed = catch_unwind(AssertUnwindSafe(|| world.reopen()));
    assert!(missed.is_err(), "a lost volume went unnoticed");
}

/// A store whose newest volume was never checkpointed, after a crash: nothing but its own bytes speaks for it.
fn crashed() -> (World, PathBuf) {
    let mut world = World::new();
    world.upload(ANN, 1, 1, 200);
    world.upload(BERT, 2, 2, 90_000);
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
    assert!(db.with_file_name("db.crashed").exists(), "the volume is still there");
}

#[test]
fn a_newest_volume_that_is_gone_stops_the_start_and_loses_nothing() {
    let (mut world, _) = crashed();
    world.reopen();
    world.stop();
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
        ours.upload(ANN, path, 1, 500);
        other.upload(ANN, path, u16::from(path), 90_000);
    }
    ours.stop();
    other.stop();
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
        world.upload(BERT, path, 1, 50);
    }
    world.services().remove_version(&world.people[BERT].session, VersionId(3)).expect("removed");
    world.people[BERT].versions.remove(&3);
    world.rebuild();
    world.upload(ANN, 5, 2, 60);
    assert_eq!(world.people[ANN].versions.keys().max(), Some(&4));
}
