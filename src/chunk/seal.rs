//! Sealed bytes: `salt [16] ‖ AES-256-GCM(maybe zstd(plain)) ‖ tag [16]`, with key = BLAKE3 keyed(seal key, id ‖ salt) and nonce 0.
//!
//! **One key, one message.** AES-GCM is broken by a key and nonce that meet twice. Here the nonce is always 0, so the key must be new each time:
//! it is derived from the id *and* a salt of 16 random bytes drawn for this one frame.
//!
//! - *From the id alone it would not be new:* the id names the plain bytes, but what is encrypted is their compressed form and the header. The same
//!   chunk uploaded again after gc, under another zstd version, is another message with the same id.
//! - *A counter or log position would not do:* a crash can take a tail away that somebody has already seen (a copy of the disk, the off-site copy);
//!   the next frame would then be written at the same position with other bytes. A directory restored from yesterday's copy repeats all of
//!   today's counters. A random salt remembers nothing, so nothing can be set back.
//! - *The bound:* two frames share a key only if id and salt are equal. For n frames of one id that is n²/2^129 (a billion sealings
//!   of one chunk: 2^-69), and other ids do not add up with it, except by a collision of the 256-bit BLAKE3 output.
//!
//! Never draws the salt itself: the caller takes it from the operating system for every call and never keeps, counts or reuses one. Never returns
//! bytes that were not authenticated, nor more than [`RAW_LEN_MAX`](super::RAW_LEN_MAX) of them.

use ring::aead::Aad;
use zeroize::Zeroizing;

use super::ChunkError;
use super::compress::{Compressor, Decompressor, check_len, check_raw_len, raw_len_of};
use super::keys::{AccountKeys, one_message_key, subkey, zero_nonce};

/// Length of a frame's salt in bytes.
pub const SALT_LEN: usize = 16;
/// How much longer sealed bytes are than what was encrypted: salt and tag.
pub const SEAL_OVERHEAD: usize = SALT_LEN + TAG_LEN;

const TAG_LEN: usize = 16;

// The hash key derives two kinds of things; tags of one length keep them apart.
pub(super) const TOKEN_TAG: &[u8; 6] = b"token\0";
const SMALL_TAG: &[u8; 6] = b"small\0";

/// The shape of sealed bytes: what a frame's header says about them, and must say in the authenticated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// Whether the plain bytes were compressed.
    pub compressed: bool,
    /// Bytes before compressing.
    pub raw_len: u32,
    /// Bytes appended to `out`, salt and tag included.
    pub stored_len: u32,
}

/// Seals `plain` and appends it to `out`, compressed if that gains. After an error `out` is as before.
///
/// `aad` is asked for the authenticated data once the shape is known: the frame header without `seq` (compaction and replay handle `seq`
/// without keys), **with** flags, `raw_len` and `stored_len`. That is what authenticates the flag: [`open`] believes its caller, and
/// a flag that was turned over gives another header, hence [`ChunkError::Open`].
///
/// `salt`: 16 bytes fresh from the operating system for this call, see the module's first lines. `plain`: at most [`RAW_LEN_MAX`](super::RAW_LEN_MAX) bytes.
pub fn seal<A: AsRef<[u8]>>(
    keys: &AccountKeys,
    id: &[u8; 32],
    salt: [u8; SALT_LEN],
    aad: impl FnOnce(Sealed) -> A,
    plain: &[u8],
    compressor: &mut Compressor,
    out: &mut Vec<u8>,
) -> Result<Sealed, ChunkError> {
    let raw_len = raw_len_of(plain)?;
    let key = one_message_key(&frame_key(keys, id, &salt))?;
    let begin = out.len();
    out.reserve(plain.len() + SEAL_OVERHEAD);
    out.extend_from_slice(&salt);
    let compressed = compressor.compress(plain, out);
    let stored_len = (out.len() - begin + TAG_LEN) as u32; // fits: at most RAW_LEN_MAX and the overhead
    let shape = Sealed { compressed, raw_len, stored_len };
    match key.seal_in_place_separate_tag(zero_nonce(), Aad::from(aad(shape)), &mut out[begin + SALT_LEN..]) {
        Ok(tag) => {
            out.extend_from_slice(tag.as_ref());
            Ok(shape)
        }
        Err(_) => {
            out.truncate(begin);
            Err(ChunkError::Seal)
        }
    }
}

/// Opens sealed bytes without keeping anything for the next time; see [`Opener::open_in_place`].
pub fn open(
    keys: &AccountKeys,
    id: &[u8; 32],
    aad: &[u8],
    stored: &[u8],
    raw_len: u32,
    compressed: bool,
) -> Result<Vec<u8>, ChunkError> {
    let mut stored = stored.to_vec();
    let mut opener = Opener::new()?;
    let plain = opener.open_in_place(keys, id, aad, &mut stored, raw_len, compressed)?;
    Ok(plain.to_vec())
}

/// Opens many sealed frames with one zstd context and one buffer.
pub struct Opener {
    decompressor: Decompressor,
    plain: Vec<u8>,
}

impl Opener {
    /// An opener with an empty buffer; the buffer grows to the largest frame met.
    pub fn new() -> Result<Self, ChunkError> {
        Ok(Self { decompressor: Decompressor::new()?, plain: Vec::new() })
    }

    /// Opens `stored` (salt, ciphertext, tag) in place and returns the plain bytes, which lie in `stored` or in the opener's buffer.
    ///
    /// `aad`, `raw_len` and `compressed` come from the frame's header as it was read; see [`seal`] for what `aad` must hold. `stored` is
    /// scrambled afterwards, also after an error. Nothing is decompressed before it is authenticated.
    pub fn open_in_place<'a>(
        &'a mut self,
        keys: &AccountKeys,
        id: &[u8; 32],
        aad: &[u8],
        stored: &'a mut [u8],
        raw_len: u32,
        compressed: bool,
    ) -> Result<&'a [u8], ChunkError> {
        check_raw_len(raw_len)?;
        let plain = decrypt(keys, id, aad, stored)?;
        if compressed {
            self.decompressor.decompress_into(plain, raw_len, &mut self.plain)?;
            return Ok(&self.plain);
        }
        check_len(raw_len, plain.len())?;
        Ok(plain)
    }
}

/// Seals a few bytes that belong to one thing that is never written twice: a version's [`ContentHash`](super::ContentHash).
///
/// key = BLAKE3 keyed(hash key, tag ‖ context ‖ unique), nonce 0. `unique` is 32 random bytes drawn for this thing (a version's storage name) and
/// **sealed with once per `context`**; that alone keeps key and nonce from meeting twice, for the same reasons as a frame's salt. It
/// is stored elsewhere anyway, so nothing is stored in front. Result: `plain.len()` + 16 bytes.
pub fn seal_small(
    keys: &AccountKeys,
    context: &'static str,
    unique: &[u8; 32],
    plain: &[u8],
) -> Result<Vec<u8>, ChunkError> {
    let mut sealed = Vec::with_capacity(plain.len() + TAG_LEN);
    sealed.extend_from_slice(plain);
    one_message_key(&small_key(keys, context, unique))?
        .seal_in_place_append_tag(zero_nonce(), Aad::empty(), &mut sealed)
        .map_err(|_| ChunkError::Seal)?;
    Ok(sealed)
}

/// Opens what [`seal_small`] made for the same `context` and `unique`.
pub fn open_small(
    keys: &AccountKeys,
    context: &'static str,
    unique: &[u8; 32],
    sealed: &[u8],
) -> Result<Vec<u8>, ChunkError> {
    let mut buffer = sealed.to_vec();
    let plain_len = one_message_key(&small_key(keys, context, unique))?
        .open_in_place(zero_nonce(), Aad::empty(), &mut buffer)
        .map_err(|_| ChunkError::Open)?
        .len();
    buffer.truncate(plain_len);
    Ok(buffer)
}

fn frame_key(keys: &AccountKeys, id: &[u8; 32], salt: &[u8; SALT_LEN]) -> Zeroizing<[u8; 32]> {
    subkey(keys.seal_key(), &[id, salt])
}

/// `unique` comes before `context`: of fixed length first, so that no two pairs give the same row of bytes.
fn small_key(keys: &AccountKeys, context: &'static str, unique: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    subkey(keys.hash_key(), &[SMALL_TAG, unique, context.as_bytes()])
}

fn decrypt<'a>(keys: &AccountKeys, id: &[u8; 32], aad: &[u8], stored: &'a mut [u8]) -> Result<&'a [u8], ChunkError> {
    let (salt, sealed) = stored.split_first_chunk_mut::<SALT_LEN>().ok_or(ChunkError::Open)?;
    let plain = one_message_key(&frame_key(keys, id, salt))?
        .open_in_place(zero_nonce(), Aad::from(aad), sealed)
        .map_err(|_| ChunkError::Open)?;
    Ok(plain)
}
