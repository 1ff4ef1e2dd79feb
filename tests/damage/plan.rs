//! Which damage is tried: flips by seed, all the ways to lose or mix up files, and, in the long form, every byte.

use super::harm::{Class, Harm};
use super::image::PAGE;
use super::shape::{Shape, is_volume};
use crate::kit::random::Random;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often a class of files is chosen for a flip, in relation to the others; a shape may lack some.
const WEIGHTS: [(Class, u64); 14] = [
    (Class::SealedDb, 30),
    (Class::OpenDb, 20),
    (Class::CrashedDb, 15),
    (Class::RunDb, 20),
    (Class::VolumeSnap, 8),
    (Class::RunSnap, 6),
    (Class::VolumeConf, 4),
    (Class::RunConf, 4),
    (Class::Format, 4),
    (Class::Clean, 4),
    (Class::Newest, 4),
    (Class::VolumeList, 6),
    (Class::RunList, 3),
    (Class::FormatCopy, 2),
];

/// A damage and the store it is done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The shape's name.
    pub shape: String,
    /// What is done to it.
    pub harm: Harm,
}

fn by_class(shape: &Shape) -> BTreeMap<Class, Vec<&str>> {
    let newest = shape.newest_volume();
    let mut classes: BTreeMap<Class, Vec<&str>> = BTreeMap::new();
    for path in shape.now.files().filter(|path| shape.now.file(path).is_some_and(|bytes| !bytes.is_empty())) {
        classes.entry(Class::of(path, &newest)).or_default().push(path);
    }
    classes
}

/// `count` flips of a bit or a byte, most of them in bytes that are not zero: sled's files are mostly room.
pub fn flips(shapes: &[Shape], count: u64, random: &mut Random) -> Vec<Trial> {
    let classes: Vec<_> = shapes.iter().map(by_class).collect();
    let mut flip = |number: u64| {
        let shape = number as usize % shapes.len();
        let path = pick_file(&classes[shape], random).to_owned();
        let at = pick_byte(shapes[shape].now.file(&path).expect("a file"), random);
        let mask = if random.chance(60) { 1 << random.below(8) } else { 1 + random.below(255) as u8 };
        Trial { shape: shapes[shape].name.clone(), harm: Harm::Flip { path, at, mask } }
    };
    (0..count).map(&mut flip).collect()
}

fn pick_file<'a>(classes: &BTreeMap<Class, Vec<&'a str>>, random: &mut Random) -> &'a str {
    let there = || WEIGHTS.iter().filter_map(|(class, weight)| Some((classes.get(class)?, *weight)));
    let mut at = random.below(there().map(|(_, weight)| weight).sum());
    for (files, weight) in there() {
        if at < weight {
            return random.pick::<&str>(files);
        }
        at -= weight;
    }
    unreachable!("the weights add up")
}

fn pick_byte(bytes: &[u8], random: &mut Random) -> usize {
    let from = random.below(bytes.len() as u64) as usize;
    if random.chance(15) {
        return from;
    }
    let (before, behind) = bytes.split_at(from);
    let next = |bytes: &[u8]| bytes.iter().position(|byte| *byte != 0);
    next(behind).map(|at| from + at).or_else(|| next(before)).unwrap_or(from)
}

/// Every byte of these files that is not zero, with a bit of its own.
pub fn every_byte(shape: &Shape, below: &[String], random: &mut Random) -> Vec<Trial> {
    let mut trials = Vec::new();
    for path in shape.now.files().filter(|path| below.iter().any(|folder| path.starts_with(folder.as_str()))) {
        for (at, byte) in shape.now.file(path).unwrap_or_default().iter().enumerate() {
            if *byte != 0 {
                let harm = Harm::Flip { path: path.to_owned(), at, mask: 1 << random.below(8) };
                trials.push(Trial { shape: shape.name.clone(), harm });
            }
        }
    }
    trials
}

/// Files and directories cut short, lost, exchanged, made longer, put back.
pub fn losses(shape: &Shape, random: &mut Random) -> Vec<Trial> {
    let mut harms = vec![Harm::Nothing];
    for files in by_class(shape).into_values() {
        // The first and the last of a kind: of the volumes a sealed one, of the runs the oldest and the newest.
        let mut chosen = vec![files[0], files[files.len() - 1]];
        chosen.dedup();
        chosen.iter().for_each(|path| harms.extend(of_file(shape, path, random)));
        harms.extend(swaps(&files));
    }
    harms.extend(of_directories(shape));
    let files = shape.now.files().filter(|path| is_ended(shape, path));
    files.for_each(|path| harms.extend(trades(shape, path, random)));
    let volumes: Vec<String> =
        shape.now.directories().filter(|path| is_volume(path)).map(|it| format!("{it}/db")).collect();
    let whole: Vec<&str> = volumes.iter().map(String::as_str).filter(|path| shape.now.has(path)).collect();
    harms.extend(swaps(&whole[whole.len().saturating_sub(2)..]));
    let trial = |harm| Trial { shape: shape.name.clone(), harm };
    harms.into_iter().map(trial).filter(|it| it.harm == Harm::Nothing || changes(shape, &it.harm)).collect()
}

fn changes(shape: &Shape, harm: &Harm) -> bool {
    harm.done_to(shape) != shape.now
}

fn of_file(shape: &Shape, path: &str, random: &mut Random) -> Vec<Harm> {
    let bytes = shape.now.file(path).expect("a file");
    let cut = |to: usize| Harm::Truncate { path: path.to_owned(), to };
    let length = bytes.len();
    let mut harms: Vec<Harm> = [0, length - 1, length.saturating_sub(PAGE), length / 2]
        .into_iter()
        .filter(|to| *to < length)
        .map(cut)
        .collect();
    harms.push(Harm::Delete { path: path.to_owned() });
    for more in [1, PAGE, 1 << 20] {
        harms.push(Harm::Append { path: path.to_owned(), bytes: more, seed: random.next() });
    }
    let mut used: Vec<usize> = pages_in_use(bytes);
    // All pages of a small file, some of a large one.
    while used.len() > 8 {
        used.swap_remove(random.below(used.len() as u64) as usize);
    }
    harms.extend(used.into_iter().map(|at| Harm::Zero { path: path.to_owned(), at }));
    harms
}

fn pages_in_use(bytes: &[u8]) -> Vec<usize> {
    let used = |at: &usize| bytes[*at..].iter().take(PAGE).any(|byte| *byte != 0);
    (0..bytes.len()).step_by(PAGE).filter(used).collect()
}

/// Neighbours of a kind, in other directories, change places.
fn swaps(files: &[&str]) -> Vec<Harm> {
    let pairs = files.windows(2).map(|pair| Harm::Swap { one: pair[0].to_owned(), other: pair[1].to_owned() });
    pairs.collect()
}

fn is_ended(shape: &Shape, path: &str) -> bool {
    matches!(Class::of(path, &shape.newest_volume()), Class::SealedDb | Class::CrashedDb)
}

/// Some blocks of a file in the places of others of their length: whoever believed an old list of them would read the wrong ones.
fn trades(shape: &Shape, path: &str, random: &mut Random) -> Vec<Harm> {
    let bytes = shape.now.file(path).expect("a file");
    let mut by_length: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for at in memchr::memmem::find_iter(bytes, b"RBk1") {
        let length = bytes.get(at + 12..at + 16).map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")));
        by_length.entry(length.unwrap_or(0)).or_default().push(at);
    }
    by_length
        .retain(|length, places| places.len() > 1 && places[places.len() - 1] + *length as usize + 40 <= bytes.len());
    let mut alike: Vec<_> = by_length.into_iter().collect();
    while alike.len() > 3 {
        alike.swap_remove(random.below(alike.len() as u64) as usize);
    }
    let trade = |(length, places): (u32, Vec<usize>)| {
        let bytes = 40 + length as usize;
        Harm::Trade { path: path.to_owned(), one: places[0], other: places[places.len() - 1], bytes }
    };
    alike.into_iter().map(trade).collect()
}

fn of_directories(shape: &Shape) -> Vec<Harm> {
    let mut harms = Vec::new();
    let runs: Vec<&str> = shape.now.directories().filter(|path| is_run(path)).collect();
    let volumes: Vec<&str> = shape.now.directories().filter(|path| is_volume(path)).collect();
    for path in runs.iter().chain(&volumes).copied().chain(["catalog", "volumes"]) {
        harms.push(Harm::Delete { path: path.to_owned() });
    }
    harms.extend(swaps(&runs));
    harms.extend(swaps(&volumes));
    for (from, image) in &shape.before {
        let there = image.directories().filter(|path| is_run(path) || is_volume(path) || *path == "catalog");
        for path in there.chain(["FORMAT", "clean", "newest"].into_iter().filter(|path| image.has(path))) {
            harms.push(Harm::PutBack { path: path.to_owned(), from: from.clone() });
        }
    }
    harms
}

fn is_run(path: &str) -> bool {
    path.starts_with("catalog/run-") && path.matches('/').count() == 1
}
