//! The catalog anew from the volumes, and what becomes of a store that has lost volumes for good.
//!
//! Promise: without a word about each volume that is missing nothing is changed. What a surviving catalog knows of a lost volume is
//! written into the log again before the loss is noted, so no later rebuild loses it. Never: gives an id of a lost volume again.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::aside::{restore_catalog, set_catalog_aside};
use super::error::Error;
use super::frame::FrameKind;
use super::gaps::Gaps;
use super::kept::Difference;
use super::listed::listed;
use super::log::Log;
use super::operation::Operation;
use super::place::{Address, Place};
use super::records::Record;
use super::replay::Replay;
use super::rows::Rows;
use super::scan::Until;
use super::{Options, Store, format_file};

/// The catalog that the volumes alone give, for as long as it is compared with the one that is there.
const COMPARED: &str = "catalog.compared";

/// Volumes in a row that are lost for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Their numbers.
    pub volumes: Vec<u32>,
    /// The version ids that were given in them, or may have been.
    pub versions: Range<u64>,
}

impl Store {
    /// Opens the store with a catalog made anew from the volumes alone. The one there was comes back when that fails.
    pub fn rebuild(dir: &Path, options: Options) -> Result<Self, Error> {
        {
            let _lock = format_file::lock(dir)?;
            set_catalog_aside(dir)?;
        }
        let rebuilt = Self::open(dir, options);
        if rebuilt.is_err() {
            restore_catalog(dir)?;
        }
        rebuilt
    }

    /// Opens the store and goes on without `volumes`, which must be all that are missing. A catalog that is whole stays, since
    /// it alone knows what they held; with how many versions it knew that no volume has.
    pub fn rebuild_without(dir: &Path, options: Options, volumes: &[u32]) -> Result<(Self, u64), Error> {
        let store = Self::open_over(dir, options, &Gaps::GiveUp(volumes.to_vec()))?;
        let kept = store.keep_what_is_known()?;
        volumes.iter().try_for_each(|number| store.shared.log.note_lost(*number))?;
        Ok((store, kept))
    }

    /// The volumes that were given up, those in a row together.
    pub fn given_up_versions(&self) -> Result<Vec<GivenUp>, Error> {
        let mut groups: Vec<GivenUp> = Vec::new();
        for number in self.given_up() {
            match groups.last_mut() {
                Some(group) if group.volumes.last() == Some(&(number - 1)) => group.volumes.push(number),
                _ => groups.push(GivenUp { volumes: vec![number], versions: 0..0 }),
            }
        }
        for group in &mut groups {
            let (Some(first), Some(last)) = (group.volumes.first(), group.volumes.last()) else { continue };
            group.versions = self.next_version_before(*first)?..self.next_version_behind(*last);
        }
        Ok(groups)
    }

    /// Commits what the catalog knows and the volumes do not; returns how many versions that were.
    fn keep_what_is_known(&self) -> Result<u64, Error> {
        let scratch = self.dir.join(COMPARED);
        remove(&scratch)?;
        let rows = Arc::new(Rows::open(&scratch, self.shared.log.shape())?.0);
        let ending = self.opened.ending;
        let replay = Replay::of(&self.shared.log, &rows, self.opened.store);
        if ending.volume > 0 {
            replay.replay_closed(ending.volume, None)?;
            replay.replay_newest(ending.volume, Until::Exactly(ending.end), None)?;
        }
        let (mut difference, mut versions) = (Difference::between(&self.shared.rows, &rows), 0);
        while let Some(kept) = difference.some()? {
            versions += kept.versions();
            self.commit(Operation::KeepRows(kept))?;
        }
        drop((difference, rows));
        remove(&scratch)?;
        Ok(versions)
    }

    /// The version id that was free when volume `number` was begun, as the volume before it says.
    fn next_version_before(&self, number: u32) -> Result<u64, Error> {
        let log = &self.shared.log;
        let Some(before) = log.numbers().into_iter().rfind(|there| *there < number) else { return Ok(1) };
        let begun = log.header(before).map_or(1, |header| header.counters.version);
        Ok(begun.max(next_version_in(log, before)?))
    }

    /// The version id that was free behind volume `number`.
    fn next_version_behind(&self, number: u32) -> u64 {
        let next = self.shared.log.next_there(number).and_then(|next| self.shared.log.header(next).ok());
        next.map_or(self.opened.counters, |header| header.counters).version
    }
}

fn next_version_in(log: &Log, number: u32) -> Result<u64, Error> {
    let mut next = 1;
    let listed = listed(log, number, Until::AtLeast(Address::START))?;
    for entry in listed.entries.iter().filter(|entry| entry.kind == FrameKind::Record) {
        let read = log.read(Place { volume: number, address: entry.address });
        if let Ok(record) = read.and_then(|frame| Record::parse(&frame.stored)) {
            next = next.max(record.counters(entry.seq).version);
        }
    }
    Ok(next)
}

fn remove(scratch: &Path) -> Result<(), Error> {
    if scratch.exists() { fs::remove_dir_all(scratch).map_err(|e| Error::io(scratch, e)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{FrameHeader, FrameKind};
    use super::super::volume_dir::DB_FILE;
    use super::*;
    use crate::model::ChunkId;
    use crate::store::{NewFrame, RepoOperation, VolumeLimits};

    fn options() -> Options {
        let volume = VolumeLimits { payload_bytes: 300_000, blocks: 200, frames: 200, record_bytes: 8_000 };
        Options { volume, ballast_bytes: Some(0), ..Options::DEFAULT }
    }

    fn bytes(n: u64) -> Vec<u8> {
        let mut stored = vec![0; 9000];
        blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut stored);
        stored
    }

    /// Three volumes, two of them sealed; gives the places of all frames.
    fn filled(dir: &Path) -> Vec<(ChunkId, Place)> {
        let store = Store::open(dir, options()).expect("opened");
        let ids: Vec<ChunkId> = (0..80).map(|n| ChunkId(*blake3::hash(&bytes(n)).as_bytes())).collect();
        for (n, id) in ids.iter().enumerate() {
            let (stored, raw_len) = (bytes(n as u64), 9000);
            let header =
                FrameHeader { kind: FrameKind::Part, flags: 0, stored_len: 0, raw_len, account: 1, seq: 0, id: *id };
            store.draft().append(NewFrame { header, stored }).expect("sent");
            let create = RepoOperation::Create { account: 1, path: format!("r{n}"), at: 1 };
            store.commit(Operation::Repo(create)).expect("synced");
        }
        let place = |id: &ChunkId| (*id, store.catalog().place(id).expect("read").expect("a place"));
        let places: Vec<_> = ids.iter().map(place).collect();
        store.close().expect("closed");
        assert!(places.last().expect("some").1.volume > 2, "too few volumes");
        places
    }

    /// Changes a byte in the middle of where `wanted` is in the first volume's file.
    fn flip(dir: &Path, wanted: &[u8]) {
        let path = dir.join("volumes/00000001").join(DB_FILE);
        let mut file = fs::read(&path).expect("read");
        let at = file.windows(wanted.len()).position(|window| window == wanted).expect("it is there");
        file[at + wanted.len() / 2] ^= 1;
        fs::write(&path, file).expect("written");
    }

    /// Footers say where everything is: a rebuild that reads them alone meets no damage of what lies between.
    #[test]
    fn a_rebuild_reads_the_footers_of_sealed_volumes_and_nothing_else_of_them() {
        let home = tempfile::tempdir().expect("a directory");
        let places = filled(home.path());
        flip(home.path(), &bytes(3)[..64]);
        let rebuilt = Store::rebuild(home.path(), options()).expect("rebuilt");
        assert_eq!(rebuilt.damage(), [""; 0], "somebody read what a footer repeats");
        for (id, place) in &places {
            assert_eq!(rebuilt.catalog().place(id).expect("read"), Some(*place));
        }
        let damaged = rebuilt.check().expect("checked").damaged_chunks;
        assert_eq!(damaged, [places[3].0], "what reads everything meets it");
    }

    /// Planted: without its footer all of a volume is read, and the damage is met.
    #[test]
    fn a_rebuild_without_a_footer_meets_the_damage() {
        let home = tempfile::tempdir().expect("a directory");
        let places = filled(home.path());
        flip(home.path(), &bytes(3)[..64]);
        // A footer repeats the records, with the names in them; the last of those is in no other place behind its own record.
        let last = places.iter().rposition(|(_, place)| place.volume == 1).expect("one");
        let name = format!("r{}", last - 1);
        let path = home.path().join("volumes/00000001").join(DB_FILE);
        let mut file = fs::read(&path).expect("read");
        let found: Vec<usize> =
            (0..file.len() - name.len()).filter(|at| file[*at..].starts_with(name.as_bytes())).collect();
        assert!(found.len() > 1, "a record and its repetition");
        file[found[found.len() - 1]] ^= 1;
        fs::write(&path, file).expect("written");
        let rebuilt = Store::rebuild(home.path(), options()).expect("rebuilt");
        assert!(!rebuilt.damage().is_empty(), "the damage was not met");
    }
}
