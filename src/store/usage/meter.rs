//! The counts that readers, drafts and the storage thread share.
//!
//! Never: is asked for more than a look while its lock is held.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::recover::Stored;
use crate::store::error::Error;

/// What accounts use.
#[derive(Debug, Default)]
pub struct Meter(Mutex<State>);

/// The logical bytes of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logical {
    /// What it has.
    pub bytes: u64,
    /// The least it had since it was counted or its quota was set.
    pub lowest: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Of the accounts that somebody asked for.
    logical: HashMap<u64, Logical>,
    /// Of frames that are synced.
    stored: BTreeMap<u64, u64>,
    /// Of frames that are on their way.
    ahead: HashMap<u64, u64>,
    /// Whether `stored` has all frames of the log.
    is_complete: bool,
    /// Whether the log says so, and does after any crash.
    is_noted: bool,
}

impl Meter {
    /// What a start found.
    pub fn of(Stored { bytes, is_complete, is_noted }: &Stored) -> Self {
        let (is_complete, is_noted) = (*is_complete, *is_noted);
        Self(Mutex::new(State { stored: bytes.clone(), is_complete, is_noted, ..State::default() }))
    }

    /// Announces a frame of an account, unless it would take it over `bytes_max`.
    pub fn announce(&self, account: u64, bytes: u64, bytes_max: Option<u64>) -> Result<(), Error> {
        let mut state = self.state();
        let used = state.stored_by(account);
        if let Some(bytes_max) = bytes_max.filter(|most| used.saturating_add(bytes) > *most) {
            return Err(Error::Quota { what: "stored", bytes_max, bytes_used: used });
        }
        *state.ahead.entry(account).or_default() += bytes;
        Ok(())
    }

    /// A frame that was announced is synced.
    pub fn synced(&self, account: u64, bytes: u64) {
        let mut state = self.state();
        *state.stored.entry(account).or_default() += bytes;
        state.arrived(account, bytes);
    }

    /// A frame that was announced will never come.
    pub fn lost(&self, account: u64, bytes: u64) {
        self.state().arrived(account, bytes);
    }

    /// What an account has stored, with what is on its way; nothing when that was never counted.
    pub fn stored(&self, account: u64) -> Option<u64> {
        let state = self.state();
        state.is_complete.then(|| state.stored_by(account))
    }

    /// What all have stored and synced.
    pub fn synced_by_all(&self) -> BTreeMap<u64, u64> {
        self.state().stored.clone()
    }

    /// Whether all frames of the log are counted.
    pub fn is_complete(&self) -> bool {
        self.state().is_complete
    }

    /// Whether the log has a note of that.
    pub fn is_noted(&self) -> bool {
        self.state().is_noted
    }

    /// The log has a note.
    pub fn noted(&self) {
        self.state().is_noted = true;
    }

    /// What was missing was counted.
    pub fn complete(&self, missing: &BTreeMap<u64, u64>) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.is_complete, true) {
            missing.iter().for_each(|(account, bytes)| *state.stored.entry(*account).or_default() += bytes);
        }
    }

    /// The logical bytes of an account, once somebody counted them.
    pub fn logical(&self, account: u64) -> Option<Logical> {
        self.state().logical.get(&account).copied()
    }

    /// The logical bytes of an account were counted, or its quota is set now.
    pub fn counted(&self, account: u64, bytes: u64) -> Logical {
        let logical = Logical { bytes, lowest: bytes };
        self.state().logical.insert(account, logical);
        logical
    }

    /// A commit changed the logical bytes of an account.
    pub fn changed(&self, account: u64, by: i64) {
        if let Some(Logical { bytes, lowest }) = self.state().logical.get_mut(&account) {
            *bytes = bytes.saturating_add_signed(by);
            *lowest = (*lowest).min(*bytes);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stored_by(&self, account: u64) -> u64 {
        let of = |bytes: Option<&u64>| bytes.copied().unwrap_or(0);
        of(self.stored.get(&account)).saturating_add(of(self.ahead.get(&account)))
    }

    fn arrived(&mut self, account: u64, bytes: u64) {
        if let Some(ahead) = self.ahead.get_mut(&account) {
            *ahead = ahead.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_counts_until_it_is_lost() {
        let stored = Stored { bytes: BTreeMap::from([(1, 100)]), is_complete: true, is_noted: true };
        let meter = Meter::of(&stored);
        meter.announce(1, 50, Some(150)).expect("to the byte");
        assert!(matches!(meter.announce(1, 1, Some(150)), Err(Error::Quota { bytes_used: 150, .. })));
        meter.announce(1, 1, None).expect("without a bound");
        meter.lost(1, 50);
        assert_eq!(meter.stored(1), Some(101), "the other one still comes");
        meter.announce(1, 49, Some(150)).expect("again");
        meter.synced(1, 49);
        meter.synced(1, 1);
        assert_eq!((meter.stored(1), meter.stored(2)), (Some(150), Some(0)));
    }

    #[test]
    fn what_is_missing_is_added_once() {
        let meter = Meter::default();
        meter.synced(1, 5);
        assert_eq!(meter.stored(1), None);
        (0..2).for_each(|_| meter.complete(&BTreeMap::from([(1, 10)])));
        assert_eq!(meter.stored(1), Some(15));
    }

    #[test]
    fn the_lowest_since_a_count_is_known() {
        let meter = Meter::default();
        meter.changed(1, 5);
        assert_eq!(meter.logical(1), None, "nobody asked");
        meter.counted(1, 100);
        meter.changed(1, -70);
        meter.changed(1, 20);
        assert_eq!(meter.logical(1), Some(Logical { bytes: 50, lowest: 30 }));
        assert_eq!(meter.counted(1, 50).lowest, 50);
    }
}
