//! Where reads have failed since the start: what lies there is read before anybody builds on it.
//!
//! Promise: content that comes again is stored anew when what is stored of it does not read back. Damage rarely hits one frame
//! only, so all frames around are suspected. Never does IO.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use super::place::Place;

/// A frame of the largest chunk, 16 MiB, runs over fewer blocks than this.
const WINDOW_BLOCKS: u32 = 128;
/// Windows that are remembered, 8 bytes each.
const WINDOWS_MAX: usize = 100_000;

/// The parts of volumes in which reads have failed.
#[derive(Debug, Default)]
pub struct Suspects(RwLock<HashSet<(u32, u32)>>);

impl Suspects {
    /// Notes that the frame at `place` did not read back.
    pub fn add(&self, place: Place) {
        let mut windows = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if windows.len() < WINDOWS_MAX && windows.insert((place.volume, place.address.block() / WINDOW_BLOCKS)) {
            tracing::error!(%place, "data are damaged; they are stored anew when their content is uploaded again");
        }
    }

    /// Whether a read has failed so near to `place` that the frame there may be hit too.
    pub fn cover(&self, place: Place) -> bool {
        let windows = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let window = place.address.block() / WINDOW_BLOCKS;
        !windows.is_empty()
            && (window.saturating_sub(1)..=window + 1).any(|window| windows.contains(&(place.volume, window)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::Address;
    use super::*;

    #[test]
    fn what_lies_around_a_failed_read_is_suspected_and_nothing_else() {
        let at = |volume, block| Place { volume, address: Address::new(block, 0) };
        let suspects = Suspects::default();
        assert!(!suspects.cover(at(1, 100)));
        suspects.add(at(1, 100));
        for (place, covered) in
            [(at(1, 20), true), (at(1, 100), true), (at(1, 200), true), (at(1, 400), false), (at(2, 100), false)]
        {
            assert_eq!(suspects.cover(place), covered, "{place}");
        }
    }
}
