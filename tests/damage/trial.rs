//! One damage on trial: a copy of the store is damaged, opened, looked at, written to, closed and opened again, and held
//! against what the store had promised. It says everything that is wrong, not the first thing.

use super::image::Image;
use super::layout::{Hit, Layout};
use super::look::{Fate, Look, fate};
use super::naming;
use super::oracle::{End, Oracle, Truth};
use super::panics;
use super::plan::Trial;
use super::shape::Shape;
use super::visitor::{self, chain};
use crate::kit::random::Content;
use rbackup::service::Services;
use rbackup::store;
use serde::{Deserialize, Serialize};
use sha2::Digest;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a catalog that is damaged may take until it is rebuilt.
const A_MOMENT: Duration = Duration::from_secs(10);

/// What came of a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Everything is right, as if nothing had happened.
    Healed,
    /// Something is lost, and the store says so.
    Errors,
    /// The store does not open, and says why.
    Refused,
    /// The store says something that is not so, says nothing of a loss, or does not behave.
    Wrong,
}

/// What came of a trial, with the evidence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// What is wrong.
    pub complaints: Vec<String>,
    /// The first error that the store gave, if it gave any.
    pub said: Option<String>,
    /// Removed versions that are back because the only record of their removal is destroyed, which `check` says.
    pub back: u64,
    /// Versions lost, and removals forgotten, of which a killed store has no trace left.
    pub traceless: u64,
    /// Whether the catalog had to be rebuilt while it was used.
    pub mended: bool,
    /// How long it took.
    pub ms: u64,
}

impl Verdict {
    /// A trial that ended its process, or that had to be ended.
    pub fn died(how: String, ms: u64) -> Verdict {
        Verdict { outcome: Outcome::Wrong, complaints: vec![how], said: None, back: 0, traceless: 0, mended: false, ms }
    }
}

/// Runs one trial in `scratch`, a path that does not exist yet.
pub fn run(shape: &Shape, layout: &Layout, trial: &Trial, scratch: &Path) -> Verdict {
    let damaged = trial.harm.done_to(shape);
    let hit = layout.hit(shape, &damaged);
    // Signing in costs more than all the rest: some do it.
    let login = sha2::Sha256::digest(format!("{:?}", trial.harm))[0] % 16 == 0;
    judge(&Case { shape, layout, damaged: &damaged, hit: &hit, login }, &shape.oracle, scratch)
}

/// A damaged directory before the judge.
pub struct Case<'a> {
    /// The store it was.
    pub shape: &'a Shape,
    /// Where its bytes were.
    pub layout: &'a Layout,
    /// The directory.
    pub damaged: &'a Image,
    /// What was hit.
    pub hit: &'a Hit,
    /// Whether everybody signs in anew.
    pub login: bool,
}

/// Opens a damaged directory and holds what it shows against `oracle`.
pub fn judge(case: &Case, oracle: &Oracle, scratch: &Path) -> Verdict {
    let begun = Instant::now();
    case.damaged.write(scratch);
    let mut hearing = Hearing {
        oracle: oracle.clone(),
        hit: case.hit,
        expected: BTreeSet::new(),
        complaints: Vec::new(),
        said: None,
        back: BTreeSet::new(),
        traceless: BTreeSet::new(),
        mended: false,
        lost: false,
        without: Vec::new(),
        skipped: Vec::new(),
    };
    panics::forget();
    let outcome = match visitor::open(scratch) {
        // Whole volumes are gone: it is asked about, and then everything else must go on.
        Err(error @ store::Error::Lost { .. }) => {
            hearing.refused(&chain(&error));
            hearing.nothing_is_destroyed(case, scratch);
            hearing.without_lost(&error, case, scratch);
            Outcome::Errors
        }
        Err(error) => {
            hearing.refused(&chain(&error));
            hearing.nothing_is_destroyed(case, scratch);
            hearing.undone(case, scratch);
            Outcome::Refused
        }
        Ok(services) => {
            hearing.first_day(services, case.login);
            hearing.second_day(scratch);
            hearing.nothing_is_destroyed(case, scratch);
            if hearing.lost { Outcome::Errors } else { Outcome::Healed }
        }
    };
    hearing.complaints.extend(panics::our_own());
    let _ = std::fs::remove_dir_all(scratch);
    let outcome = if hearing.complaints.is_empty() { outcome } else { Outcome::Wrong };
    let ms = begun.elapsed().as_millis() as u64;
    let Hearing { complaints, said, back, traceless, mended, .. } = hearing;
    Verdict { outcome, complaints, said, back: back.len() as u64, traceless: traceless.len() as u64, mended, ms }
}

struct Hearing<'a> {
    oracle: Oracle,
    hit: &'a Hit,
    /// Versions that must be right the next day.
    expected: BTreeSet<u64>,
    complaints: Vec<String>,
    said: Option<String>,
    back: BTreeSet<u64>,
    traceless: BTreeSet<u64>,
    mended: bool,
    lost: bool,
    /// Volumes that were given up.
    without: Vec<u32>,
    /// Version ids that may have been given in them, as the store says.
    skipped: Vec<Range<u64>>,
}

impl Hearing<'_> {
    fn refused(&mut self, error: &str) {
        self.said = Some(error.to_owned());
        if !self.hit.blocks && !self.hit.format {
            self.complain(format!("no block is hit, and the start is refused: {error}"));
        }
    }

    /// Whatever a start makes of a damage, it deletes no block that was there.
    fn nothing_is_destroyed(&mut self, case: &Case, data: &Path) {
        let destroyed = case.layout.destroyed(case.damaged, &Image::read(data));
        let acknowledged =
            |(volume, block): &(u32, u32)| !self.hit.has_no_trace_of(End { volume: *volume, block: *block });
        let destroyed: Vec<_> = destroyed.into_iter().filter(acknowledged).collect();
        if !destroyed.is_empty() {
            self.complain(format!("blocks that were whole are gone from the disk: {destroyed:?}"));
        }
    }

    /// A start that is refused does no harm: with what was damaged put back, everything is right.
    fn undone(&mut self, case: &Case, data: &Path) {
        let changed = case.shape.now.differing(case.damaged);
        let parts: BTreeSet<&str> = changed.iter().map(|path| part(path)).collect();
        parts.iter().for_each(|path| case.shape.now.restore(data, path));
        let live = self.oracle.versions.iter().filter(|(_, truth)| truth.removed.is_none());
        self.expected = live.map(|(id, _)| *id).collect();
        self.second_day(data);
    }

    /// The owner says that the volumes are lost: all the rest is there, and what is not is named.
    fn without_lost(&mut self, error: &store::Error, case: &Case, data: &Path) {
        let store::Error::Lost { volumes } = error else { return };
        match visitor::go_on_without(data, volumes) {
            Err(error) => self.complain(format!("it does not go on without volumes {volumes:?}: {}", chain(&error))),
            Ok((services, skipped)) => {
                (self.without, self.skipped) = (volumes.clone(), skipped);
                self.first_day(services, case.login);
                self.second_day(data);
                self.nothing_is_destroyed(case, data);
            }
        }
    }

    /// Whether the store has said that it may be lost with a volume, and no catalog knew it.
    fn lost_with_a_volume(&self, end: End) -> bool {
        self.without.contains(&end.volume) && end > self.oracle.settled
    }

    fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    fn note(&mut self, error: &str) {
        self.lost = true;
        self.said.get_or_insert_with(|| error.to_owned());
    }

    fn first_day(&mut self, services: Services, login: bool) {
        let look = self.look(&services, login);
        self.compare(&look);
        self.complaints.extend(naming::complaints(&look, self.hit, &self.without));
        self.write(&services, &look);
        if let Err(error) = services.close() {
            let error = chain(&error);
            self.note(&error);
            if !self.hit.blocks {
                self.complain(format!("no block is hit, and the store does not close: {error}"));
            }
        }
        drop(services);
        // What was read once must be there the next day too.
        self.expected.extend(look.right());
    }

    /// Looks until no answer is that it will do in a moment.
    fn look(&mut self, services: &Services, login: bool) -> Look {
        let begun = Instant::now();
        loop {
            let mut look = Look::at(services, &self.oracle, login);
            look.check(services);
            self.complaints.append(&mut look.contradictions);
            if !look.is_mending() || begun.elapsed() > A_MOMENT {
                return look;
            }
            self.mended = true;
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn compare(&mut self, look: &Look) {
        let clean = matches!(&look.check, Some(Ok(checked)) if checked.is_clean());
        for (name, account) in &look.accounts {
            if let Some((denied, error)) = &account.refused {
                self.note(error);
                if *denied && clean && self.without.is_empty() {
                    self.complain(format!("{name} is unknown now, and `check` says that all is well: {error}"));
                }
            }
            if let Some(error) = &account.list_failed {
                self.note(error);
            }
            if !account.sessions_refused.is_empty() {
                self.note("a session is no longer valid");
            }
        }
        for (id, truth) in self.oracle.versions.clone() {
            self.version(look, id, &truth, clean);
        }
        // A volume that sled refuses is worth a word even where its blocks are all there.
        let calm = matches!(&look.check, Some(Ok(checked)) if checked.is_clean());
        if !self.hit.blocks && self.without.is_empty() && (self.lost || !calm) {
            let said = self.said.clone().unwrap_or_default();
            self.complain(format!("no block is hit, and not all is right: {said}; check: {:?}", look.check));
        }
    }

    fn version(&mut self, look: &Look, id: u64, truth: &Truth, clean: bool) {
        let listed = look.listed.contains(&id);
        let list_failed = look.accounts[&truth.account].list_failed.is_some();
        let Some(fate) = look.fates.get(&id) else { return };
        match fate {
            Fate::Wrong(what) => return self.complain(format!("version {id} {}: {what}", truth.path)),
            Fate::Failed(error) => self.note(error),
            Fate::Right | Fate::NotFound => {}
        }
        match (truth.removed, listed, fate) {
            (Some(removed), ..) if listed || *fate == Fate::Right => self.back(id, removed, clean),
            (Some(_), ..) | (None, true, Fate::Right) => {}
            (None, true, Fate::NotFound) => self.complain(format!("version {id} is listed and not found")),
            (None, true, _) => {
                let named = matches!(&look.check, Some(Ok(checked)) if checked.versions.contains(&id));
                if !named {
                    self.complain(format!("version {id} cannot be read, and `check` does not name it: {fate:?}"));
                }
            }
            (None, false, Fate::NotFound) if self.hit.has_no_trace_of(truth.acknowledged) => {
                self.note("a version is gone without a trace");
                self.traceless.insert(id);
            }
            (None, false, Fate::NotFound) if self.skipped.iter().any(|ids| ids.contains(&id)) => {
                self.note("a version was in a lost volume, which the store says");
                self.traceless.insert(id);
            }
            (None, false, _) => {
                self.note("a version is not listed");
                if !list_failed && (clean || *fate == Fate::Right) {
                    let path = &truth.path;
                    self.complain(format!("version {id} {path} is not listed: {fate:?}, check is clean: {clean}"));
                }
            }
        }
    }

    /// A removal is forgotten: that can be helped as long as there is a record of it.
    fn back(&mut self, id: u64, removed: End, clean: bool) {
        self.note("a removal is forgotten");
        let traceless = self.hit.has_no_trace_of(removed) || self.lost_with_a_volume(removed);
        let known = removed <= self.oracle.settled;
        if !traceless && (known || clean || !self.hit.blocks) {
            self.complain(format!("removed version {id} is back, the catalog knew: {known}, check is clean: {clean}"));
        }
        if traceless {
            self.traceless.insert(id)
        } else {
            self.back.insert(id)
        };
    }

    /// Sends something new: it is refused, or it is there from now on under an id of its own.
    fn write(&mut self, services: &Services, look: &Look) {
        let with = look.accounts.iter().find_map(|(name, account)| Some((name, account.session.as_ref()?)));
        let Some((name, session)) = with else { return };
        let (seed, size) = (77, 9000);
        let content = Content { seed, size, text: false, inserted: Vec::new() }.bytes();
        let path = "/sent/after the damage".to_owned();
        match visitor::upload(services, session, &path, &content) {
            Ok((id, file)) => {
                let again = self.oracle.versions.get(&id).is_none_or(|old| !self.hit.has_no_trace_of(old.acknowledged));
                if id <= self.oracle.newest() && again {
                    self.complain(format!("version id {id} was given twice; the newest was {}", self.oracle.newest()));
                }
                let (account, device) = (name.clone(), session.device().expect("a device").to_string());
                let sha256 = visitor::sha256(&content).to_string();
                let (size, text) = (size as u64, false);
                let truth = Truth {
                    account,
                    device,
                    file,
                    path,
                    size,
                    sha256,
                    seed,
                    text,
                    acknowledged: End::default(),
                    removed: None,
                };
                if fate(services, session, id, &truth) != Fate::Right {
                    self.complain(format!("version {id} was just acknowledged and is not right"));
                }
                self.oracle.versions.insert(id, truth);
                self.expected.insert(id);
            }
            Err(error) => {
                let error = chain(&error);
                self.note(&error);
                if !self.hit.blocks {
                    self.complain(format!("no block is hit, and an upload is refused: {error}"));
                }
            }
        }
    }

    fn second_day(&mut self, data: &Path) {
        let services = match visitor::open(data) {
            Ok(services) => services,
            Err(error) => return self.complain(format!("it does not open the next day: {}", chain(&error))),
        };
        let look = Look::at(&services, &self.oracle, false);
        self.complaints.extend(look.contradictions.iter().map(|what| format!("the next day: {what}")));
        for id in std::mem::take(&mut self.expected) {
            let removed = self.oracle.versions[&id].removed.is_some();
            let fate = look.fates.get(&id);
            if !removed && fate != Some(&Fate::Right) {
                self.complain(format!("version {id} is not right the next day: {fate:?}"));
            }
        }
        let known = |id: &u64| self.back.contains(id) || self.traceless.contains(id);
        let removed = self.oracle.versions.iter().filter(|(_, truth)| truth.removed.is_some()).map(|(id, _)| *id);
        let back: Vec<u64> = removed.filter(|id| look.listed.contains(id) && !known(id)).collect();
        if !back.is_empty() {
            self.complain(format!("removed versions {back:?} are back the next day"));
        }
        drop(services);
    }
}

/// What somebody would put back who has a copy: a volume, the catalog, a file.
fn part(path: &str) -> &str {
    match path.strip_prefix("volumes/") {
        Some(rest) => &path[.."volumes/".len() + rest.find('/').unwrap_or(rest.len())],
        None => path.split('/').next().unwrap_or(path),
    }
}
