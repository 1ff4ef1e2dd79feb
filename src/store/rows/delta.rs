//! The rows that are not in a run yet, in memory. Promises that what is put last is what is read. Never does IO.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::Change;
use super::merge::Held;
use super::run::Found;

/// What a row costs in the delta besides its key and value.
const ROW_OVERHEAD_BYTES: usize = 96;

pub(super) type Bytes = Arc<[u8]>;

#[derive(Default)]
pub(super) struct Delta {
    pub rows: BTreeMap<Bytes, (u64, Option<Bytes>)>,
    pub bytes: usize,
}

impl Delta {
    pub fn put(&mut self, change: Change) {
        let bytes = |value: &Option<Bytes>| ROW_OVERHEAD_BYTES + value.as_ref().map_or(0, |value| value.len());
        let (key, value): (Bytes, Option<Bytes>) = (change.key.into(), change.value.map(Arc::from));
        self.bytes += bytes(&value) + key.len();
        let key_bytes = key.len();
        if let Some((_, old)) = self.rows.insert(key, (change.seq, value)) {
            self.bytes -= bytes(&old) + key_bytes;
        }
    }

    pub fn get(&self, key: &[u8]) -> Option<Found> {
        self.rows.get(key).map(|(seq, value)| (*seq, value.as_deref().map(<[u8]>::to_vec)))
    }

    /// At most `limit` rows of the range, tombstones included, and whether more may follow.
    pub fn some(&self, from: &[u8], until: &[u8], limit: usize) -> (Vec<Held>, bool) {
        let range = self.rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(until)));
        let held = range.map(|(key, (seq, value))| Held { key: Arc::clone(key), seq: *seq, value: value.clone() });
        let rows: Vec<Held> = held.take(limit).collect();
        let more = rows.len() == limit;
        (rows, more)
    }
}
