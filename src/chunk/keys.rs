//! The keys of an account: one random data key, from which everything else is derived.
//!
//! Promises: each derived key has one purpose, so that what one of them does tells nothing about another; the data key leaves its type only
//! wrapped; keys are wiped when dropped and print as `***`. Never draws randomness: new keys and salts come from the caller.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::{Zeroize, Zeroizing};

use super::ChunkError;

/// Length in bytes of a wrapped data key: salt 16, key 32, tag 16.
pub const WRAPPED_LEN: usize = WRAP_SALT_LEN + 32 + 16;

const WRAP_SALT_LEN: usize = 16;

// BLAKE3 context strings. They are part of the format: changing one orphans everything stored.
const CHUNK_ID_CONTEXT: &str = "rbackup v1 chunk-id key";
const SEAL_CONTEXT: &str = "rbackup v1 seal key";
const HASH_CONTEXT: &str = "rbackup v1 hash key";
const CUTTER_CONTEXT: &str = "rbackup v1 cutter seed";
const WRAP_TAG: &[u8] = b"rbackup v1 key wrap";

/// The root of all secrets of one account: 32 random bytes.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A data key from 32 bytes of the operating system's randomness.
    pub fn new(mut random: [u8; 32]) -> Self {
        let key = Self(Zeroizing::new(random));
        random.zeroize(); // the parameter is a copy of the caller's array
        key
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(***)")
    }
}

/// What an account works with: derived from its [`DataKey`], always the same, never stored.
pub struct AccountKeys {
    chunk_id: Zeroizing<[u8; 32]>,
    seal: Zeroizing<[u8; 32]>,
    hash: Zeroizing<[u8; 32]>,
    cutter_seed: Zeroizing<u64>,
}

impl AccountKeys {
    /// Derives all keys of an account. Cheap (about a microsecond), so nothing derived needs to be kept on disk.
    pub fn derive(data_key: &DataKey) -> Self {
        let derive = |context| Zeroizing::new(blake3::derive_key(context, &data_key.0[..]));
        let seed = derive(CUTTER_CONTEXT);
        let mut first = [0u8; 8];
        first.copy_from_slice(&seed[..8]);
        // FastCDC takes seed 0 for "no seed", which would cut with tables everybody knows.
        let cutter_seed = Zeroizing::new(u64::from_le_bytes(first).max(1));
        first.zeroize();
        Self { chunk_id: derive(CHUNK_ID_CONTEXT), seal: derive(SEAL_CONTEXT), hash: derive(HASH_CONTEXT), cutter_seed }
    }

    /// The seed for this account's [`Cutter`](super::Cutter): never 0, and as secret as the keys (it tells where files are cut).
    pub fn cutter_seed(&self) -> u64 {
        *self.cutter_seed
    }

    pub(super) fn chunk_id_key(&self) -> &[u8; 32] {
        &self.chunk_id
    }

    pub(super) fn seal_key(&self) -> &[u8; 32] {
        &self.seal
    }

    pub(super) fn hash_key(&self) -> &[u8; 32] {
        &self.hash
    }
}

impl fmt::Debug for AccountKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountKeys(***)")
    }
}

/// Wraps `data_key` under `kek` (from a password, a recovery key or the server's key): `salt ‖ AES-256-GCM(data key)`, [`WRAPPED_LEN`] bytes.
///
/// `context` says what the wrapped key is for (the kind of KEK); the same bytes are needed to unwrap, so a wrapped key copied to
/// where another kind belongs does not open. `salt` is 16 fresh random bytes for every call.
///
/// Why nonce 0 is safe: the cipher never sees `kek`, only KEK' = BLAKE3 keyed(kek, tag ‖ salt ‖ context), and salt and tag have a fixed
/// length, so different (salt, context) give different KEK'. A KEK' meets a second message only when the same KEK, context and
/// random 128-bit salt come together again: for n wraps under one KEK about n²/2^129. No counter is involved, so restoring an old copy of
/// the store and changing a password again cannot repeat one.
pub fn wrap_key(kek: &[u8; 32], data_key: &DataKey, context: &[u8], salt: [u8; 16]) -> Result<Vec<u8>, ChunkError> {
    let mut wrapped = Vec::with_capacity(WRAPPED_LEN); // exact: growing would leave a copy of the key behind
    wrapped.extend_from_slice(&salt);
    wrapped.extend_from_slice(&data_key.0[..]);
    let sealed = one_message_key(&wrap_subkey(kek, &salt, context))?
        .seal_in_place_separate_tag(zero_nonce(), Aad::empty(), &mut wrapped[WRAP_SALT_LEN..])
        .map_err(|_| ChunkError::Seal);
    match sealed {
        Ok(tag) => wrapped.extend_from_slice(tag.as_ref()),
        Err(error) => {
            wrapped.zeroize();
            return Err(error);
        }
    }
    Ok(wrapped)
}

/// Opens what [`wrap_key`] made. A wrong KEK (a wrong password), another context and damage are all [`ChunkError::Open`].
pub fn unwrap_key(kek: &[u8; 32], wrapped: &[u8], context: &[u8]) -> Result<DataKey, ChunkError> {
    let (salt, sealed) = wrapped.split_first_chunk::<WRAP_SALT_LEN>().ok_or(ChunkError::Open)?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let plain = one_message_key(&wrap_subkey(kek, salt, context))?
        .open_in_place(zero_nonce(), Aad::empty(), &mut buffer)
        .map_err(|_| ChunkError::Open)?;
    let key: &[u8; 32] = (&*plain).try_into().map_err(|_| ChunkError::Open)?;
    Ok(DataKey(Zeroizing::new(*key)))
}

fn wrap_subkey(kek: &[u8; 32], salt: &[u8; WRAP_SALT_LEN], context: &[u8]) -> Zeroizing<[u8; 32]> {
    subkey(kek, &[WRAP_TAG, salt, context])
}

/// BLAKE3 keyed with `key` over `parts` in a row. The caller sees to it that no two lists of parts give the same row.
pub(super) fn subkey(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(part);
    }
    Zeroizing::new(hasher.finalize().into())
}

/// A cipher for a key that seals exactly one message in its life, which is why its nonce may be [`zero_nonce`].
pub(super) fn one_message_key(key: &[u8; 32]) -> Result<LessSafeKey, ChunkError> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| ChunkError::Seal)?;
    Ok(LessSafeKey::new(key))
}

pub(super) fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
