//! A frame straight from the file, by where the blocks around it are known to lie.
//!
//! Promise: what is handed out is what the frame's own hash covers, so nobody has to read and hash the blocks it lies in. Whatever
//! is not as it should be gives nothing: [`super::log::Cursor`] then reads it block by block and says what is wrong. Never looks
//! for blocks, and never writes.

use super::block;
use super::frame::{self, Frame, FrameHeader};
use super::place::Address;
use super::raw::Pieces;
use super::volume::Volume;

impl Volume {
    /// The frame at `at`, if it is whole where its blocks were found before.
    pub fn straight(&self, at: Address) -> Option<Frame> {
        read(&*self.blocks.known()?, at)
    }
}

fn read(blocks: &Pieces, at: Address) -> Option<Frame> {
    let mut stream = Stream { blocks, at };
    let mut head = [0; frame::HEADER_BYTES];
    stream.fill(&mut head)?;
    let header = FrameHeader::parse(&head)?;
    let mut stored = vec![0; header.stored_len as usize];
    stream.fill(&mut stored)?;
    let mut hash = [0; frame::HASH_BYTES];
    stream.fill(&mut hash)?;
    (hash == frame::hash(&head, &stored)).then_some(Frame { header, stored })
}

/// The bytes of a volume from an address on.
struct Stream<'a> {
    blocks: &'a Pieces,
    at: Address,
}

impl Stream<'_> {
    fn fill(&mut self, mut out: &mut [u8]) -> Option<()> {
        while !out.is_empty() {
            let (number, from) = (self.at.block(), block::HEADER_BYTES + self.at.offset());
            let rest = self.blocks.length(number)?.saturating_sub(from);
            let (now, later) = out.split_at_mut(rest.min(out.len()));
            self.blocks.read_part(number, from, now)?;
            self.at = if later.is_empty() {
                Address::new(number, self.at.offset() + now.len())
            } else {
                Address::new(number + 1, 0)
            };
            out = later;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::{BlockHeader, PAYLOAD_BYTES_MAX};
    use super::super::frame::FrameKind;
    use super::super::raw::{BlockKind, PieceFile};
    use super::super::shape::BlockKey;
    use super::*;
    use crate::model::ChunkId;
    use std::path::Path;

    const KEY: fn() -> BlockKey = || BlockKey::of([3; 16]);
    /// sled's own bytes around the blocks.
    const BETWEEN: usize = 33;

    fn frame(stored: Vec<u8>) -> Frame {
        let length = stored.len() as u32;
        let (kind, id) = (FrameKind::Part, ChunkId([stored.len() as u8; 32]));
        Frame {
            header: FrameHeader { kind, flags: 0, stored_len: length, raw_len: length, account: 1, seq: 2, id },
            stored,
        }
    }

    /// A volume's file with these frames, one behind the other, and where each begins.
    fn file(frames: &[Frame]) -> (Vec<u8>, Vec<Address>) {
        let stream: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        let mut file = Vec::new();
        for (number, payload) in stream.chunks(PAYLOAD_BYTES_MAX).enumerate() {
            let (number, acknowledged) = (number as u32, Address::START);
            let mut bytes = [&[0; block::HEADER_BYTES], payload].concat();
            let header = BlockHeader { volume: 1, number, seq: 1, first_frame: None, acknowledged };
            block::finish(&KEY(), &header, &mut bytes);
            file.extend_from_slice(&[0xEE; BETWEEN]);
            file.extend_from_slice(&bytes);
        }
        let begins = frames.iter().scan(0, |at, frame| {
            let begin = *at;
            *at += frame.header.frame_bytes();
            Some(Address::new((begin / PAYLOAD_BYTES_MAX) as u32, begin % PAYLOAD_BYTES_MAX))
        });
        (file, begins.collect())
    }

    /// Finds the blocks while they are whole, then changes the file.
    fn found_then(path: &Path, whole: &[u8], changed: &[u8]) -> PieceFile<BlockKind> {
        std::fs::write(path, whole).expect("written");
        let blocks = PieceFile::of(BlockKind { volume: 1, key: KEY() });
        assert!(blocks.known().is_none(), "nobody has looked for them");
        assert!(blocks.get(path, 0, false).expect("read").is_some());
        std::fs::write(path, changed).expect("written");
        blocks
    }

    #[test]
    fn a_frame_is_read_without_its_blocks_and_never_other_bytes() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("db");
        let long = (0..600_000_u32).map(|n| (n / 7) as u8).collect();
        // The second ends 30 bytes before a block does, so that a header lies across.
        let frames =
            [frame(vec![1; 10]), frame(vec![2; PAYLOAD_BYTES_MAX - 10 - 3 * 76 + 46]), frame(long), frame(vec![])];
        let (whole, begins) = file(&frames);
        let blocks = found_then(&path, &whole, &whole);
        let known = blocks.known().expect("found");
        for (frame, begin) in frames.iter().zip(&begins) {
            assert_eq!(read(&known, *begin).as_ref(), Some(frame));
        }
        let behind = Address::new(begins[3].block(), begins[3].offset() + frame::OVERHEAD_BYTES);
        assert_eq!(read(&known, behind), None, "behind the last");
        assert_eq!(read(&known, Address::new(0, 5)), None, "within one");
        for at in (0..whole.len()).step_by(9973) {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            let blocks = found_then(&path, &whole, &changed);
            let known = blocks.known().expect("found");
            let all: Vec<_> = begins.iter().map(|begin| read(&known, *begin)).collect();
            let right = all.iter().zip(&frames).filter(|(read, frame)| read.as_ref() == Some(frame)).count();
            assert!(right >= 3, "byte {at} is one frame's at most");
            assert_eq!(all.iter().flatten().count(), right, "byte {at}: other bytes");
        }
        let blocks = found_then(&path, &whole, &whole[..whole.len() / 2]);
        assert_eq!(read(&blocks.known().expect("found"), begins[3]), None, "cut short");
    }
}
