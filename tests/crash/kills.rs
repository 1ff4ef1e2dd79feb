//! Kills of what does not serve yet: a start, and a rebuild of the catalog, each at a moment that chance chooses.
//!
//! How long a rebuild takes grows with the store, so the moments are chosen from what an earlier one took: most of them
//! strike one that is still at work, anywhere in it. What they hit is counted, and a run that hit nothing is no proof.

use crate::kit::ledger::{Fate, Ledger};
use crate::kit::random::Random;
use crate::kit::server::Start;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A rebuild that takes longer hangs.
const REBUILD_LIMIT: Duration = Duration::from_secs(60);

/// Kills so far.
pub struct Kills {
    starting: u64,
    rebuilding: u64,
    rebuilt: u64,
    /// Volumes that were full and followed by another one in lives that were killed.
    turnovers: u64,
    /// Removals and sign-ins that were acknowledged, of all stores.
    removals: u64,
    logins: u64,
    /// What the last rebuild that came to its end took, on this store.
    rebuild_takes: Option<Duration>,
}

impl Kills {
    /// None yet.
    pub fn new() -> Kills {
        Kills { starting: 0, rebuilding: 0, rebuilt: 0, turnovers: 0, removals: 0, logins: 0, rebuild_takes: None }
    }

    /// Another store begins, and its rebuilds are short again.
    pub fn new_store(&mut self) {
        self.rebuild_takes = None;
    }

    /// Sometimes a start is not allowed to finish; often so after a rebuild that was not.
    pub fn while_starting(&mut self, data: &Path, random: &mut Random, percent: u64) {
        while random.chance(percent) {
            let starting = Start::on(data).spawn();
            let most = if random.chance(50) { 20_000 } else { 200_000 };
            std::thread::sleep(Duration::from_micros(random.below(most)));
            starting.kill();
            self.starting += 1;
        }
    }

    /// Sometimes the catalog is made anew from the volumes, mostly not to the end: true when one was killed. Whatever is
    /// left of it, the next start has to make a whole catalog.
    pub fn while_rebuilding(&mut self, data: &Path, random: &mut Random) -> bool {
        let before = self.rebuilding;
        while random.chance(30) {
            let limit = match self.rebuild_takes {
                // A little beyond its end, for it takes longer each time.
                Some(takes) => Duration::from_micros(random.below(takes.as_micros() as u64 * 6 / 5)),
                None => REBUILD_LIMIT,
            };
            let begun = Instant::now();
            match Start::on(data).run_for(&["rebuild"], limit) {
                None if self.rebuild_takes.is_none() => unreachable!("a rebuild did not end within {limit:?}"),
                None => self.rebuilding += 1,
                Some(ended) => {
                    assert!(ended.success(), "a rebuild ended with {ended}; its log is beside {}", data.display());
                    self.rebuilt += 1;
                    self.rebuild_takes = Some(begun.elapsed());
                }
            }
        }
        self.rebuilding > before
    }

    /// A life with small volumes has begun so many.
    pub fn saw_volumes(&mut self, begun: u64) {
        self.turnovers += begun.saturating_sub(1);
    }

    /// What a store was asked for in its lives, besides uploads.
    pub fn saw(&mut self, ledger: &Ledger) {
        self.removals += ledger.versions.values().filter(|version| version.fate == Fate::Removed).count() as u64;
        self.logins += ledger.devices.values().filter(|device| device.session.is_some()).count() as u64;
    }

    /// Did so many rounds hit what they were to hit?
    pub fn struck(&self, rounds: u64) -> Result<(), String> {
        let killed = self.starting > 0 && self.rebuilding > 0 && self.turnovers >= rounds / 5;
        if rounds < 50 || (killed && self.removals > 0 && self.logins > 0) {
            return Ok(());
        }
        Err(format!(
            "{rounds} rounds, and something was never killed, or never asked for, or too few volumes got full: {self}"
        ))
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kills { starting, rebuilding, rebuilt, turnovers, removals, logins, .. } = self;
        write!(
            out,
            "{starting} kills of a start, {rebuilding} of a rebuild, {rebuilt} rebuilds that were faster, {turnovers} volumes full, \
             {removals} versions removed, {logins} devices signed in"
        )
    }
}
