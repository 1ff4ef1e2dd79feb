//! The room as a whole: what it promises to its callers, and the bytes the format has promised for ever.

mod cutting;
mod golden;
mod sealing;

use super::{AccountKeys, Compressor, DataKey, Sealed, seal};

/// `len` bytes that look random and are the same in every run.
fn noise(name: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn keys() -> AccountKeys {
    AccountKeys::derive(&DataKey::new([7; 32]))
}

/// A frame header as the log has it, without `seq`.
fn header(shape: Sealed) -> Vec<u8> {
    let mut header = vec![1, 1, u8::from(shape.compressed), 0];
    header.extend_from_slice(&shape.stored_len.to_le_bytes());
    header.extend_from_slice(&shape.raw_len.to_le_bytes());
    header
}

fn sealed(keys: &AccountKeys, id: &[u8; 32], plain: &[u8]) -> (Sealed, Vec<u8>) {
    let mut out = Vec::new();
    let mut compressor = Compressor::new().expect("zstd");
    let shape = seal(keys, id, [5; 16], header, plain, &mut compressor, &mut out).expect("seal");
    (shape, out)
}
