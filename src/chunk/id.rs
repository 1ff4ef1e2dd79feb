//! Names for bytes: what a chunk, a manifest and a file's whole content are called.
//!
//! Promises: the same bytes have the same name in one account; a chunk's id tells nothing to somebody without the account's keys, not even
//! whether a known file is stored. Never stores a file's SHA-256 or CRC-32 in the clear: sealing them is [`seal_small`](super::seal_small)'s work.

use sha2::{Digest, Sha256};

use super::keys::{AccountKeys, subkey};
use super::{ChunkError, seal::TOKEN_TAG};

const PART_CONTEXT: &str = "rbackup v1 restic part id";
const MANIFEST_CONTEXT: &str = "rbackup v1 manifest id";

/// SHA-256 and CRC-32 (IEEE) of a whole file, as users know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHash {
    /// SHA-256 of all bytes.
    pub sha256: [u8; 32],
    /// CRC-32 of all bytes.
    pub crc32: u32,
}

impl ContentHash {
    /// Length in bytes of [`to_bytes`](Self::to_bytes).
    pub const LEN: usize = 36;

    /// SHA-256, then CRC-32 little endian: what a version seals.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..32].copy_from_slice(&self.sha256);
        bytes[32..].copy_from_slice(&self.crc32.to_le_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChunkError> {
        match (bytes.len(), bytes.first_chunk(), bytes.last_chunk()) {
            (Self::LEN, Some(sha256), Some(crc32)) => Ok(Self { sha256: *sha256, crc32: u32::from_le_bytes(*crc32) }),
            (found, ..) => Err(ChunkError::Length { expected: Self::LEN as u64, found: found as u64 }),
        }
    }
}

/// Computes a [`ContentHash`] over a stream.
#[derive(Default, Clone)]
pub struct ContentHasher {
    sha256: Sha256,
    crc32: crc32fast::Hasher,
}

impl ContentHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        // In pieces that stay in the first-level cache, so that the second pass does not read memory again.
        for piece in bytes.chunks(16 << 10) {
            self.sha256.update(piece);
            self.crc32.update(piece);
        }
    }

    /// The hash of all bytes so far.
    pub fn finish(self) -> ContentHash {
        ContentHash { sha256: self.sha256.finalize().into(), crc32: self.crc32.finalize() }
    }
}

/// A chunk's id: BLAKE3 of its plain bytes, keyed per account. Equal in all devices and versions of an account, unrelated between accounts.
pub fn chunk_id(keys: &AccountKeys, bytes: &[u8]) -> [u8; 32] {
    blake3::keyed_hash(keys.chunk_id_key(), bytes).into()
}

/// Checks that opened bytes are the ones their id promises: the last look before bytes go to a user.
pub fn verify_chunk_id(keys: &AccountKeys, expected: &[u8; 32], bytes: &[u8]) -> Result<(), ChunkError> {
    let found = chunk_id(keys, bytes);
    if found == *expected { Ok(()) } else { Err(ChunkError::WrongId { expected: *expected, found }) }
}

/// A manifest's id: BLAKE3 over account (little endian) and bytes. Needs no secret, so that `check` can verify it without a login; that gives
/// nothing away as long as what is hashed is what lies on the disk anyway.
pub fn manifest_id(account: u64, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(MANIFEST_CONTEXT);
    hasher.update(&account.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize().into()
}

/// The id of a part of a restic object: BLAKE3 over account (little endian) and bytes, in a context of its own, so that no bytes a client
/// may choose give the id of a chunk or a manifest. Needs no secret: the bytes lie on the disk as the client sealed them.
pub fn part_id(account: u64, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(PART_CONTEXT);
    hasher.update(&account.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize().into()
}

/// What search by hash looks for: equal for equal SHA-256 within an account, meaningless without its keys.
pub fn hash_token(keys: &AccountKeys, sha256: &[u8; 32]) -> [u8; 16] {
    let full = subkey(keys.hash_key(), &[TOKEN_TAG, sha256]);
    let mut token = [0; 16];
    token.copy_from_slice(&full[..16]);
    token
}
