//! The damage matrix: flipped bytes, files cut short, lost, exchanged and put back, thousands of them.
//!
//! The story: small stores are built once, some stopped in good order, some killed, some rebuilt. Each trial damages a copy
//! of one, opens it in a child process, reads everything, lets `check` look, uploads, closes, opens again. Every answer
//! must be right or an error; nothing may vanish without a word; what hits no block must cost nothing.
//!
//! `RBACKUP_DAMAGE` (2 000 flips; `all` is the long form), `RBACKUP_SEED`, `RBACKUP_KEEP`. `RBACKUP_DAMAGE_SHAPES=DIR`
//! builds the stores in DIR or takes those that are there, and with it `RBACKUP_DAMAGE_ONE` repeats one trial exactly, `RBACKUP_DAMAGE_TIMES` often:
//! keys and salts are random, so the seed alone finds the same place but not the same byte.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness stops where it finds something wrong")]

mod kit;
#[path = "damage/mod.rs"]
mod parts;

use kit::place::Place;
use kit::random::{Random, run_seed, setting};
use parts::crew::{self, Crew, Order};
use parts::image::Image;
use parts::plan::{self, Trial};
use parts::shape::{self, Shape};
use parts::table;
use parts::trial::{Outcome, Verdict};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A trial takes a tenth of a second; a busy machine may take a hundred times as long.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where the stores of a run are.
struct Stores {
    seed: u64,
    place: Place,
    shapes: PathBuf,
    all: Vec<Shape>,
}

impl Stores {
    fn new(name: &str) -> Stores {
        let seed = run_seed(name);
        let place = Place::in_memory("damage");
        let given = std::env::var_os("RBACKUP_DAMAGE_SHAPES").map(PathBuf::from);
        let shapes = given.unwrap_or_else(|| place.path().join("shapes"));
        let begun = Instant::now();
        let all = shape::all(&shapes, seed);
        eprintln!("{name}: {} stores, {:.1?}", all.len(), begun.elapsed());
        Stores { seed, place, shapes, all }
    }

    fn run(&self, trials: &[Trial]) -> Vec<Verdict> {
        let orders: Vec<Order> = trials.iter().cloned().map(Order::Try).collect();
        let crew = Crew { shapes: &self.shapes, scratch: self.place.path(), deadline: DEADLINE };
        crew.carry_out(&orders)
    }

    /// Puts the stores where they outlive the run, so that what went wrong can be repeated.
    fn keep(&self) -> String {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("damage-{}", self.seed));
        if self.shapes.starts_with(self.place.path()) && !kept.exists() {
            Image::read(&self.shapes).write(&kept);
            return format!("RBACKUP_DAMAGE_SHAPES={} has the stores", kept.display());
        }
        format!("the stores are in {}", self.shapes.display())
    }

    /// Runs the trials, prints the table and fails when something is wrong.
    fn require_none_wrong(&self, name: &str, trials: &[Trial]) {
        let begun = Instant::now();
        let verdicts = self.run(trials);
        let slowest = verdicts.iter().map(|verdict| verdict.ms).max().unwrap_or(0);
        eprintln!("{}", table::table(&self.all, trials, &verdicts));
        eprintln!("{name}: seed {}, {:.1?}, the slowest trial {slowest} ms", self.seed, begun.elapsed());
        let wrong = verdicts.iter().filter(|verdict| verdict.outcome == Outcome::Wrong).count();
        let complaints = table::complaints(trials, &verdicts);
        let kept = if wrong == 0 { String::new() } else { self.keep() };
        assert!(wrong == 0, "{wrong} of {} trials are wrong (seed {}; {kept}):\n{complaints}", trials.len(), self.seed);
    }
}

/// What the children run. Called without their environment it shows that a child which aborts, hangs, eats all memory or
/// panics is seen, and that the next trial is not the worse for it.
#[test]
fn worker() {
    if let Some(shapes) = std::env::var_os(crew::SHAPES) {
        return crew::serve(Path::new(&shapes));
    }
    let place = Place::in_memory("damage-planted");
    let crew = |seconds| Crew { shapes: place.path(), scratch: place.path(), deadline: Duration::from_secs(seconds) };
    // Only the one that hangs is waited for in vain; the others may be slow.
    let mut verdicts = crew(120).carry_out(&[Order::Abort, Order::Devour, Order::Panic]);
    verdicts.extend(crew(10).carry_out(&[Order::Hang, Order::Panic]));
    let told = [("DIED", "signal: 6"), ("DIED", "memory"), ("PANIC", "planted"), ("HANG", "10s"), ("PANIC", "planted")];
    assert_eq!(verdicts.len(), told.len());
    for (verdict, (word, detail)) in verdicts.iter().zip(told) {
        eprintln!("planted: {:?}", verdict.complaints);
        let told = verdict.complaints.join(" ");
        assert!(verdict.outcome == Outcome::Wrong && told.contains(word) && told.contains(detail), "{word}: {told}");
    }
}

#[test]
fn flipped_bytes_are_right_or_an_error() {
    let stores = Stores::new("damage, flips");
    if let Ok(one) = std::env::var("RBACKUP_DAMAGE_ONE") {
        let trial = serde_json::from_str(&one).expect("RBACKUP_DAMAGE_ONE is a trial as it was printed");
        let times = setting("RBACKUP_DAMAGE_TIMES", 1) as usize;
        return stores.require_none_wrong("damage, one", &vec![trial; times]);
    }
    let (shapes, count) = match is_long() {
        // At the size that segments really have; the one with small segments is tried byte by byte.
        true => (stores.all.iter().filter(|shape| shape.name != shape::FINE).cloned().collect(), 20_000),
        false => (stores.all.clone(), setting("RBACKUP_DAMAGE", 2000)),
    };
    let trials = plan::flips(&shapes, count, &mut Random::new(stores.seed));
    stores.require_none_wrong("damage, flips", &trials);
}

fn is_long() -> bool {
    std::env::var("RBACKUP_DAMAGE").is_ok_and(|chosen| chosen == "all")
}

/// The long form: a bit of every byte that is not zero, of a sealed volume, the open one and all of the catalog. The short form
/// tries some of them.
#[test]
fn every_byte_of_a_small_store_is_right_or_an_error() {
    let stores = Stores::new("damage, bytes");
    let mut random = Random::new(stores.seed);
    let shape = stores.all.iter().find(|shape| shape.name == shape::FINE).expect("the shape with small segments");
    let below = ["volumes/00000001/".to_owned(), shape.newest_volume() + "/", "catalog/".to_owned()];
    let mut trials = plan::every_byte(shape, &below, &mut random);
    eprintln!("damage, bytes: {} bytes are not zero", trials.len());
    if !is_long() {
        let step = trials.len() / 200;
        let from = random.below(step as u64) as usize;
        trials = trials.into_iter().skip(from).step_by(step).collect();
    }
    stores.require_none_wrong("damage, bytes", &trials);
}

#[test]
fn lost_exchanged_and_older_files_are_right_or_an_error() {
    let stores = Stores::new("damage, files");
    let mut random = Random::new(stores.seed);
    let trials: Vec<Trial> = stores.all.iter().flat_map(|shape| plan::losses(shape, &mut random)).collect();
    stores.require_none_wrong("damage, files", &trials);
}
