//! What the server has promised: every acknowledged change, and every change under way when the lights went out.
//!
//! The rules it holds a server to after a crash:
//! - an acknowledged version is listed with its hash; an acknowledged removal stays;
//! - what was under way is there completely or not at all, and nothing else is there;
//! - version ids are 1, 2, 3 … without a gap and none is given twice; a path keeps its file id for ever.

use super::api::Listed;
use super::objects::Objects;
use std::collections::{BTreeMap, BTreeSet};

/// Every account's password: the harness is not about passwords.
pub const PASSWORD: &str = "correct horse battery staple";

/// A version's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged.
    Live,
    /// A removal was under way; all versions of one removal go together.
    Leaving(u64),
    /// The removal was acknowledged.
    Removed,
}

/// One acknowledged (or, after a crash, surfaced) version.
#[derive(Clone, Debug)]
pub struct Version {
    /// Device and path.
    pub file: (String, String),
    /// Length.
    pub size: u64,
    /// SHA-256.
    pub hash: String,
    /// Is it there?
    pub fate: Fate,
}

/// An upload that was sent and not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Device and path.
    pub file: (String, String),
    /// Length.
    pub size: u64,
    /// SHA-256.
    pub hash: String,
}

/// A device's sign-in.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its account.
    pub account: String,
    /// The last acknowledged session.
    pub session: Option<String>,
    /// A login was sent and not answered: the session may have been replaced.
    pub unsure: bool,
}

/// The whole of it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Accounts whose registration was acknowledged.
    pub accounts: BTreeSet<String>,
    /// By device name (the harness gives each name to one account only).
    pub devices: BTreeMap<String, Device>,
    /// By version id.
    pub versions: BTreeMap<u64, Version>,
    /// restic's objects.
    pub objects: Objects,
    /// Uploads under way.
    pub in_flight: Vec<Claim>,
    /// What was seen to be wrong while the server ran.
    pub complaints: Vec<String>,
    file_ids: BTreeMap<(String, String), u64>,
    removals: u64,
}

impl Ledger {
    /// A device of an account, not signed in yet.
    pub fn add_device(&mut self, name: &str, account: &str) {
        self.devices.insert(name.into(), Device { account: account.into(), session: None, unsure: false });
    }

    /// The highest id anybody has seen.
    pub fn highest(&self) -> u64 {
        self.versions.keys().next_back().copied().unwrap_or(0)
    }

    /// An upload is about to be sent.
    pub fn sending(&mut self, claim: Claim) {
        self.in_flight.push(claim);
    }

    /// An upload was refused, or answered: it is no longer under way.
    pub fn no_longer_sending(&mut self, claim: &Claim) {
        if let Some(at) = self.in_flight.iter().position(|other| other == claim) {
            self.in_flight.swap_remove(at);
        }
    }

    /// An upload was acknowledged; `floor` is the highest id seen before it was sent.
    pub fn acknowledged(&mut self, claim: &Claim, answer: &Listed, floor: u64) {
        self.no_longer_sending(claim);
        if answer.version <= floor {
            self.complaints.push(format!("id {} was given after {floor} had been given", answer.version));
        }
        if (&claim.hash, claim.size) != (&answer.hash, answer.size) {
            self.complaints.push(format!("the answer to {claim:?} describes another content: {answer:?}"));
        }
        self.enter(claim, answer);
    }

    /// A removal is about to be sent.
    pub fn removing(&mut self, versions: &[u64]) {
        self.removals += 1;
        self.set_fate(versions, Fate::Leaving(self.removals));
    }

    /// A removal was acknowledged.
    pub fn removed(&mut self, versions: &[u64]) {
        self.set_fate(versions, Fate::Removed);
    }

    /// A removal was refused.
    pub fn kept(&mut self, versions: &[u64]) {
        self.set_fate(versions, Fate::Live);
    }

    /// What was acknowledged since `before` may be there or not: a sync was under way when its disk failed.
    pub fn doubt_since(&mut self, before: &Ledger) {
        self.objects.doubt_since(&before.objects);
        self.file_ids.clone_from(&before.file_ids);
        // What a lying disk dropped is damage, and rightly called so.
        let late = self.complaints.split_off(before.complaints.len().min(self.complaints.len()));
        self.complaints.extend(late.into_iter().filter(|complaint| !complaint.contains("\"code\":\"damaged\"")));
        let young: Vec<u64> = self.versions.keys().copied().filter(|id| !before.versions.contains_key(id)).collect();
        for version in young.into_iter().filter_map(|id| self.versions.remove(&id)) {
            self.in_flight.push(Claim { file: version.file, size: version.size, hash: version.hash });
        }
        for (id, version) in &mut self.versions {
            if version.fate != before.versions[id].fate {
                self.removals += 1;
                version.fate = Fate::Leaving(self.removals);
            }
        }
        for (name, device) in &mut self.devices {
            device.unsure |= before.devices.get(name).is_none_or(|older| older.session != device.session);
        }
    }

    /// The versions of one file that are there.
    pub fn live_of(&self, device: &str) -> Vec<u64> {
        let live = self.versions.iter().filter(|(_, version)| version.file.0 == device && version.fate == Fate::Live);
        live.map(|(id, _)| *id).collect()
    }

    /// The live versions of the file this version belongs to, and the file's id.
    pub fn file_of(&self, version: u64) -> (u64, Vec<u64>) {
        let file = &self.versions[&version].file;
        let all = self.versions.iter().filter(|(_, other)| other.file == *file && other.fate == Fate::Live);
        (self.file_ids[file], all.map(|(id, _)| *id).collect())
    }

    /// Holds a listing (all accounts together) against the ledger, and settles what was under way by it.
    pub fn settle(&mut self, listed: &[Listed]) -> Vec<String> {
        let mut wrong = std::mem::take(&mut self.complaints);
        let ids: BTreeSet<u64> = listed.iter().map(|one| one.version).collect();
        if ids.len() != listed.len() {
            wrong.push("an id is listed twice".into());
        }
        for one in listed {
            wrong.extend(self.explain(one));
        }
        wrong.extend(self.settle_removals(&ids));
        for (id, version) in &self.versions {
            if version.fate == Fate::Live && !ids.contains(id) {
                wrong.push(format!("acknowledged version {id} {:?} is not listed", version.file));
            }
        }
        self.in_flight.clear();
        wrong.extend(self.gaps());
        wrong.append(&mut self.complaints);
        wrong
    }

    /// Is this listed version one that may be there?
    fn explain(&mut self, one: &Listed) -> Option<String> {
        let file = (one.device.clone(), one.path.clone());
        let claim = Claim { file, size: one.size, hash: one.hash.clone() };
        match self.versions.get(&one.version) {
            Some(known) if known.fate == Fate::Removed => Some(format!("removed version {} is back", one.version)),
            Some(known) if (&known.file, known.size, &known.hash) != (&claim.file, claim.size, &claim.hash) => {
                Some(format!("version {} was {known:?} and is listed as {one:?}", one.version))
            }
            Some(_) => None,
            None if self.in_flight.contains(&claim) => {
                self.no_longer_sending(&claim);
                self.enter(&claim, one);
                None
            }
            None => Some(format!("{one:?} is listed and was never sent, or not as it is listed")),
        }
    }

    fn settle_removals(&mut self, ids: &BTreeSet<u64>) -> Vec<String> {
        let mut outcome: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
        for (id, version) in &mut self.versions {
            if let Fate::Leaving(removal) = version.fate {
                let (there, gone) = outcome.entry(removal).or_default();
                let is_there = ids.contains(id);
                *(if is_there { there } else { gone }) += 1;
                version.fate = if is_there { Fate::Live } else { Fate::Removed };
            }
        }
        let torn = outcome.values().filter(|(there, gone)| *there > 0 && *gone > 0);
        torn.map(|(there, gone)| format!("a removal is half done: {gone} versions gone, {there} still there")).collect()
    }

    fn gaps(&self) -> Vec<String> {
        let missing: Vec<u64> = (1..=self.highest()).filter(|id| !self.versions.contains_key(id)).collect();
        if missing.is_empty() { Vec::new() } else { vec![format!("ids {missing:?} were never given: a gap")] }
    }

    fn enter(&mut self, claim: &Claim, answer: &Listed) {
        let version =
            Version { file: claim.file.clone(), size: claim.size, hash: claim.hash.clone(), fate: Fate::Live };
        if let Some(before) = self.versions.insert(answer.version, version) {
            self.complaints.push(format!("id {} was given twice: before to {before:?}", answer.version));
        }
        let id = *self.file_ids.entry(claim.file.clone()).or_insert(answer.file);
        if id != answer.file {
            self.complaints.push(format!("{:?} had file id {id} and now has {}", claim.file, answer.file));
        }
    }

    fn set_fate(&mut self, versions: &[u64], fate: Fate) {
        for id in versions {
            self.versions.get_mut(id).expect("a version of the ledger").fate = fate;
        }
    }
}
