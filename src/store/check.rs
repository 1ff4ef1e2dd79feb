//! Re-reads everything and says what is damaged, without any key: every frame carries a hash over header and stored bytes.
//!
//! Promise: every block, every frame that a footer or the open volume lists, and every manifest of every version is read.
//! Where it finds damage is remembered ([`suspects`](super::suspects)), so that content that comes again is whole again. Never changes
//! what it reads; opening the store before it recovers from a crash as every start does.

use std::collections::{BTreeSet, HashMap};

use super::Store;
use super::block;
use super::catalog::FileEntry;
use super::error::Error;
use super::frame::FrameKind;
use super::header::{Ending, Entry};
use super::listed::listed;
use super::manifest;
use super::place::{Address, Place};
use super::records::Root;
use super::repos::{HasRoot, ObjectEntry};
use super::scan::{Until, run};
use crate::model::{ChunkId, ObjectName};

/// What a check found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Volumes read.
    pub volumes: u64,
    /// Frames read, the damaged ones too.
    pub frames: u64,
    /// Chunk frames among them.
    pub chunk_frames: u64,
    /// Record frames among them.
    pub records: u64,
    /// Versions whose manifests were resolved, the removed ones too.
    pub versions: u64,
    /// Objects of restic's repositories whose parts were resolved, the removed ones too.
    pub objects: u64,
    /// Volumes that are lost and that the store goes on without: known, and no damage by themselves.
    pub given_up: Vec<u32>,
    /// Places that do not verify, in words.
    pub damaged_places: Vec<String>,
    /// Versions that cannot be restored whole.
    pub damaged_versions: Vec<DamagedVersion>,
    /// Objects of restic's repositories that cannot be read whole.
    pub damaged_objects: Vec<DamagedObject>,
    /// Chunks and manifests that do not read back.
    pub damaged_chunks: Vec<ChunkId>,
}

/// A version that damage touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedVersion {
    /// The account's id.
    pub account: u64,
    /// The file's id.
    pub file: u64,
    /// The version's id.
    pub version: u64,
    /// The file's name on its device.
    pub path: Vec<u8>,
    /// What is wrong.
    pub reason: String,
}

/// An object of a repository that damage touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedObject {
    /// The account's id; 0 for the local realm.
    pub account: u64,
    /// The repository's name; nothing when it was removed.
    pub repo: Option<String>,
    /// The object.
    pub name: ObjectName,
    /// What is wrong.
    pub reason: String,
}

impl Report {
    /// Whether everything verified.
    pub fn is_clean(&self) -> bool {
        self.damaged_places.is_empty() && self.damaged_versions.is_empty() && self.damaged_objects.is_empty()
    }
}

/// Checks a store that nobody writes to meanwhile.
pub fn check(store: &Store) -> Result<Report, Error> {
    let mut check = Check {
        store,
        report: Report::default(),
        sound: HashMap::new(),
        read: BTreeSet::new(),
        hit: Vec::new(),
        unread: Vec::new(),
    };
    let noted = |number: &u32| store.shared.log.is_noted(*number);
    let (given_up, missing): (Vec<u32>, Vec<u32>) = store.given_up().into_iter().partition(noted);
    check.report.given_up = given_up;
    for number in missing {
        check.report.damaged_places.push(format!("volume {number} is not there"));
    }
    for number in store.shared.log.numbers() {
        check.volume(number)?;
    }
    for file in store.catalog().all_files() {
        check.file(&file?)?;
    }
    check.objects()?;
    store.shared.suspects.checked(&check.read, &check.hit, &check.unread);
    let damaged = check.sound.iter().filter(|(_, problem)| problem.is_some());
    check.report.damaged_chunks = damaged.map(|(id, _)| *id).collect();
    Ok(check.report)
}

struct Check<'a> {
    store: &'a Store,
    report: Report,
    /// What was found at the place of each id: nothing for a sound frame, else what is wrong.
    sound: HashMap<ChunkId, Option<String>>,
    /// Volumes that were read to their end.
    read: BTreeSet<u32>,
    /// Blocks and frames that do not verify.
    hit: Vec<Place>,
    /// Volumes that cannot be read.
    unread: Vec<u32>,
}

impl Check<'_> {
    /// A volume that cannot be read at all is damage like any other: the rest is checked all the same.
    fn volume(&mut self, number: u32) -> Result<(), Error> {
        self.report.volumes += 1;
        match self.blocks(number).and_then(|()| self.frames(number)) {
            Err(error) if error.is_damage() => {
                // A disk that went away is none.
                self.store.shared.home.require()?;
                self.report.damaged_places.push(error.to_string());
                self.unread.push(number);
            }
            Err(error) => return Err(error),
            Ok(()) => drop(self.read.insert(number)),
        }
        Ok(())
    }

    fn frames(&mut self, number: u32) -> Result<(), Error> {
        for entry in self.entries(number)? {
            self.frame(number, &entry)?;
        }
        Ok(())
    }

    /// Verifies every block, and that they end as the next volume says: one that was put back from an older copy does not.
    fn blocks(&mut self, number: u32) -> Result<(), Error> {
        let log = &self.store.shared.log;
        let volume = log.volume(number)?;
        let before = log.header_behind(number).map(|header| header.before);
        let ending = before.map_or(0, |before| before.end.block() + u32::from(before.end.offset() > 0));
        let count = match before {
            // Blocks behind the end that the next volume names were never acknowledged, but for the footer.
            Some(_) if log.own_footer(number).ok().flatten().is_none() => ending,
            _ => volume.last_block()?.map_or(0, |last| last + 1).max(ending),
        };
        let mut running = [0; 32];
        for at in 0..count {
            let sum = match volume.get(at) {
                Ok(found) => found.as_deref().and_then(|block| block::parse(&volume.shape().key, block)),
                Err(error) if error.is_damage() => None,
                Err(error) => return Err(error),
            };
            if sum.is_none() {
                self.report.damaged_places.push(format!("volume {number} block {at} does not verify"));
                self.hit.push(Place { volume: number, address: Address::new(at, 0) });
            }
            if at < ending {
                running = run(running, sum.map_or(0, |(_, sum)| sum));
            }
        }
        if before.is_some_and(|before| before.running != running) {
            self.report.damaged_places.push(format!("volume {number} is not what the next volume says it was"));
        }
        Ok(())
    }

    fn entries(&mut self, number: u32) -> Result<Vec<Entry>, Error> {
        let newest = Until::AtLeast(self.store.opened_at(number));
        let listed = listed(&self.store.shared.log, number, newest)?;
        self.report.damaged_places.extend(listed.damaged);
        Ok(listed.entries)
    }

    fn frame(&mut self, volume: u32, entry: &Entry) -> Result<(), Error> {
        self.report.frames += 1;
        self.report.chunk_frames += u64::from(entry.kind == FrameKind::Chunk);
        self.report.records += u64::from(entry.kind == FrameKind::Record);
        let place = Place { volume, address: entry.address };
        let problem = match self.store.shared.log.read(place) {
            Ok(frame) if Entry::of(&frame.header, entry.address) == *entry => None,
            Ok(_) => Some(format!("another frame than the listed one lies at {place}")),
            Err(error) if error.is_damage() => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        if let Some(problem) = &problem {
            self.report.damaged_places.push(problem.clone());
            self.hit.push(place);
        }
        // The catalog decides which of several frames of an id counts.
        if entry.kind.has_id() && self.store.catalog().place(&entry.id)? == Some(place) {
            self.sound.insert(entry.id, problem);
        }
        Ok(())
    }

    fn file(&mut self, file: &FileEntry) -> Result<(), Error> {
        for entry in &file.versions {
            self.report.versions += 1;
            let Some(reason) = entry.row.root.map(|root| self.root(root)).transpose()?.flatten() else { continue };
            self.report.damaged_versions.push(DamagedVersion {
                account: file.account,
                file: file.file,
                version: entry.version,
                path: file.row.path.clone(),
                reason,
            });
        }
        Ok(())
    }

    fn objects(&mut self) -> Result<(), Error> {
        let catalog = self.store.catalog();
        let mut repos = HashMap::new();
        for repo in catalog.all_repos() {
            let repo = repo?;
            repos.insert((repo.account, repo.row.repo), repo.path);
        }
        for object in catalog.all_objects() {
            self.object(&object?, &repos)?;
        }
        for object in catalog.all_removed_objects() {
            self.object(&object?, &repos)?;
        }
        Ok(())
    }

    fn object<T: HasRoot>(&mut self, it: &ObjectEntry<T>, repos: &HashMap<(u64, u64), String>) -> Result<(), Error> {
        self.report.objects += 1;
        if let Some(reason) = it.row.root().map(|root| self.root(root)).transpose()?.flatten() {
            let repo = repos.get(&(it.account, it.repo)).cloned();
            self.report.damaged_objects.push(DamagedObject { account: it.account, repo, name: it.name, reason });
        }
        Ok(())
    }

    /// What is wrong with the tree below `root`, if anything.
    fn root(&mut self, root: Root) -> Result<Option<String>, Error> {
        let id = ChunkId(root.id);
        match self.sound.get(&id) {
            None => {
                // Its place is worth nothing: a salvage forgets it.
                let lost = self.store.catalog().place(&id)?.filter(|place| !self.store.shared.log.has(place.volume));
                let problem = Some(match lost {
                    Some(place) => format!("chunk {id} was in volume {}, which is not there", place.volume),
                    None => format!("chunk {id} is not in the store"),
                });
                self.sound.insert(id, problem.clone());
                return Ok(problem);
            }
            Some(Some(problem)) => return Ok(Some(problem.clone())),
            Some(None) if root.level == 0 => return Ok(None),
            Some(None) => {}
        }
        let frame = self.store.read(&id)?;
        let mut first = None;
        for child in manifest::parse(&frame.stored)? {
            let problem = self.root(Root { level: root.level - 1, id: child.id.0 })?;
            first = first.or(problem);
        }
        Ok(first)
    }
}

impl Store {
    /// Up to where the log reached when the store was opened, in the volume that is written.
    pub(super) fn opened_at(&self, volume: u32) -> Address {
        let Ending { volume: newest, end, .. } = self.opened.ending;
        if newest == volume { end } else { Address::START }
    }
}
