//! The log as readers see it: frames by place, volumes by number, few of them open at a time.
//!
//! Promise: a frame that is handed out is byte by byte what was written; a volume goes whole or not at all. Never writes to a volume; see
//! `writer.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::block;
use super::error::Error;
use super::frame::{self, Frame, FrameHeader, FrameKind};
use super::gaps;
use super::header::VolumeHeader;
use super::place::{Address, Place};
use super::shape::Shape;
use super::volume::Volume;
use crate::model::ChunkId;

/// Each open volume costs a descriptor, and 16 bytes for each of its blocks.
const OPEN_VOLUMES_MAX: usize = 16;
/// Nobody waits for the lists of many volumes.
const LISTING_TIME: Duration = Duration::from_millis(50);
/// The name a volume's directory gets before it is deleted.
pub const DEAD_SUFFIX: &str = "dead";

/// The volumes of a data directory.
#[derive(Debug)]
pub struct Log {
    dir: PathBuf,
    shape: Shape,
    volumes: RwLock<BTreeMap<u32, Arc<Volume>>>,
    given_up: RwLock<BTreeSet<u32>>,
    recently_used: Mutex<VecDeque<u32>>,
    listed_to: AtomicU32,
}

impl Log {
    /// Looks which volumes exist in `dir`; opens none of them.
    pub fn at(dir: PathBuf, shape: Shape) -> Result<Self, Error> {
        let mut volumes = BTreeMap::new();
        for entry in fs::read_dir(&dir).map_err(|e| Error::io(&dir, e))? {
            let entry = entry.map_err(|e| Error::io(&dir, e))?;
            let name = entry.file_name();
            if !entry.file_type().map_err(|e| Error::io(&dir, e))?.is_dir() {
                continue;
            }
            if let Some(number) = name.to_str().and_then(volume_number) {
                volumes.insert(number, Arc::new(Volume::at(&dir, number, shape)));
            }
        }
        let given_up = gaps::noted(&dir, &mut volumes)?;
        Ok(Self {
            dir,
            shape,
            volumes: RwLock::new(volumes),
            given_up: RwLock::new(given_up),
            recently_used: Mutex::default(),
            listed_to: AtomicU32::new(0),
        })
    }

    /// The directory of all volumes.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What all volumes have in common.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The numbers of all volumes, oldest first.
    pub fn numbers(&self) -> Vec<u32> {
        self.volumes.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// The numbers of the volumes that are lost and that the store goes on without.
    pub fn given_up(&self) -> Vec<u32> {
        self.given_up.read().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Goes on without volume `number`, for as long as this is open.
    pub fn give_up(&self, number: u32) {
        self.volumes.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        self.given_up.write().unwrap_or_else(PoisonError::into_inner).insert(number);
    }

    /// Whether volume `number` is there.
    pub fn has(&self, number: u32) -> bool {
        self.volumes.read().unwrap_or_else(PoisonError::into_inner).contains_key(&number)
    }

    /// The number of the volume that comes after volume `last`; that of a lost one is not given again.
    pub fn number_after(&self, last: u32) -> u32 {
        let given_up = self.given_up.read().unwrap_or_else(PoisonError::into_inner);
        given_up.last().copied().unwrap_or(0).max(last) + 1
    }

    /// Makes a new volume known.
    pub fn add(&self, volume: Arc<Volume>) {
        self.volumes.write().unwrap_or_else(PoisonError::into_inner).insert(volume.number(), volume);
    }

    /// Makes room for volume `number`, which nothing refers to: what lies there was begun and never acknowledged.
    pub fn clear(&self, number: u32) -> Result<(), Error> {
        if super::volume_dir::directory(&self.dir, number).exists() { self.discard(number) } else { Ok(()) }
    }

    /// Deletes what a crash left of volumes that were discarded.
    pub fn bury(&self) -> Result<(), Error> {
        for entry in fs::read_dir(&self.dir).map_err(|e| Error::io(&self.dir, e))? {
            let path = entry.map_err(|e| Error::io(&self.dir, e))?.path();
            if path.is_dir() && path.extension().is_some_and(|extension| extension == DEAD_SUFFIX) {
                fs::remove_dir_all(&path).map_err(|e| Error::io(&path, e))?;
            }
        }
        Ok(())
    }

    /// Takes a volume out of the log: renamed first, so that a crash leaves it whole or gone, then deleted.
    pub fn discard(&self, number: u32) -> Result<(), Error> {
        let volume = self.volumes.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        if let Some(volume) = volume {
            volume.close();
        }
        let dir = super::volume_dir::directory(&self.dir, number);
        let dead = dir.with_extension(DEAD_SUFFIX);
        if dead.exists() {
            fs::remove_dir_all(&dead).map_err(|e| Error::io(&dead, e))?;
        }
        fs::rename(&dir, &dead)
            .and_then(|()| super::durable::sync_dir(&self.dir))
            .and_then(|()| fs::remove_dir_all(&dead))
            .map_err(|e| Error::io(&dir, e))
    }

    /// Takes a volume out of the log and keeps its directory under another name, for a person to look at.
    pub fn set_aside(&self, number: u32) -> Result<(), Error> {
        let dir = super::volume_dir::directory(&self.dir, number);
        let aside = (0..).map(|n| dir.with_extension(format!("aside-{n}"))).find(|path| !path.exists());
        self.volumes.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        let Some(aside) = aside else { return Ok(()) };
        fs::rename(&dir, &aside).and_then(|()| super::durable::sync_dir(&self.dir)).map_err(|e| Error::io(&dir, e))
    }

    /// A volume by its number.
    pub fn volume(&self, number: u32) -> Result<Arc<Volume>, Error> {
        let found = self.volumes.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned();
        let volume =
            found.ok_or_else(|| Error::Damaged { volume: number, reason: "the volume is not there".to_owned() })?;
        self.touch(number);
        Ok(volume)
    }

    /// Reads the frame at `place` and verifies its hash.
    pub fn read(&self, place: Place) -> Result<Frame, Error> {
        let volume = self.volume(place.volume)?;
        Cursor::new(&volume, place.address).frame()
    }

    /// The frame `id` at `place`, by its own hash alone where that does: one in a damaged block may be whole.
    pub fn read_known(&self, place: Place, id: &ChunkId) -> Result<Frame, Error> {
        let volume = self.volume(place.volume)?;
        let straight = || volume.straight(place.address).filter(|frame| frame.header.id == *id);
        // Whoever is the first to look for its blocks finds them by that.
        let proven =
            || self.read_proven(place, id).or_else(|error| straight().filter(|_| error.is_damage()).ok_or(error));
        straight().map_or_else(proven, Ok)
    }

    /// The frame `id` at `place`, with its blocks: what is built on it must be found again when nobody knows where they were.
    pub fn read_proven(&self, place: Place, id: &ChunkId) -> Result<Frame, Error> {
        let frame = self.read(place)?;
        let reason = "it is another frame than the catalog says";
        if frame.header.id == *id { Ok(frame) } else { Err(Error::BadFrame { place, reason }) }
    }

    /// Whether readers took so much through the newest volume that the writer should close it.
    pub fn is_newest_due(&self, number: u32) -> bool {
        self.is_newest(number) && self.volume(number).is_ok_and(|volume| volume.is_due())
    }

    fn is_newest(&self, number: u32) -> bool {
        let volumes = self.volumes.read().unwrap_or_else(PoisonError::into_inner);
        volumes.last_key_value().is_some_and(|(newest, _)| *newest == number)
    }

    /// Writes down where the blocks of ended volumes lie, the oldest first for which that was not done, for a moment, so that their
    /// first readers need not look for them. What cannot be written is tried again at the next start.
    pub fn write_lists(&self) {
        let volumes = self.volumes.read().unwrap_or_else(PoisonError::into_inner).clone();
        let newest = volumes.keys().next_back().copied().unwrap_or(0);
        let (listed, begun) = (self.listed_to.load(Ordering::Relaxed), Instant::now());
        for (number, volume) in volumes.range(listed + 1..newest.max(listed + 1)) {
            self.listed_to.store(*number, Ordering::Relaxed);
            match volume.write_list() {
                Ok(true) if begun.elapsed() > LISTING_TIME => return,
                Ok(_) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(volume = number, error, "the list of a volume's blocks was not written");
                    return;
                }
            }
        }
    }

    /// The header of a volume, if it has a readable one.
    pub fn header(&self, number: u32) -> Result<VolumeHeader, Error> {
        let frame = self.read(Place { volume: number, address: Address::START })?;
        let header = (frame.header.kind == FrameKind::Header).then(|| VolumeHeader::parse(&frame.stored)).flatten();
        header
            .filter(|h| h.volume == number)
            .ok_or_else(|| Error::Damaged { volume: number, reason: "it does not begin with its header".to_owned() })
    }

    /// The header that says where volume `number` ends: the next one's, unless that was begun while `number` was lost.
    pub fn header_behind(&self, number: u32) -> Option<VolumeHeader> {
        self.header(self.next_there(number)?).ok().filter(|header| header.before.volume == number)
    }

    /// The volume that follows `number`, over a gap if there is one.
    pub fn next_there(&self, number: u32) -> Option<u32> {
        let volumes = self.volumes.read().unwrap_or_else(PoisonError::into_inner);
        volumes.range(number.saturating_add(1)..).next().map(|(next, _)| *next)
    }

    fn touch(&self, number: u32) {
        let mut recent = self.recently_used.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.back() == Some(&number) {
            return;
        }
        recent.retain(|n| *n != number);
        recent.push_back(number);
        let volumes = self.volumes.read().unwrap_or_else(PoisonError::into_inner);
        let newest = volumes.keys().next_back().copied();
        let mut left = recent.len();
        let mut idle = Vec::new();
        recent.retain(|other| {
            let Some(volume) = volumes.get(other).filter(|_| *other != number && Some(*other) != newest) else {
                return true;
            };
            let goes = left > OPEN_VOLUMES_MAX;
            if goes {
                left -= 1;
                idle.push(Arc::clone(volume));
            }
            !goes
        });
        drop((recent, volumes));
        idle.iter().for_each(|volume| volume.close());
    }
}

/// Eight digits, as [`super::volume_dir::directory`] writes them.
pub fn volume_number(name: &str) -> Option<u32> {
    let digits = name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_digit());
    if digits { name.parse().ok() } else { None }
}

/// Reads a volume's byte stream from an address on, across blocks.
pub struct Cursor<'a> {
    volume: &'a Volume,
    at: Address,
    block: Option<(u32, Bytes)>,
}

impl<'a> Cursor<'a> {
    /// A cursor at `at`.
    pub fn new(volume: &'a Volume, at: Address) -> Self {
        Self { volume, at, block: None }
    }

    /// Where the next frame begins, if there is one.
    pub fn at(&self) -> Address {
        self.at
    }

    /// Reads one frame and moves behind it.
    pub fn frame(&mut self) -> Result<Frame, Error> {
        let start = self.at;
        let bad = |reason| Error::BadFrame { place: Place { volume: self.volume.number(), address: start }, reason };
        let mut head = [0; frame::HEADER_BYTES];
        let (volume, mut reader) = (self.volume, Reader { at: self.at, block: self.block.take() });
        if !reader.fill(volume, &mut head)? {
            return Err(bad("its first bytes are missing"));
        }
        let header = FrameHeader::parse(&head).ok_or_else(|| bad("its header is not one"))?;
        let mut stored = Vec::with_capacity(header.stored_len as usize);
        let mut hash = [0; frame::HASH_BYTES];
        if !(reader.append(volume, &mut stored, header.stored_len as usize)? && reader.fill(volume, &mut hash)?) {
            return Err(bad("its last bytes are missing"));
        }
        if hash != frame::hash(&head, &stored) {
            return Err(bad("its hash differs"));
        }
        self.at = reader.at;
        self.block = reader.block;
        self.normalize();
        Ok(Frame { header, stored })
    }

    /// At the end of a block the next frame begins in the next one.
    fn normalize(&mut self) {
        let payload = self.block.as_ref().map_or(0, |(_, block)| block.len().saturating_sub(block::HEADER_BYTES));
        if self.at.offset() >= payload {
            self.at = Address::new(self.at.block() + 1, 0);
        }
    }
}

struct Reader {
    at: Address,
    block: Option<(u32, Bytes)>,
}

impl Reader {
    /// Fills `out` from the stream; false when the stream ends before.
    fn fill(&mut self, volume: &Volume, out: &mut [u8]) -> Result<bool, Error> {
        let mut filled = 0;
        self.each(volume, out.len(), |bytes| {
            out[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        })
    }

    /// Appends so many bytes of the stream to `out`, which need not be made of zeros first; false when the stream ends before.
    fn append(&mut self, volume: &Volume, out: &mut Vec<u8>, bytes: usize) -> Result<bool, Error> {
        self.each(volume, bytes, |bytes| out.extend_from_slice(bytes))
    }

    /// Gives `left` bytes of the stream to `put`, block by block; false when the stream ends before.
    fn each(&mut self, volume: &Volume, mut left: usize, mut put: impl FnMut(&[u8])) -> Result<bool, Error> {
        while left > 0 {
            let number = self.at.block();
            if self.block.as_ref().is_none_or(|(loaded, _)| *loaded != number) {
                let Some(block) = volume.get(number)? else { return Ok(false) };
                self.block = Some((number, block));
            }
            let payload = self.block.as_ref().and_then(|(_, b)| b.get(block::HEADER_BYTES..)).unwrap_or_default();
            let rest = payload.get(self.at.offset()..).unwrap_or_default();
            let taken = rest.len().min(left);
            put(&rest[..taken]);
            left -= taken;
            self.at = Address::new(number, self.at.offset() + taken);
            if left > 0 {
                self.at = Address::new(number + 1, 0);
            }
        }
        Ok(true)
    }
}
