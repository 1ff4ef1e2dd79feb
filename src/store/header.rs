//! The frames that describe volumes: the header that begins one, the footer that lists one, the end that finds the footer.
//!
//! A sealed volume carries its own footer. A volume that a crash or a failed sync ended is never appended to, so its
//! footer stands in its successor, right behind the header that names its valid end.

use super::error::Error;
use super::frame::{FrameHeader, FrameKind};
use super::place::Address;
use super::writer::VolumeLimits;
use crate::model::ChunkId;

/// A volume gives fewer ids of a kind: each takes a frame, and it is full before it has so many.
const IDS_PER_VOLUME_MAX: u64 = 200_000;
const _: () = assert!(VolumeLimits::DEFAULT.frames < IDS_PER_VOLUME_MAX as usize);

/// The next ids to give; a header carries them so that none is ever given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// The next seq.
    pub seq: u64,
    /// The next version id.
    pub version: u64,
    /// The next file id.
    pub file: u64,
    /// The next account id.
    pub account: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self { seq: 1, version: 1, file: 1, account: 1 }
    }
}

impl Counters {
    /// Behind `volumes` more volumes of which nothing is known but that they were there.
    pub fn behind_unknown(self, volumes: usize) -> Self {
        let skipped = IDS_PER_VOLUME_MAX.saturating_mul(volumes as u64);
        let skip = |counter: u64| counter.saturating_add(skipped);
        let Self { seq, version, file, account } = self;
        Self { seq: skip(seq), version: skip(version), file: skip(file), account: skip(account) }
    }

    /// The larger of both, counter by counter.
    pub fn at_least(self, other: Self) -> Self {
        Self {
            seq: self.seq.max(other.seq),
            version: self.version.max(other.version),
            file: self.file.max(other.file),
            account: self.account.max(other.account),
        }
    }
}

/// How a volume ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The volume.
    pub volume: u32,
    /// Where its valid bytes end; whatever lies behind is ignored.
    pub end: Address,
    /// BLAKE3 over the checksums of its blocks up to there, each hash fed into the next.
    pub running: [u8; 32],
}

impl Ending {
    /// Before the first volume.
    pub const NOTHING: Self = Self { volume: 0, end: Address::START, running: [0; 32] };
}

/// The content of a header frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeHeader {
    /// The store this volume belongs to.
    pub store: [u8; 16],
    /// Its own number.
    pub volume: u32,
    /// The next ids when it was begun.
    pub counters: Counters,
    /// The volume before it; number 0 when there is none.
    pub before: Ending,
}

impl VolumeHeader {
    /// Bytes of the encoded header.
    pub const BYTES: usize = 16 + 4 + 4 * 8 + 4 + 4 + 32;

    /// The content as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        bytes.extend_from_slice(&self.store);
        bytes.extend_from_slice(&self.volume.to_le_bytes());
        let Counters { seq, version, file, account } = self.counters;
        for counter in [seq, version, file, account] {
            bytes.extend_from_slice(&counter.to_le_bytes());
        }
        bytes.extend_from_slice(&self.before.volume.to_le_bytes());
        bytes.extend_from_slice(&self.before.end.0.to_le_bytes());
        bytes.extend_from_slice(&self.before.running);
        bytes
    }

    /// Reads the content.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let header = Self {
            store: reader.array()?,
            volume: reader.u32()?,
            counters: Counters {
                seq: reader.u64()?,
                version: reader.u64()?,
                file: reader.u64()?,
                account: reader.u64()?,
            },
            before: Ending { volume: reader.u32()?, end: Address(reader.u32()?), running: reader.array()? },
        };
        reader.0.is_empty().then_some(header)
    }
}

/// A line of a footer: a frame and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What the frame holds.
    pub kind: FrameKind,
    /// Its id.
    pub id: ChunkId,
    /// Its seq.
    pub seq: u64,
    /// Where it begins.
    pub address: Address,
    /// Length of its stored bytes.
    pub stored_len: u32,
}

impl Entry {
    const BYTES: usize = 1 + 32 + 8 + 4 + 4;

    /// The line for a frame that begins at `address`.
    pub fn of(header: &FrameHeader, address: Address) -> Self {
        Self { kind: header.kind, id: header.id, seq: header.seq, address, stored_len: header.stored_len }
    }
}

/// The content of a footer frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footer {
    /// Every frame of the volume in order, header and footers included, the volume's own footer and end not.
    pub entries: Vec<Entry>,
    /// The record frames again, whole, in order.
    pub records: Vec<u8>,
}

impl Footer {
    /// How long its content is when it is stored.
    pub fn bytes(&self) -> u64 {
        (4 + self.entries.len() * Entry::BYTES + self.records.len()) as u64
    }

    /// The content as it is stored: number of entries, the entries, the records.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + self.entries.len() * Entry::BYTES + self.records.len());
        bytes.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            bytes.push(entry.kind as u8);
            bytes.extend_from_slice(&entry.id.0);
            bytes.extend_from_slice(&entry.seq.to_le_bytes());
            bytes.extend_from_slice(&entry.address.0.to_le_bytes());
            bytes.extend_from_slice(&entry.stored_len.to_le_bytes());
        }
        bytes.extend_from_slice(&self.records);
        bytes
    }

    /// Reads the content.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::try_parse(bytes).ok_or_else(|| Error::format("footer", "its table of frames is not whole"))
    }

    fn try_parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let count = reader.u32()? as usize;
        if count > reader.0.len() / Entry::BYTES {
            return None;
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(Entry {
                kind: FrameKind::from_byte(reader.array::<1>()?[0])?,
                id: ChunkId(reader.array()?),
                seq: reader.u64()?,
                address: Address(reader.u32()?),
                stored_len: reader.u32()?,
            });
        }
        Some(Self { entries, records: reader.0.to_vec() })
    }
}

/// Takes fixed-size fields off a slice.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
