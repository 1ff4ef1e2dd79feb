//! What accounts use and how much they may.
//!
//! Two counts, each right after any crash and rebuild. **Logical** bytes, of what is not removed, are what the rows of versions and objects
//! say: counted when somebody first asks, on the storage thread, and changed with each commit from then on. **Stored** bytes, of the
//! frames in the volumes, also of uploads that were cut, are counted as frames are synced; no row says whose a frame is, so every
//! volume has a note of all that was stored before it, and a start counts only what lies behind the newest note.
//!
//! Promises: a commit that would go over a logical quota is refused on the storage thread, however many race; a frame that would go
//! over a stored one is not sent. Never: keeps a count in a row that could disagree with the rest of the catalog.

mod count;
mod meter;
mod records;
mod recover;

#[cfg(test)]
mod tests;

pub use self::count::{Allowance, Share, Usage};
pub(super) use self::count::{count_logical, delta, purpose_of};
pub(super) use self::meter::{Logical, Meter};
pub use self::records::{QuotaSet, UsageNoted};
pub(super) use self::recover::{Stored, Tally};
