//! zstd, where it pays, and back without trusting what the bytes announce.
//!
//! Promises: compressed is kept only when it is at least 5 % smaller; decompressing never allocates more than the caller said, and exactly
//! that many bytes come out or an error. Never fails to store: what zstd cannot do is stored as it is.

use zstd::bulk;

use super::ChunkError;

/// The most plain bytes one frame may hold: four times the largest standard chunk, and FastCDC's own limit. What a damaged or forged length
/// can make us allocate.
pub const RAW_LEN_MAX: u32 = 16 << 20;

const LEVEL: i32 = 3;
/// The gain that is worth decompressing for, as a part of the whole: one twentieth, 5 %.
const GAIN_PART: usize = 20;
/// Of anything larger only this much is tried first. Media files and archives would otherwise cost a full run of zstd each.
const PROBE_BYTES: usize = 64 << 10;

/// A zstd context for compressing, to be kept and reused: making one costs more than compressing a small chunk.
pub struct Compressor {
    context: bulk::Compressor<'static>,
}

impl Compressor {
    /// A context with the level that RBackup uses.
    pub fn new() -> Result<Self, ChunkError> {
        let context =
            bulk::Compressor::new(LEVEL).map_err(|error| ChunkError::Compress { reason: error.to_string() })?;
        Ok(Self { context })
    }

    /// Appends `plain` to `out`, compressed if that gains enough, else as it is; says which.
    pub fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        let probe = &plain[..plain.len().min(PROBE_BYTES)];
        let worth_it = plain.len() <= PROBE_BYTES || {
            let begin = out.len();
            let gains = self.append(probe, out);
            out.truncate(begin);
            gains
        };
        let compressed = worth_it && self.append(plain, out);
        if !compressed {
            out.extend_from_slice(plain);
        }
        compressed
    }

    /// Appends `plain` compressed and returns true; or, when it does not fit into 95 % of its size, appends nothing.
    fn append(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        let most = plain.len() - plain.len().div_ceil(GAIN_PART);
        if most == 0 {
            return false;
        }
        // zstd stops by itself where it would need more than `most`: "does not gain enough" and "does not fit" are one answer.
        out.resize(begin + most, 0);
        let written = self.context.compress_to_buffer(plain, &mut out[begin..]);
        out.truncate(begin + written.as_ref().map_or(0, |len| *len));
        written.is_ok()
    }
}

/// A zstd context for decompressing, to be kept and reused.
pub struct Decompressor {
    context: bulk::Decompressor<'static>,
}

impl Decompressor {
    /// A context without a dictionary.
    pub fn new() -> Result<Self, ChunkError> {
        let context = bulk::Decompressor::new().map_err(|error| ChunkError::Compress { reason: error.to_string() })?;
        Ok(Self { context })
    }

    /// Replaces the content of `out` by the `raw_len` bytes that `bytes` hold. When they hold more or fewer, or `raw_len` is above
    /// [`RAW_LEN_MAX`], it is an error and `out` is empty.
    pub fn decompress_into(&mut self, bytes: &[u8], raw_len: u32, out: &mut Vec<u8>) -> Result<(), ChunkError> {
        out.clear();
        check_raw_len(raw_len)?;
        out.reserve_exact(raw_len as usize);
        // zstd writes into the capacity, which a reused buffer may have more of than raw_len; hence the second check.
        if let Err(error) = self.context.decompress_to_buffer(bytes, out) {
            out.clear();
            return Err(ChunkError::Decompress { raw_len, reason: error.to_string() });
        }
        let found = out.len();
        check_len(raw_len, found).inspect_err(|_| out.clear())
    }
}

/// Decompresses once, without keeping a context; see [`Decompressor::decompress_into`].
pub fn decompress(bytes: &[u8], raw_len: u32) -> Result<Vec<u8>, ChunkError> {
    let mut out = Vec::new();
    Decompressor::new()?.decompress_into(bytes, raw_len, &mut out)?;
    Ok(out)
}

/// The length as a frame names it, or an error when it is above [`RAW_LEN_MAX`].
pub(super) fn raw_len_of(plain: &[u8]) -> Result<u32, ChunkError> {
    let len = u32::try_from(plain.len()).unwrap_or(u32::MAX);
    check_raw_len(len).map(|()| len)
}

pub(super) fn check_raw_len(raw_len: u32) -> Result<(), ChunkError> {
    if raw_len > RAW_LEN_MAX {
        return Err(ChunkError::TooLarge { len: raw_len.into(), max: RAW_LEN_MAX.into() });
    }
    Ok(())
}

pub(super) fn check_len(raw_len: u32, found: usize) -> Result<(), ChunkError> {
    if found == raw_len as usize {
        return Ok(());
    }
    Err(ChunkError::Length { expected: raw_len.into(), found: found as u64 })
}
