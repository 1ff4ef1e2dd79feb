//! Where a frame lies: a volume and an address in it. Pure arithmetic.
//!
//! Blocks have different lengths, since a commit may end one early. So that an address needs no table, the address space
//! gives every block a fixed room of 256 KiB: the upper 14 bits are the block's number, the lower 18 the offset in its payload.

use std::fmt;

use super::block::PAYLOAD_BYTES_MAX;

const OFFSET_BITS: u32 = 18;
const OFFSET_MASK: u32 = (1 << OFFSET_BITS) - 1;
const _: () = assert!(PAYLOAD_BYTES_MAX <= OFFSET_MASK as usize);

/// Blocks a volume can address; a volume is sealed well before.
pub const BLOCKS_ADDRESSABLE: u32 = 1 << (32 - OFFSET_BITS);

/// A position in one volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub u32);

impl Address {
    /// The very beginning of a volume.
    pub const START: Self = Self(0);

    /// The position `offset` bytes into the payload of block `block`.
    pub fn new(block: u32, offset: usize) -> Self {
        Self(block << OFFSET_BITS | (offset as u32 & OFFSET_MASK))
    }

    /// The block's number.
    pub fn block(self) -> u32 {
        self.0 >> OFFSET_BITS
    }

    /// The offset in the block's payload.
    pub fn offset(self) -> usize {
        (self.0 & OFFSET_MASK) as usize
    }
}

/// A position in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The volume's number, from 1.
    pub volume: u32,
    /// The position in it.
    pub address: Address,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "volume {} block {} offset {}", self.volume, self.address.block(), self.address.offset())
    }
}
