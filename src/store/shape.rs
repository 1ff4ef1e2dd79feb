//! What is the same for every volume of one store: the size of sled's segments, and the key of the blocks' checksums.
//!
//! Promise: a value of [`Segment::value_bytes_max`] stays inside a segment; larger ones would become files that sled never
//! syncs. Never does IO.

/// The size of the segments that sled writes its databases in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment(u32);

impl Segment {
    /// Four blocks of 255 KiB to a segment.
    pub const DEFAULT: Self = Self(1 << 20);
    /// A block's header must leave room for something.
    const BYTES_MIN: u32 = 4 << 10;

    /// A power of two from 4 KiB to 1 MiB; the small ones are for tests that damage every byte.
    pub fn new(bytes: u32) -> Option<Self> {
        let fits = bytes.is_power_of_two() && (Self::BYTES_MIN..=Self::DEFAULT.0).contains(&bytes);
        fits.then_some(Self(bytes))
    }

    /// Its size in bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }

    /// The largest value that sled keeps inside: a quarter, less its own headers.
    pub fn value_bytes_max(self) -> usize {
        let bytes = self.0 as usize;
        bytes / 4 - (bytes / 1024).max(128)
    }
}

/// The key of the checksums of a store's blocks. It depends on the store's id, which no client ever learns: so nobody can
/// send bytes that a raw scan would take for a block, and a block of another store is none of this one.
#[derive(Clone, Copy)]
pub struct BlockKey([u8; 32]);

impl BlockKey {
    /// The key of the store with this id.
    pub fn of(store: [u8; 16]) -> Self {
        Self(blake3::derive_key("rbackup block checksum v1", &store))
    }

    /// A hasher under this key.
    pub fn hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.0)
    }
}

impl std::fmt::Debug for BlockKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlockKey(***)")
    }
}

/// Both.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The key of the blocks' checksums.
    pub key: BlockKey,
    /// The size of sled's segments.
    pub segment: Segment,
}

#[cfg(test)]
mod tests {
    use super::super::block::BLOCK_BYTES_MAX;
    use super::*;

    #[test]
    fn segments_are_powers_of_two_and_a_block_fits_the_largest() {
        assert_eq!(Segment::DEFAULT.value_bytes_max(), BLOCK_BYTES_MAX);
        assert_eq!(Segment::new(4096).map(Segment::value_bytes_max), Some(896));
        for bytes in [0, 2048, 5000, 2 << 20] {
            assert_eq!(Segment::new(bytes), None, "{bytes}");
        }
    }
}
