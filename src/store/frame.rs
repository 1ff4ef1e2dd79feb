//! One self-describing entry of a volume's byte stream: a chunk, a manifest, a record, or what describes a volume.
//!
//! Promise: what [`Frame::parse`] accepts is byte by byte what [`encode`] wrote. Never does IO and never looks into the stored bytes.

use crate::model::ChunkId;

/// Bytes before the stored bytes.
pub const HEADER_BYTES: usize = 60;
/// BLAKE3-128 behind them.
pub const HASH_BYTES: usize = 16;
/// Bytes a frame takes besides what it stores.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + HASH_BYTES;
/// No frame stores more: a footer of the fullest volume has room below it, and a damaged length cannot ask for more memory.
pub const STORED_BYTES_MAX: usize = 64 * 1024 * 1024;

const VERSION: u8 = 1;
/// Flag: the sealed bytes were compressed before.
pub const COMPRESSED: u16 = 1;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A sealed piece of a version's bytes; id = its keyed hash.
    Chunk = 1,
    /// An ordered list of chunks or manifests in the clear; id = its hash.
    Manifest = 2,
    /// One change of the catalog; its id is zero.
    Record = 3,
    /// The first frame of a volume.
    Header = 4,
    /// The table of contents of a volume; the id's first four bytes are that volume's number.
    Footer = 5,
    /// The last frame of a sealed volume: where its footer is.
    End = 6,
    /// A part of a restic object, sealed by its client; id = hash of repo, type, name and part.
    Part = 7,
}

impl FrameKind {
    /// The kind a stored byte stands for.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Chunk,
            2 => Self::Manifest,
            3 => Self::Record,
            4 => Self::Header,
            5 => Self::Footer,
            6 => Self::End,
            7 => Self::Part,
            _ => return None,
        })
    }

    /// Whether other frames or rows refer to it by its id.
    pub fn has_id(self) -> bool {
        matches!(self, Self::Chunk | Self::Manifest | Self::Part)
    }
}

/// A frame's fields besides its stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What it holds.
    pub kind: FrameKind,
    /// [`COMPRESSED`] or nothing.
    pub flags: u16,
    /// Length of the stored bytes.
    pub stored_len: u32,
    /// Length of what they are made from.
    pub raw_len: u32,
    /// The account it belongs to; 0 for the store itself.
    pub account: u64,
    /// Its place in the order of all changes.
    pub seq: u64,
    /// Its name, see [`FrameKind`].
    pub id: ChunkId,
}

/// A frame read from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its fields.
    pub header: FrameHeader,
    /// The stored bytes.
    pub stored: Vec<u8>,
}

impl FrameHeader {
    /// Reads the fields; `None` when they cannot be a frame's.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let mut id = [0; 32];
        id.copy_from_slice(&bytes[28..60]);
        let header = Self {
            kind: FrameKind::from_byte(bytes[0])?,
            flags: u16::from_le_bytes([bytes[2], bytes[3]]),
            stored_len: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            raw_len: u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
            account: u64_at(bytes, 12),
            seq: u64_at(bytes, 20),
            id: ChunkId(id),
        };
        (bytes[1] == VERSION && header.stored_len as usize <= STORED_BYTES_MAX).then_some(header)
    }

    /// The fields as they are stored.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = self.kind as u8;
        bytes[1] = VERSION;
        bytes[2..4].copy_from_slice(&self.flags.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.account.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.seq.to_le_bytes());
        bytes[28..60].copy_from_slice(&self.id.0);
        bytes
    }

    /// Bytes of the whole frame.
    pub fn frame_bytes(&self) -> usize {
        OVERHEAD_BYTES + self.stored_len as usize
    }
}

/// The hash behind a frame's stored bytes.
pub fn hash(header: &[u8; HEADER_BYTES], stored: &[u8]) -> [u8; HASH_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    hasher.update(stored);
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(&hasher.finalize().as_bytes()[..HASH_BYTES]);
    hash
}

impl Frame {
    /// Reads one frame from the beginning of `bytes`; `None` when it is not whole and unchanged.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let header = FrameHeader::parse(head)?;
        let stored = rest.get(..header.stored_len as usize)?;
        let found = rest.get(stored.len()..stored.len() + HASH_BYTES)?;
        (found == hash(head, stored)).then(|| Self { header, stored: stored.to_vec() })
    }

    /// The frame as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let head = self.header.encode();
        let mut bytes = Vec::with_capacity(self.header.frame_bytes());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&self.stored);
        bytes.extend_from_slice(&hash(&head, &self.stored));
        bytes
    }
}

fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_back_and_any_flipped_bit_is_seen() {
        let frame = Frame {
            header: FrameHeader {
                kind: FrameKind::Chunk,
                flags: COMPRESSED,
                stored_len: 5,
                raw_len: 9,
                account: 1,
                seq: 2,
                id: ChunkId([7; 32]),
            },
            stored: b"bytes".to_vec(),
        };
        let bytes = frame.encode();
        assert_eq!(bytes.len(), frame.header.frame_bytes());
        assert_eq!(Frame::parse(&bytes), Some(frame));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Frame::parse(&flipped), None, "bit {bit}");
        }
    }
}
