//! Where reads have failed: what lies there is read before anybody builds on it.
//!
//! Promise: content that comes again is stored anew when what is stored of it does not read back, whether that was noticed by a
//! reader or by `check`, in this run or in one before. Damage rarely hits one frame only, so all frames around are suspected, until a
//! check has read the volume and found nothing. Never: more than a hint; one that is lost, damaged or another store's costs only
//! that the next reader has to notice again. Never writes where the store is not.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use super::durable;
use super::home::Home;
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
    home: Home,
    /// Whether the note does not say yet what is known.
    behind: Mutex<bool>,
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
            tracing::warn!(path = %path.display(), "the note of damaged places cannot be read; it is begun anew");
        }
        let kept = Kept { dir: dir.to_owned(), store, home: Home::at(dir), behind: Mutex::new(found.is_none()) };
        Self { windows: RwLock::new(found.unwrap_or_default()), kept: Some(kept) }
    }

    /// None, for a store that is only looked at.
    pub fn unkept() -> Self {
        Self { windows: RwLock::default(), kept: None }
    }

    /// Notes that what lies at `place` did not read back.
    pub fn add(&self, place: Place) {
        if self.change(|windows| insert(windows, [window_of(place)])) {
            tracing::error!(%place, "data are damaged; they are stored anew when their content is uploaded again");
        }
    }

    /// Notes all that a check has found: places in the volumes that it `read`, and volumes that cannot be read at all. What it found
    /// whole is suspected no more.
    pub fn checked(&self, read: &BTreeSet<u32>, places: &[Place], unread: &[u32]) {
        self.change(|windows| {
            windows.retain(|(volume, _)| !read.contains(volume));
            insert(windows, unread.iter().map(|volume| (*volume, WHOLE)));
            insert(windows, places.iter().map(|place| window_of(*place)));
        });
    }

    /// Whether a read has failed so near to `place` that the frame there may be hit too.
    pub fn cover(&self, place: Place) -> bool {
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        let (volume, window) = window_of(place);
        !windows.is_empty()
            && (windows.contains(&(volume, WHOLE))
                || (window.saturating_sub(1)..=window + 1).any(|window| windows.contains(&(volume, window))))
    }

    /// Whether it changed anything.
    fn change(&self, change: impl FnOnce(&mut BTreeSet<Window>)) -> bool {
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        let before = windows.clone();
        change(&mut windows);
        let is_new = *windows != before;
        drop(windows);
        if is_new {
            if let Some(Kept { behind, .. }) = &self.kept {
                *behind.lock().unwrap_or_else(PoisonError::into_inner) = true;
            }
            self.keep();
        }
        is_new
    }

    /// Writes the note if it is behind: after each change, and now and then where that failed.
    pub fn keep(&self) {
        let Some(Kept { dir, store, home, behind }) = &self.kept else { return };
        let mut behind = behind.lock().unwrap_or_else(PoisonError::into_inner);
        if !*behind || !home.is_there() {
            return;
        }
        // Read under the lock: of two that write, the last one knows what both have noticed.
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner).clone();
        match durable::write_whole(dir, SUSPECTS, &encode(&windows, store)) {
            Ok(()) => *behind = false,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "the note of damaged places was not written");
            }
        }
    }
}

/// As many as there is room for.
fn insert(windows: &mut BTreeSet<Window>, more: impl IntoIterator<Item = Window>) {
    for window in more {
        if windows.len() < WINDOWS_MAX {
            windows.insert(window);
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

    fn make(dir: &Path) {
        fs::create_dir_all(dir.join("volumes")).expect("made");
        fs::write(dir.join("FORMAT"), "x").expect("written");
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
        make(home.path());
        let suspects = Suspects::kept_in(home.path(), [7; 16]);
        suspects.add(at(3, 1000));
        suspects.checked(&BTreeSet::from([5]), &[at(5, 0)], &[9]);
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

    #[test]
    fn a_check_that_finds_nothing_ends_a_suspicion_and_many_hits_of_one_volume_crowd_nothing_out() {
        let suspects = Suspects::unkept();
        suspects.add(at(3, 0));
        suspects.add(at(4, 0));
        let hits: Vec<Place> = (0..200_000).map(|n| at(5, n % 16_000)).collect();
        suspects.checked(&BTreeSet::from([3, 5]), &hits, &[9]);
        assert!(!suspects.cover(at(3, 0)), "it was read and is whole");
        assert!([at(4, 0), at(5, 15_999), at(9, 7)].iter().all(|place| suspects.cover(*place)));
    }

    #[test]
    fn a_note_that_could_not_be_written_is_written_later_and_never_where_the_store_is_not() {
        let home = tempfile::tempdir().expect("a directory");
        let (dir, away) = (home.path().join("data"), home.path().join("away"));
        make(&dir);
        let suspects = Suspects::kept_in(&dir, [7; 16]);
        fs::rename(&dir, &away).and_then(|()| fs::create_dir(&dir)).expect("an empty mount point");
        suspects.add(at(3, 0));
        assert_eq!(fs::read_dir(&dir).expect("there").count(), 0, "nothing was written beside the store");
        fs::remove_dir(&dir).and_then(|()| fs::rename(&away, &dir)).expect("moved back");
        suspects.keep();
        assert!(Suspects::kept_in(&dir, [7; 16]).cover(at(3, 0)));
        fs::write(dir.join(SUSPECTS), "nonsense").expect("written");
        Suspects::kept_in(&dir, [7; 16]).keep();
        assert_ne!(fs::read(dir.join(SUSPECTS)).expect("a note"), b"nonsense", "it is begun anew");
    }
}
