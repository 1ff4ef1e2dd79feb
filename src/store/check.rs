//! Re-reads everything and says what is damaged, without any key: every frame carries a hash over header and stored bytes.
//!
//! Promise: every block, every frame that a footer or the open volume lists, and every manifest of every version is read.
//! Never changes what it reads; opening the store before it recovers from a crash as every start does.

use std::collections::HashMap;

use super::Store;
use super::block;
use super::catalog::FileEntry;
use super::error::Error;
use super::frame::FrameKind;
use super::header::Entry;
use super::manifest;
use super::place::{Address, Place};
use super::records::Root;
use super::scan::{Until, scan};
use crate::model::ChunkId;

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
    /// Places that do not verify, in words.
    pub damaged_places: Vec<String>,
    /// Versions that cannot be restored whole.
    pub damaged_versions: Vec<DamagedVersion>,
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

impl Report {
    /// Whether everything verified.
    pub fn is_clean(&self) -> bool {
        self.damaged_places.is_empty() && self.damaged_versions.is_empty()
    }
}

/// Checks a store that nobody writes to meanwhile.
pub fn check(store: &Store) -> Result<Report, Error> {
    let mut check = Check { store, report: Report::default(), sound: HashMap::new() };
    let numbers = store.shared.log.numbers();
    for missing in (1..numbers.last().copied().unwrap_or(0)).filter(|number| !numbers.contains(number)) {
        check.report.damaged_places.push(format!("volume {missing} is not there"));
    }
    for number in numbers {
        check.volume(number)?;
    }
    for file in store.catalog().all_files() {
        check.file(&file?)?;
    }
    Ok(check.report)
}

struct Check<'a> {
    store: &'a Store,
    report: Report,
    /// What was found at the place of each id: nothing for a sound frame, else what is wrong.
    sound: HashMap<ChunkId, Option<String>>,
}

impl Check<'_> {
    fn volume(&mut self, number: u32) -> Result<(), Error> {
        self.report.volumes += 1;
        self.blocks(number)?;
        for entry in self.entries(number)? {
            self.frame(number, &entry)?;
        }
        Ok(())
    }

    fn blocks(&mut self, number: u32) -> Result<(), Error> {
        let volume = self.store.shared.log.volume(number)?;
        let count = volume.last_block()?.map_or(0, |last| last + 1);
        for at in 0..count.min(self.block_limit(number)) {
            let whole = match volume.get(at) {
                Ok(found) => found.as_deref().and_then(|block| block::parse(&volume.shape().key, block)).is_some(),
                Err(error) if error.is_damage() => false,
                Err(error) => return Err(error),
            };
            if !whole {
                self.report.damaged_places.push(format!("volume {number} block {at} does not verify"));
            }
            if volume.is_due() {
                volume.close();
            }
        }
        Ok(())
    }

    /// Blocks behind the end that the next volume names were never acknowledged.
    fn block_limit(&self, number: u32) -> u32 {
        let log = &self.store.shared.log;
        match log.header(number + 1) {
            Ok(header) if log.own_footer(number).ok().flatten().is_none() => {
                let end = header.before.end;
                end.block() + u32::from(end.offset() > 0)
            }
            _ => u32::MAX,
        }
    }

    /// The frames a volume should have: from its footer, or by reading it where nobody lists it.
    fn entries(&mut self, number: u32) -> Result<Vec<Entry>, Error> {
        let log = &self.store.shared.log;
        match log.footer(number) {
            Ok(Some(footer)) => return Ok(footer.entries),
            Ok(None) => {}
            Err(error) if error.is_damage() => {
                self.report.damaged_places.push(format!("the footer of volume {number} does not verify"));
            }
            Err(error) => return Err(error),
        }
        let until = match log.header(number + 1) {
            Ok(header) => Until::Exactly(header.before.end),
            Err(_) => Until::AtLeast(self.store.opened_at(number)),
        };
        let mut entries = Vec::new();
        let scanned = scan(log, number, until, |at, frame| {
            entries.push(Entry::of(&frame.header, at));
            Ok(())
        })?;
        for (from, until) in scanned.gaps {
            let (from, until) = (Place { volume: number, address: from }, Place { volume: number, address: until });
            self.report.damaged_places.push(format!("{from} up to {until} does not verify"));
        }
        Ok(entries)
    }

    fn frame(&mut self, volume: u32, entry: &Entry) -> Result<(), Error> {
        self.report.frames += 1;
        self.report.chunk_frames += u64::from(entry.kind == FrameKind::Chunk);
        self.report.records += u64::from(entry.kind == FrameKind::Record);
        let place = Place { volume, address: entry.address };
        let problem = match self.store.shared.log.read(place) {
            Ok(frame) if Entry::of(&frame.header, entry.address) == *entry => None,
            Ok(_) => Some(format!("another frame than the listed one lies at {place}")),
            Err(error @ (Error::BadFrame { .. } | Error::Sled { .. } | Error::Damaged { .. })) => {
                Some(error.to_string())
            }
            Err(error) => return Err(error),
        };
        if let Some(problem) = &problem {
            self.report.damaged_places.push(problem.clone());
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

    /// What is wrong with the tree below `root`, if anything.
    fn root(&mut self, root: Root) -> Result<Option<String>, Error> {
        let id = ChunkId(root.id);
        match self.sound.get(&id) {
            None => return Ok(Some(format!("chunk {id} is not in the store"))),
            Some(Some(problem)) => return Ok(Some(problem.clone())),
            Some(None) if root.level == 0 => return Ok(None),
            Some(None) => {}
        }
        let frame = self.store.read(&id)?;
        for child in manifest::parse(&frame.stored)? {
            let child = Root { level: root.level - 1, id: child.id.0 };
            if let Some(problem) = self.root(child)? {
                return Ok(Some(problem));
            }
        }
        Ok(None)
    }
}

impl Store {
    /// Up to where the log reached when the store was opened, in the volume that is written.
    fn opened_at(&self, volume: u32) -> Address {
        if self.opened.volume == volume { self.opened.end } else { Address::START }
    }
}
