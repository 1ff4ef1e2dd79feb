//! Where reads have failed: what lies there is read before anybody builds on it.
//!
//! Promise: content that comes again is stored anew when what is stored of it does not read back, whether that was noticed by a
//! reader or by `check`, in this run or in one before. Damage rarely hits one frame only, so all frames around are suspected. Never:
//! more than a hint; one that is lost, damaged or another store's costs only that the next reader has to notice again.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use super::durable;
use super::place::Place;

/// The file that remembers them.
const SUSPECTS: &str = "suspects";
const STORE_BYTES: usize = 16;
const WINDOW_BYTES: usize = 8;
const SUM_BYTES: usize = 8;
/// A frame of the largest chunk, 16 MiB, runs over fewer blocks than this.
const WINDOW_BLOCKS: u32 = 128;
/// Windows that are remembered, 8 bytes each.
const WINDOWS_MAX: usize = 100_000;
/// Stands for every window of a volume.
const WHOLE: u32 = u32::MAX;

/// Some blocks of a volume.
type Window = (u32, u32);

/// The parts of volumes in which reads have failed.
#[derive(Debug)]
pub struct Suspects {
    windows: RwLock<BTreeSet<Window>>,
    kept: Option<Kept>,
}

/// Where they outlive this run.
#[derive(Debug)]
struct Kept {
    dir: PathBuf,
    store: [u8; STORE_BYTES],
    writing: Mutex<()>,
}

impl Suspects {
    /// Those that the data directory `dir` of `store` remembers; what is noticed from here on is written there.
    pub fn kept_in(dir: &Path, store: [u8; STORE_BYTES]) -> Self {
        let path = dir.join(SUSPECTS);
        let found = match fs::read(&path) {
            Ok(bytes) => parse(&bytes, store),
            Err(error) if error.kind() == ErrorKind::NotFound => Some(BTreeSet::new()),
            Err(_) => None,
        };
        if found.is_none() {
            tracing::warn!(path = %path.display(), "the note of damaged places cannot be read; `rbackup check` makes it anew");
        }
        let kept = Kept { dir: dir.to_owned(), store, writing: Mutex::default() };
        Self { windows: RwLock::new(found.unwrap_or_default()), kept: Some(kept) }
    }

    /// None, for a store that is only looked at.
    pub fn unkept() -> Self {
        Self { windows: RwLock::default(), kept: None }
    }

    /// Notes that what lies at `place` did not read back.
    pub fn add(&self, place: Place) {
        if self.insert([window_of(place)]) {
            tracing::error!(%place, "data are damaged; they are stored anew when their content is uploaded again");
        }
    }

    /// Notes all that a check has found: places, and volumes that cannot be read at all.
    pub fn add_all(&self, places: &[Place], volumes: &[u32]) {
        self.insert(places.iter().map(|place| window_of(*place)).chain(volumes.iter().map(|volume| (*volume, WHOLE))));
    }

    /// Whether a read has failed so near to `place` that the frame there may be hit too.
    pub fn cover(&self, place: Place) -> bool {
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        let (volume, window) = window_of(place);
        !windows.is_empty()
            && (windows.contains(&(volume, WHOLE))
                || (window.saturating_sub(1)..=window + 1).any(|window| windows.contains(&(volume, window))))
    }

    /// Whether any of these was not known.
    fn insert(&self, more: impl IntoIterator<Item = Window>) -> bool {
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        let before = windows.len();
        let room = WINDOWS_MAX.saturating_sub(before);
        windows.extend(more.into_iter().take(room));
        let is_new = windows.len() > before;
        drop(windows);
        if is_new {
            self.keep();
        }
        is_new
    }

    fn keep(&self) {
        let Some(Kept { dir, store, writing }) = &self.kept else { return };
        // Read under the lock: of two that write, the last one knows what both have noticed.
        let _alone = writing.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(error) = durable::write_whole(dir, SUSPECTS, &encode(&windows, store)) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "damaged places are remembered until the next stop only"
            );
        }
    }
}

fn window_of(place: Place) -> Window {
    (place.volume, place.address.block() / WINDOW_BLOCKS)
}

fn encode(windows: &BTreeSet<Window>, store: &[u8; STORE_BYTES]) -> Vec<u8> {
    let mut note = store.to_vec();
    for (volume, window) in windows {
        note.extend_from_slice(&volume.to_le_bytes());
        note.extend_from_slice(&window.to_le_bytes());
    }
    let sum = *blake3::hash(&note).as_bytes();
    note.extend_from_slice(&sum[..SUM_BYTES]);
    note
}

fn parse(note: &[u8], store: [u8; STORE_BYTES]) -> Option<BTreeSet<Window>> {
    let (note, sum) = note.split_at_checked(note.len().checked_sub(SUM_BYTES)?)?;
    let (owner, windows) =
        note.split_at_checked(STORE_BYTES).filter(|_| blake3::hash(note).as_bytes().starts_with(sum))?;
    let (windows, []) = windows.as_chunks::<WINDOW_BYTES>() else { return None };
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
    let windows = windows.iter().map(|window| (number(&window[..4]), number(&window[4..])));
    (owner == store).then(|| windows.take(WINDOWS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::super::place::Address;
    use super::*;

    fn at(volume: u32, block: u32) -> Place {
        Place { volume, address: Address::new(block, 0) }
    }

    #[test]
    fn what_lies_around_a_failed_read_is_suspected_and_nothing_else() {
        let suspects = Suspects::unkept();
        assert!(!suspects.cover(at(1, 100)));
        suspects.add(at(1, 100));
        for (place, covered) in
            [(at(1, 20), true), (at(1, 100), true), (at(1, 200), true), (at(1, 400), false), (at(2, 100), false)]
        {
            assert_eq!(suspects.cover(place), covered, "{place}");
        }
    }

    #[test]
    fn they_outlive_the_run_and_a_note_that_was_changed_or_is_another_stores_says_nothing() {
        let home = tempfile::tempdir().expect("a directory");
        let suspects = Suspects::kept_in(home.path(), [7; 16]);
        suspects.add(at(3, 1000));
        suspects.add_all(&[at(5, 0)], &[9]);
        let again = |store| Suspects::kept_in(home.path(), store);
        let covers = |suspects: &Suspects| [at(3, 1000), at(5, 100), at(9, 14_000)].map(|place| suspects.cover(place));
        assert_eq!(covers(&again([7; 16])), [true; 3]);
        assert!(!again([7; 16]).cover(at(4, 1000)));
        assert_eq!(covers(&again([8; 16])), [false; 3], "another store's");
        let path = home.path().join(SUSPECTS);
        let note = fs::read(&path).expect("a note");
        for bit in 0..note.len() * 8 {
            let mut flipped = note.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&flipped, [7; 16]), None, "bit {bit}");
        }
        for length in 0..note.len() {
            assert_eq!(parse(&note[..length], [7; 16]), None, "{length} bytes");
        }
    }
}
