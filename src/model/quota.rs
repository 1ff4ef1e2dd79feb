//! How much an account may keep.

use serde::{Deserialize, Serialize};

use super::limits::QUOTA_RESERVE_BYTES;

/// The most an account may keep; nothing stands for no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Bytes of all versions and of restic's objects that are not removed, each counted whole.
    pub logical: Option<Bound>,
    /// Bytes that they take in the volumes, compressed and without repetitions; what was removed counts until it is compacted.
    pub stored: Option<Bound>,
}

/// One bound of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The most, in bytes.
    pub bytes: u64,
    /// What the account had when the bound was set, which may be more.
    pub had: u64,
}

/// What something is sent for, as far as quotas care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be kept.
    Keeping,
    /// To remove other things: `unlock`, `forget` and `prune` begin with a lock, and `prune` removes nothing before it has written an
    /// index.
    Removing,
}

impl Bound {
    /// The most that an account may come to with something, when `lowest` is the least it had since the bound was set. What removing
    /// begins with may come however full the account is, also when the bound was set below what it had; and as that follows it
    /// down, it is no way around the quota.
    pub fn most(&self, purpose: Purpose, lowest: u64) -> u64 {
        match purpose {
            Purpose::Keeping => self.bytes,
            Purpose::Removing => self.bytes.max(self.had.min(lowest)).saturating_add(QUOTA_RESERVE_BYTES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_removing_begins_with_may_come_beside_what_is_there() {
        let rows = [(100, 0, 0, 100), (100, 5000, 5000, 5000), (100, 5000, 700, 700), (100, 5000, 7, 100)];
        for (bytes, had, lowest, most) in rows {
            let bound = Bound { bytes, had };
            assert_eq!(bound.most(Purpose::Keeping, lowest), bytes);
            assert_eq!(bound.most(Purpose::Removing, lowest), most + QUOTA_RESERVE_BYTES);
        }
        assert_eq!(Bound { bytes: u64::MAX, had: 1 }.most(Purpose::Removing, 1), u64::MAX);
    }
}
