//! From bytes to chunks and back: cut, identify, compress, seal, open.
//!
//! Pure byte work. Nothing here does IO, reads a clock or draws a random number: salts and new keys come in as parameters, drawn by the
//! caller from the operating system. No function panics on what it is given; damage is a [`ChunkError`], never wrong bytes.

pub mod compress;
pub mod cut;
pub mod id;
pub mod keys;
pub mod seal;

pub use compress::{Compressor, Decompressor, RAW_LEN_MAX, decompress};
pub use cut::{CutSizes, Cutter};
pub use id::{ContentHash, ContentHasher, chunk_id, hash_token, manifest_id, verify_chunk_id};
pub use keys::{AccountKeys, DataKey, unwrap_key, wrap_key};
pub use seal::{Opener, SALT_LEN, SEAL_OVERHEAD, Sealed, open, open_small, seal, seal_small};

use thiserror::Error;

/// What can be wrong with bytes, keys or sizes given to this room. Carries no plaintext and no key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// Another key, id, salt or header than at sealing, or damaged bytes. Which of them cannot be known, and must not be told.
    #[error("sealed bytes do not open: damaged, or not sealed with this key, id and header")]
    Open,
    /// The bytes could not be sealed (the cipher refused them).
    #[error("the cipher refused to seal")]
    Seal,
    /// zstd could not set up a context.
    #[error("zstd: {reason}")]
    Compress {
        /// What zstd says.
        reason: String,
    },
    /// The compressed bytes are no zstd frame, or hold more than was announced.
    #[error("compressed bytes do not decompress to {raw_len} bytes: {reason}")]
    Decompress {
        /// The length announced, in bytes.
        raw_len: u32,
        /// What zstd says.
        reason: String,
    },
    /// More bytes than one frame may hold.
    #[error("{len} bytes in one piece, at most {max} are allowed")]
    TooLarge {
        /// Length met, in bytes.
        len: u64,
        /// The limit, in bytes.
        max: u64,
    },
    /// Opened well, but not as long as announced.
    #[error("{found} bytes where {expected} were announced")]
    Length {
        /// Length announced, in bytes.
        expected: u64,
        /// Length found, in bytes.
        found: u64,
    },
    /// Opened well, but these bytes have another id.
    #[error("chunk has another id than it is stored under")]
    WrongId {
        /// The id it is stored under.
        expected: [u8; 32],
        /// The id its bytes have.
        found: [u8; 32],
    },
    /// Cut sizes that FastCDC cannot work with.
    #[error("cut sizes {min}/{avg}/{max} bytes: need even numbers, min < avg < max, within FastCDC's limits")]
    CutSizes {
        /// Smallest chunk, in bytes.
        min: usize,
        /// Average chunk, in bytes.
        avg: usize,
        /// Largest chunk, in bytes.
        max: usize,
    },
}

#[cfg(test)]
mod tests;
