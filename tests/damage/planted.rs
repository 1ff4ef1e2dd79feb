//! Faults that the judge must see; a judge that stays content here would stay content when data are lost or changed.

use super::image::Image;
use super::layout::{self, Hit, Layout, sum_of};
use super::oracle::{End, Oracle};
use super::shape::{self, Shape};
use super::trial::{Case, Outcome, Verdict, judge};
use super::visitor;
use crate::kit::place::Place;
use crate::kit::random::run_seed;
use rbackup::model::ChunkId;
use rbackup::store::{Frame, Store, encode_manifest, parse_manifest};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const BLOCK_HEADER: usize = 40;

fn stopped(place: &Place) -> Shape {
    let shapes = place.path().join("shapes");
    shape::all(&shapes, run_seed("damage, planted"));
    Shape::load(&shapes, "stopped")
}

fn complaint(verdict: &Verdict, word: &str) {
    let found = verdict.complaints.iter().find(|complaint| complaint.contains(word));
    eprintln!("planted: {:?}: {found:?}", verdict.outcome);
    assert!(verdict.outcome == Outcome::Wrong && found.is_some(), "no word of {word:?}: {verdict:?}");
}

#[test]
fn a_wrong_oracle_is_noticed() {
    let place = Place::in_memory("damage-oracle");
    let shape = stopped(&place);
    let layout = Layout::of(&shape, &place.path().join("layout"));
    let judged = |change: &dyn Fn(&mut Oracle)| {
        let mut oracle = shape.oracle.clone();
        change(&mut oracle);
        let case = Case { shape: &shape, layout: &layout, damaged: &shape.now, hit: &Hit::default(), login: true };
        judge(&case, &oracle, &place.path().join("trial"))
    };
    let mut without = shape.now.clone();
    without.remove("volumes/00000001");
    let lost = layout.hit(&shape, &without).lost;
    assert!(lost.len() > 3 && lost.iter().all(|end| end.volume == 1), "what is lost is noticed: {lost:?}");
    let sound = judged(&|_| {});
    assert!(sound.outcome == Outcome::Healed && sound.complaints.is_empty(), "nothing is wrong yet: {sound:?}");

    let one =
        shape.oracle.versions.iter().find(|(_, truth)| truth.removed.is_none() && truth.size > 0).map(|(id, _)| *id);
    let one = one.expect("a live version");
    let truth = |oracle: &Oracle| oracle.versions[&one].clone();
    let other = visitor::sha256(b"something else").to_string();
    complaint(&judged(&|oracle| oracle.versions.get_mut(&one).expect("it").sha256.clone_from(&other)), "announced");
    complaint(&judged(&|oracle| oracle.versions.get_mut(&one).expect("it").path += "x"), "is listed as");
    complaint(&judged(&|oracle| oracle.versions.get_mut(&one).expect("it").removed = Some(End::default())), "is back");
    complaint(&judged(&|oracle| drop(oracle.versions.remove(&one))), "never acknowledged");
    complaint(&judged(&|oracle| drop(oracle.versions.insert(9999, truth(oracle)))), "is not listed");
    complaint(&judged(&|oracle| oracle.sessions[0].account = "nobody".into()), "nobody is unknown");
    complaint(&judged(&|oracle| drop(oracle.versions.insert(9999, truth(oracle)))), "given twice");
}

/// The newest volume of a killed store, with all that was acknowledged there, is lost: that is asked about. A store that never wrote its
/// note goes on as if nothing had been there.
#[test]
fn a_newest_volume_that_goes_without_a_word_is_noticed() {
    let place = Place::in_memory("damage-newest");
    let shapes = place.path().join("shapes");
    shape::all(&shapes, run_seed("damage, newest"));
    let shape = Shape::load(&shapes, shape::BEGUN);
    let layout = Layout::of(&shape, &place.path().join("layout"));
    let judged = |forgotten: bool| {
        let mut damaged = shape.now.clone();
        damaged.remove(&shape.newest_volume());
        if forgotten {
            damaged.remove("newest");
        }
        let hit = layout.hit(&shape, &damaged);
        let case = Case { shape: &shape, layout: &layout, damaged: &damaged, hit: &hit, login: true };
        judge(&case, &shape.oracle, &place.path().join("trial"))
    };
    let sound = judged(false);
    assert!(sound.outcome == Outcome::Errors && sound.complaints.is_empty(), "it is asked about: {sound:?}");
    let forgotten = judged(true);
    complaint(&forgotten, "is not listed");
    complaint(&forgotten, "given twice");
}

#[test]
fn damage_under_a_new_checksum_is_noticed() {
    let place = Place::in_memory("damage-crafted");
    let shape = stopped(&place);
    let layout = Layout::of(&shape, &place.path().join("layout"));
    let scratch = place.path().join("crafted");
    shape.now.write(&scratch);
    let (version, volume, number, offset, frame) = exchanged_chunks(&scratch);
    let mut block = block_of(&shape, &layout, volume, number);
    let (frame, from) = (frame.encode(), BLOCK_HEADER + offset);
    block[from..from + frame.len()].copy_from_slice(&frame);
    let sum = sum_of(&block, &layout::key(&shape.now)).to_le_bytes();
    block[BLOCK_HEADER - 8..BLOCK_HEADER].copy_from_slice(&sum);
    insert(&scratch, &layout, volume, number, &block);
    let crafted = Image::read(&scratch);
    let hit = layout.hit(&shape, &crafted);
    assert!(hit.touched.contains(&version), "a block of it is another one: {hit:?}");
    let case = Case { shape: &shape, layout: &layout, damaged: &crafted, hit: &hit, login: false };
    let verdict = judge(&case, &shape.oracle, &place.path().join("trial"));
    complaint(&verdict, &format!("version {version} "));
    complaint(&verdict, "read");
}

#[test]
fn a_block_under_another_number_is_noticed() {
    let place = Place::in_memory("damage-moved");
    let shape = stopped(&place);
    let layout = Layout::of(&shape, &place.path().join("layout"));
    let scratch = place.path().join("moved");
    shape.now.write(&scratch);
    let (_, volume, number, ..) = exchanged_chunks(&scratch);
    let other = block_of(&shape, &layout, volume, number - 1);
    insert(&scratch, &layout, volume, number, &other);
    let moved = Image::read(&scratch);
    // As if the block itself were gone: what sled wrote over may still be found raw.
    let hit = Hit { blocks: true, ..layout.hit(&shape, &moved) };
    let case = Case { shape: &shape, layout: &layout, damaged: &moved, hit: &hit, login: false };
    let verdict = judge(&case, &shape.oracle, &place.path().join("trial"));
    eprintln!("a block under another number: {verdict:?}");
    assert_ne!(verdict.outcome, Outcome::Wrong, "{verdict:?}");
}

/// A manifest, whole in one block, with its first two children exchanged: version, volume, block, offset, frame.
fn exchanged_chunks(data: &Path) -> (u64, u32, u32, usize, Frame) {
    let store = Store::open(data, visitor::OPTIONS).expect("a healthy store opens");
    let mut found = None;
    for file in store.catalog().all_files() {
        for entry in file.expect("a file").versions.iter().filter(|entry| entry.removal.is_none()) {
            let Some(root) = entry.row.root.filter(|root| root.level == 1) else { continue };
            let id = ChunkId(root.id);
            let place = store.catalog().place(&id).expect("a readable catalog").expect("a known manifest");
            let mut frame = store.read(&id).expect("a manifest");
            let mut children = parse_manifest(&frame.stored).expect("its children");
            if place.address.block() > 0 && children[0].id != children[1].id {
                children.swap(0, 1);
                frame.stored = encode_manifest(&children);
                found = Some((entry.version, place.volume, place.address.block(), place.address.offset(), frame));
            }
        }
    }
    store.close().expect("closed");
    found.expect("a version of several chunks")
}

fn block_of(shape: &Shape, layout: &Layout, volume: u32, number: u32) -> Vec<u8> {
    let block = spot(layout, volume, number);
    shape.now.file(&block.path).expect("the file")[block.at..block.at + block.bytes].to_vec()
}

fn spot(layout: &Layout, volume: u32, number: u32) -> &layout::Block {
    let found = layout.blocks().iter().find(|(name, _)| (name.1, name.2) == (volume, number));
    &found.expect("the block is in a file").1[0]
}

/// Puts a block in another's place, as far as that reaches.
fn insert(data: &Path, layout: &Layout, volume: u32, number: u32, block: &[u8]) {
    let spot = spot(layout, volume, number);
    let file = File::options().write(true).open(data.join(&spot.path)).expect("the file");
    file.write_all_at(&block[..spot.bytes.min(block.len())], spot.at as u64).expect("written");
}
