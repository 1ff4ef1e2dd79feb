//! One value of a volume: a header of 40 bytes, then payload. See `FORMAT.md`.
//!
//! The header makes a block recognisable in the bytes of a database, without sled, and its keyed checksum keeps bytes that
//! somebody sent from passing for one. Never does IO.

use super::place::Address;
use super::shape::BlockKey;

/// Below sled's limit for a value kept inside its segment: a quarter of 1 MiB less its own headers.
pub const BLOCK_BYTES_MAX: usize = 255 * 1024;
/// Bytes of a block's header.
pub const HEADER_BYTES: usize = 40;
/// Bytes of payload in a full block.
pub const PAYLOAD_BYTES_MAX: usize = BLOCK_BYTES_MAX - HEADER_BYTES;

/// The first bytes of every block.
pub const MAGIC: [u8; 4] = *b"RBk1";
const CHECKED_BYTES: usize = HEADER_BYTES - 8;
const NO_FRAME: u32 = u32::MAX;

/// What a block says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// The volume it belongs to.
    pub volume: u32,
    /// Its number in the volume, from 0.
    pub number: u32,
    /// The newest seq when it was written.
    pub seq: u64,
    /// Offset in the payload of the first frame that begins here.
    pub first_frame: Option<u32>,
    /// Where the acknowledged bytes of this volume ended before this block was written.
    pub acknowledged: Address,
}

/// Fills in the header of `block`, whose first [`HEADER_BYTES`] bytes are room for it, and returns its checksum.
pub fn finish(key: &BlockKey, header: &BlockHeader, block: &mut [u8]) -> u64 {
    let length = (block.len() - HEADER_BYTES) as u32;
    block[0..4].copy_from_slice(&MAGIC);
    block[4..8].copy_from_slice(&header.volume.to_le_bytes());
    block[8..12].copy_from_slice(&header.number.to_le_bytes());
    block[12..16].copy_from_slice(&length.to_le_bytes());
    block[16..24].copy_from_slice(&header.seq.to_le_bytes());
    block[24..28].copy_from_slice(&header.first_frame.unwrap_or(NO_FRAME).to_le_bytes());
    block[28..32].copy_from_slice(&header.acknowledged.0.to_le_bytes());
    let sum = checksum(key, block);
    block[CHECKED_BYTES..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    sum
}

/// Reads and verifies a block; `None` when it is not whole.
pub fn parse(key: &BlockKey, block: &[u8]) -> Option<(BlockHeader, u64)> {
    if block.len() < HEADER_BYTES || block.len() > BLOCK_BYTES_MAX || block[0..4] != MAGIC {
        return None;
    }
    let sum = u64_at(block, CHECKED_BYTES);
    if u32_at(block, 12) as usize != block.len() - HEADER_BYTES || sum != checksum(key, block) {
        return None;
    }
    let first_frame = u32_at(block, 24);
    let header = BlockHeader {
        volume: u32_at(block, 4),
        number: u32_at(block, 8),
        seq: u64_at(block, 16),
        first_frame: (first_frame != NO_FRAME).then_some(first_frame),
        acknowledged: Address(u32_at(block, 28)),
    };
    Some((header, sum))
}

/// Reads and verifies the block that `bytes` begin with, whatever follows it; returns its length too.
pub fn parse_first(key: &BlockKey, bytes: &[u8]) -> Option<(BlockHeader, usize)> {
    let length = HEADER_BYTES + u32_at(bytes.get(..HEADER_BYTES)?, 12) as usize;
    parse(key, bytes.get(..length)?).map(|(header, _)| (header, length))
}

/// The first eight bytes of BLAKE3, keyed, over the header without its checksum field, and the payload.
fn checksum(key: &BlockKey, block: &[u8]) -> u64 {
    let mut hasher = key.hasher();
    hasher.update(&block[..CHECKED_BYTES]);
    hasher.update(&block[HEADER_BYTES..]);
    u64_at(hasher.finalize().as_bytes(), 0)
}

/// The number at `at`, which must lie in `bytes`.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// The same of eight bytes.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_back_and_any_flipped_bit_is_seen() {
        let header =
            BlockHeader { volume: 3, number: 7, seq: 99, first_frame: Some(5), acknowledged: Address::new(6, 17) };
        let mut block = vec![0; HEADER_BYTES];
        block.extend_from_slice(b"payload of a block");
        let key = BlockKey::of([1; 16]);
        let sum = finish(&key, &header, &mut block);
        assert_eq!(parse(&key, &block), Some((header, sum)));
        assert_eq!(parse(&BlockKey::of([2; 16]), &block), None, "a block of another store");
        for bit in 0..block.len() * 8 {
            let mut flipped = block.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&key, &flipped), None, "bit {bit}");
        }
        assert_eq!(parse(&key, &block[..block.len() - 1]), None);
    }
}
