//! The ordered chunk list of a version, as a tree of frames in the clear. Pure.
//!
//! A manifest lists up to [`ENTRIES_MAX`] chunks, or manifests of the level below. It names frames by id and not by
//! place, so that compaction can move them, and equal content has equal manifests, so that they are stored once.

use super::error::Error;
use crate::model::ChunkId;

/// Entries of one manifest: 160 KiB, about 4 GiB of content at the lowest level.
pub const ENTRIES_MAX: usize = 4096;
const ENTRY_BYTES: usize = 32 + 8;

/// A child in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// The id of its frame.
    pub id: ChunkId,
    /// How many bytes of content lie below it.
    pub bytes: u64,
}

/// The content of a manifest frame.
pub fn encode(children: &[Child]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(children.len() * ENTRY_BYTES);
    for child in children {
        bytes.extend_from_slice(&child.id.0);
        bytes.extend_from_slice(&child.bytes.to_le_bytes());
    }
    bytes
}

/// Reads the content of a manifest frame.
pub fn parse(bytes: &[u8]) -> Result<Vec<Child>, Error> {
    let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() || entries.is_empty() || entries.len() > ENTRIES_MAX {
        return Err(Error::format("manifest", format!("{} bytes are no list of children", bytes.len())));
    }
    let child = |entry: &[u8; ENTRY_BYTES]| {
        let (mut id, mut length) = ([0; 32], [0; 8]);
        id.copy_from_slice(&entry[..32]);
        length.copy_from_slice(&entry[32..]);
        Child { id: ChunkId(id), bytes: u64::from_le_bytes(length) }
    };
    Ok(entries.iter().map(child).collect())
}
