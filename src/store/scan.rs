//! Reads a volume from its beginning to where its whole frames end: after a crash, for a rebuild, for a check.
//!
//! Promise: only frames whose hashes verify are visited, in order. A gap below an end that some block or the caller calls
//! acknowledged is damage: it is noted, and the scan goes on at the next block that says where a frame begins. Behind
//! that end the first gap is the torn tail of a crash, and the scan stops.

use super::block;
use super::error::Error;
use super::frame::Frame;
use super::header::Ending;
use super::log::{Cursor, Log};
use super::place::Address;
use super::volume::Volume;

/// What a scan found besides the frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// Where the last whole frame ends, and the running hash of the blocks up to there.
    pub ending: Ending,
    /// Payload bytes of the whole blocks.
    pub payload_bytes: u64,
    /// What is damaged: from and until.
    pub gaps: Vec<(Address, Address)>,
    sums: Vec<u64>,
}

impl Scanned {
    /// The running hash of the blocks up to `end`.
    pub fn running_to(&self, end: Address) -> [u8; 32] {
        self.sums.iter().take(blocks_below(end)).fold([0; 32], |running, sum| run(running, *sum))
    }
}

/// How far a scan must get.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// As far as frames are whole, and at least so far.
    AtLeast(Address),
    /// Exactly so far: a later volume's header says that this is the end.
    Exactly(Address),
}

/// Visits the whole frames of volume `number`.
pub fn scan(
    log: &Log,
    number: u32,
    until: Until,
    mut visit: impl FnMut(Address, Frame) -> Result<(), Error>,
) -> Result<Scanned, Error> {
    let volume = log.volume(number)?;
    let blocks = Blocks::read(&volume, until)?;
    let mut cursor = Cursor::new(&volume, Address::START);
    let (mut end_of_frames, mut gaps) = (Address::START, Vec::new());
    while cursor.at() < blocks.end {
        let at = cursor.at();
        match cursor.frame() {
            Ok(frame) if cursor.at() <= blocks.end => {
                visit(at, frame)?;
                end_of_frames = cursor.at();
            }
            Err(error) if !error.is_damage() => return Err(error),
            Ok(_) | Err(_) => {
                if at >= blocks.acknowledged {
                    break;
                }
                let next = blocks.next_frame(at);
                gaps.push((at, next));
                cursor = Cursor::new(&volume, next);
            }
        }
    }
    let end = end_of_frames.max(if gaps.is_empty() { Address::START } else { blocks.acknowledged });
    let ending = Ending { volume: number, end, running: [0; 32] };
    let mut scanned = Scanned { ending, payload_bytes: blocks.payload_bytes, gaps, sums: blocks.sums() };
    scanned.ending.running = scanned.running_to(end);
    Ok(scanned)
}

/// Feeds one block's checksum into the running hash of a volume.
pub fn run(running: [u8; 32], sum: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&running);
    hasher.update(&sum.to_le_bytes());
    *hasher.finalize().as_bytes()
}

/// How many blocks hold the bytes below `end`.
fn blocks_below(end: Address) -> usize {
    end.block() as usize + usize::from(end.offset() > 0)
}

/// The blocks of a volume: checksum and first frame of each that verifies.
struct Blocks {
    found: Vec<Option<(u64, Option<u32>)>>,
    /// The furthest end that any readable block or the caller calls acknowledged.
    acknowledged: Address,
    /// Where to stop at the latest.
    end: Address,
    payload_bytes: u64,
}

impl Blocks {
    fn read(volume: &Volume, until: Until) -> Result<Self, Error> {
        // What must be there is looked for, also where the database seems to end before it.
        let (Until::AtLeast(wanted) | Until::Exactly(wanted)) = until;
        let count = volume.last_block()?.map_or(0, |last| last + 1).max(blocks_below(wanted) as u32);
        let mut blocks =
            Self { found: Vec::new(), acknowledged: Address::START, end: Address::START, payload_bytes: 0 };
        for number in 0..count {
            let found = match volume.get(number) {
                Ok(found) => found,
                Err(error) if error.is_damage() => None,
                Err(error) => return Err(error),
            };
            let parsed = found.as_deref().and_then(|block| block::parse(&volume.shape().key, block));
            let valid = parsed.filter(|(header, _)| header.volume == volume.number() && header.number == number);
            if let Some((header, _)) = &valid {
                blocks.acknowledged = blocks.acknowledged.max(header.acknowledged);
                blocks.payload_bytes += found.map_or(0, |block| (block.len() - block::HEADER_BYTES) as u64);
            }
            blocks.found.push(valid.map(|(header, sum)| (sum, header.first_frame)));
        }
        blocks.bound(until);
        Ok(blocks)
    }

    fn bound(&mut self, until: Until) {
        match until {
            Until::Exactly(end) => (self.acknowledged, self.end) = (end, end),
            Until::AtLeast(end) => {
                self.acknowledged = self.acknowledged.max(end);
                // Damage before the acknowledged end must not hide what follows it.
                let from = blocks_below(self.acknowledged);
                let whole = from + self.found.iter().skip(from).take_while(|block| block.is_some()).count();
                self.end = self.acknowledged.max(Address::new(whole as u32, 0));
            }
        }
    }

    /// Where the next frame begins behind the block of `at`, as far as any block says so.
    fn next_frame(&self, at: Address) -> Address {
        let later = at.block() as usize + 1;
        let begins = self.found.iter().enumerate().skip(later);
        let next = begins.filter_map(|(number, block)| {
            let first = block.as_ref()?.1?;
            Some(Address::new(number as u32, first as usize))
        });
        next.min().map_or(self.end, |next| next.min(self.end))
    }

    fn sums(&self) -> Vec<u64> {
        self.found.iter().map(|block| block.map_or(0, |(sum, _)| sum)).collect()
    }
}
