//! Which faults are tried, by two workers, and the table of what came of them.

use super::fault::{Errno, Fault, Loss};
use super::operation::{Mode, Operation};
use super::prepared::Prepared;
use super::trial::{self, Case, Outcome};
use crate::kit::random::Random;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Every call of every operation in every mode, and on until a run in which the fault was not reached.
    All,
    /// So many faults of each operation, chosen by the seed; every single EIO where an operation has few calls.
    Some(usize),
    /// One fault, as the report of an earlier run names it.
    One(Lane, u64),
}

impl Effort {
    /// `all`, a number, or `operation/errno/mode/n`.
    pub fn parse(text: &str) -> Option<Effort> {
        if text == "all" {
            return Some(Effort::All);
        }
        let [operation, errno, mode, nth] = text.split('/').collect::<Vec<_>>()[..] else {
            return text.parse().ok().map(Effort::Some);
        };
        let errno = [Errno::Eio, Errno::Enospc].into_iter().find(|it| it.name() == errno)?;
        Some(Effort::One((Operation::named(operation)?, errno, Mode::named(mode)?), nth.parse().ok()?))
    }
}

/// One line of the table: calls that fail alike.
pub type Lane = (Operation, Errno, Mode);

/// What came of a lane.
#[derive(Default)]
struct Row {
    calls: u64,
    runs: u64,
    faults: u64,
    refused: u64,
    ended: u64,
    sled_panics: usize,
    late_writes: usize,
    wrong: u64,
}

/// The whole run.
pub struct Plan<'a> {
    prepared: &'a Prepared,
    seed: u64,
    number: AtomicU64,
    rows: Mutex<BTreeMap<Lane, Row>>,
    wrong: Mutex<Vec<String>>,
}

/// Operations with so few calls are tried whole in the short form.
const FEW_CALLS: u64 = 6;

impl<'a> Plan<'a> {
    /// Nothing tried yet.
    pub fn new(prepared: &'a Prepared, seed: u64) -> Plan<'a> {
        let (rows, wrong) = (Mutex::default(), Mutex::default());
        Plan { prepared, seed, number: AtomicU64::new(0), rows, wrong }
    }

    /// Tries everything the effort asks for; gives what was wrong.
    pub fn run(self, effort: Effort) -> Vec<String> {
        if let Effort::One(lane, nth) = effort {
            self.attempt(lane, nth);
            self.print();
            return self.complaints();
        }
        let lanes = self.count_calls();
        let mut cases = Vec::new();
        for operation in Operation::ALL {
            let own = lanes.iter().filter(|((of, ..), _)| *of == operation);
            cases.extend(self.choose(own.map(|(lane, calls)| (*lane, *calls)).collect(), effort));
        }
        self.two_at_a_time(&cases, |(lane, nth)| {
            self.attempt(*lane, *nth);
        });
        if effort == Effort::All {
            let ends: Vec<(Lane, u64)> = lanes.into_iter().collect();
            self.two_at_a_time(&ends, |(lane, calls)| {
                let mut nth = calls + 1;
                while self.attempt(*lane, nth) {
                    nth += 1;
                }
            });
        }
        self.print();
        self.complaints()
    }

    /// One of each kind, with how many there are of it: what is wrong at one call is often wrong at the next.
    fn complaints(&self) -> Vec<String> {
        let mut kinds: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for wrong in self.wrong.lock().expect("no trial panicked").iter() {
            let heading = wrong.lines().skip(1).take(2).collect::<String>();
            let kind = heading.replace(|it: char| it.is_ascii_digit(), "");
            kinds.entry(kind).or_insert_with(|| (0, wrong.clone())).0 += 1;
        }
        kinds.into_values().map(|(count, first)| format!("{count} like this: {first}")).collect()
    }

    /// Every operation once without a fault: how many calls each lane has. What is wrong even then is told as such.
    fn count_calls(&self) -> BTreeMap<Lane, u64> {
        let lanes = Mutex::new(BTreeMap::new());
        self.two_at_a_time(&Operation::ALL, |operation| {
            let case = Case { operation: *operation, mode: Mode::Once, fault: Fault::NONE, seed: self.seed };
            let outcome = trial::run(self.prepared, case, self.number.fetch_add(1, Ordering::Relaxed));
            if !outcome.wrong.is_empty() || outcome.refused {
                self.complain(format!("{}\n  without any fault: {}", operation.name(), outcome.wrong.join("\n  ")));
            }
            let mut lanes = lanes.lock().expect("no trial panicked");
            for (mode, errno) in Mode::ALL {
                lanes.insert((*operation, errno, mode), outcome.seen.of(mode.class()));
            }
        });
        lanes.into_inner().expect("no trial panicked")
    }

    /// The cases of one operation; `lanes` has the number of calls of each.
    fn choose(&self, lanes: Vec<(Lane, u64)>, effort: Effort) -> Vec<(Lane, u64)> {
        let every = |(lane, calls): (Lane, u64)| (1..=calls).map(move |nth| (lane, nth));
        let Effort::Some(count) = effort else { return lanes.into_iter().flat_map(every).collect() };
        let is_whole = |lane: &Lane, calls: u64| calls <= FEW_CALLS && (lane.1, lane.2) == (Errno::Eio, Mode::Once);
        let (whole, sampled): (Vec<_>, Vec<_>) = lanes.into_iter().partition(|(lane, calls)| is_whole(lane, *calls));
        let mut chosen: Vec<(Lane, u64)> = whole.into_iter().flat_map(every).collect();
        // A lane first, then a call of it: the lanes are of very different lengths.
        let mut left: Vec<Vec<(Lane, u64)>> = sampled.into_iter().map(|lane| every(lane).collect()).collect();
        let mut random = Random::new(self.seed);
        while chosen.len() < count {
            left.retain(|calls| !calls.is_empty());
            if left.is_empty() {
                break;
            }
            let lane = random.below(left.len() as u64) as usize;
            let call = random.below(left[lane].len() as u64) as usize;
            chosen.push(left[lane].swap_remove(call));
        }
        chosen
    }

    /// One fault; true when it was reached.
    fn attempt(&self, lane: Lane, nth: u64) -> bool {
        let (operation, errno, mode) = lane;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let mut random = Random::new(self.seed ^ (nth << 8) ^ (operation as u64) << 4 ^ mode as u64);
        let seed = random.next() >> 20;
        let fault = Fault {
            class: mode.class(),
            nth,
            errno,
            sticky: mode == Mode::Sticky,
            loss: match mode {
                Mode::SyncLost => Loss::All,
                _ => *random.pick(&[Loss::Nothing, Loss::All, Loss::EveryOtherPage]),
            },
            torn: random.chance(50),
            // Who acknowledges anything from a file after a failed sync of it is found to have lost it.
            vanish: mode == Mode::SyncLost || random.chance(50),
            lie: false,
        };
        let outcome = trial::run(self.prepared, Case { operation, mode, fault, seed }, number);
        let reached = outcome.seen.injected > 0;
        self.enter(lane, nth, fault, &outcome);
        reached
    }

    fn enter(&self, lane: Lane, nth: u64, fault: Fault, outcome: &Outcome) {
        let (operation, errno, mode) = lane;
        if !outcome.wrong.is_empty() {
            let Fault { loss, torn, vanish, .. } = fault;
            self.complain(format!(
                "RBACKUP_SEED={} RBACKUP_FAULTS='{}/{}/{}/{nth}'\n  {} (loss {loss:?}, torn {torn}, vanish {vanish})\n  {}",
                self.seed,
                operation.name(),
                errno.name(),
                mode.name(),
                outcome.faults.first().map_or("not reached", String::as_str),
                outcome.wrong.join("\n  ")
            ));
        }
        let mut rows = self.rows.lock().expect("no trial panicked");
        let row = rows.entry(lane).or_default();
        row.calls = row.calls.max(outcome.seen.counted);
        row.runs += 1;
        row.faults += outcome.seen.injected;
        row.refused += u64::from(outcome.refused);
        row.ended += u64::from(outcome.ended);
        row.sled_panics += outcome.sled_panics;
        row.late_writes += outcome.late_writes;
        row.wrong += u64::from(!outcome.wrong.is_empty());
    }

    fn complain(&self, what: String) {
        self.wrong.lock().expect("no trial panicked").push(what);
    }

    fn two_at_a_time<T: Sync>(&self, all: &[T], work: impl Fn(&T) + Sync) {
        let next = AtomicU64::new(0);
        let worker = || {
            while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                work(one);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(worker);
            scope.spawn(worker);
        });
    }

    fn print(&self) {
        eprintln!(
            "{:<27} {:<7} {:<9} {:>6} {:>6} {:>7} {:>8} {:>6} {:>12} {:>12} {:>6}",
            "operation",
            "errno",
            "mode",
            "calls",
            "runs",
            "faults",
            "refused",
            "ended",
            "sled panics",
            "late writes",
            "wrong"
        );
        for ((operation, errno, mode), row) in self.rows.lock().expect("no trial panicked").iter() {
            let Row { calls, runs, faults, refused, ended, sled_panics, late_writes, wrong } = row;
            eprintln!(
                "{:<27} {:<7} {:<9} {calls:>6} {runs:>6} {faults:>7} {refused:>8} {ended:>6} {sled_panics:>12} {late_writes:>12} {wrong:>6}",
                operation.name(),
                errno.name(),
                mode.name(),
            );
        }
    }
}
