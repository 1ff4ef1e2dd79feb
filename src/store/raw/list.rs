//! The file `pieces` beside a database: where each of its pieces lies. Derived; it is not synced, and one that is torn, stale or
//! missing is not used. Never trusted alone: every piece verifies itself when it is read.
//!
//! ```text
//! "RBi1" · pieces u32 · bytes of the database u64 · pieces × (number u32 · bytes u32 · at u64) · keyed BLAKE3-64 of all before
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Spot;
use crate::store::block::{u32_at, u64_at};
use crate::store::shape::BlockKey;

/// The list's name.
pub const NAME: &str = "pieces";

const MAGIC: [u8; 4] = *b"RBi1";
const HEAD_BYTES: usize = 16;
const SPOT_BYTES: usize = 16;
const SUM_BYTES: usize = 8;

/// The list of the database at `path`.
pub fn beside(path: &Path) -> PathBuf {
    path.with_file_name(NAME)
}

/// Reads the list at `path` of a database of `bytes` bytes; `None` when there is none that fits.
pub fn read(path: &Path, key: &BlockKey, bytes: u64) -> Option<Vec<Spot>> {
    let list = fs::read(path).ok()?;
    let (body, said) = list.split_at_checked(list.len().checked_sub(SUM_BYTES)?)?;
    let (head, spots) = body.split_at_checked(HEAD_BYTES)?;
    let fits = head[..4] == MAGIC && u64_at(head, 8) == bytes && said == sum(key, body);
    fits.then(|| spots.chunks_exact(SPOT_BYTES).map(spot).collect())
}

/// Writes the list to `path`: under another name first, so that nobody reads half of it.
pub fn write(path: &Path, key: &BlockKey, bytes: u64, spots: &[Spot]) -> io::Result<()> {
    let mut list = Vec::with_capacity(HEAD_BYTES + spots.len() * SPOT_BYTES + SUM_BYTES);
    list.extend_from_slice(&MAGIC);
    list.extend_from_slice(&(spots.len() as u32).to_le_bytes());
    list.extend_from_slice(&bytes.to_le_bytes());
    for spot in spots {
        list.extend_from_slice(&spot.number.to_le_bytes());
        list.extend_from_slice(&spot.bytes.to_le_bytes());
        list.extend_from_slice(&spot.at.to_le_bytes());
    }
    list.extend_from_slice(&sum(key, &list));
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh); // which a crash left, or somebody put there to lead elsewhere
    let written = File::create_new(&fresh).and_then(|mut file| file.write_all(&list));
    written.and_then(|()| fs::rename(&fresh, path)).inspect_err(|_| drop(fs::remove_file(&fresh)))
}

fn spot(bytes: &[u8]) -> Spot {
    Spot { number: u32_at(bytes, 0), bytes: u32_at(bytes, 4), at: u64_at(bytes, 8) }
}

fn sum(key: &BlockKey, bytes: &[u8]) -> [u8; SUM_BYTES] {
    let mut short = [0; SUM_BYTES];
    short.copy_from_slice(&key.hasher().update(bytes).finalize().as_bytes()[..SUM_BYTES]);
    short
}
