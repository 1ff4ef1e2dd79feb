//! What the storage thread does when a reader met a damaged page of the catalog: all of it is made anew from the volumes.
//!
//! Promise: readers have the old catalog until the new one is durable; commits wait. Never: the log is not changed but for
//! the sealing of the open volume, so that footers list everything.

use std::time::{Duration, Instant};

use super::Keeper;
use crate::store::error::Error;
use crate::store::mark::Mark;
use crate::store::replay::Replay;
use crate::store::scan::Until;
use crate::store::shared::Shared;

/// A rebuild of the catalog that failed is tried again after so long at first, …
const MEND_AFTER: Duration = Duration::from_secs(60);
/// … and after so long at last: each try ends a volume.
const MEND_AFTER_MAX: Duration = Duration::from_secs(6 * 3600);

impl Keeper {
    /// A reader met a damaged page of the catalog: all of it is made anew from the volumes, while readers have the old one.
    pub(super) fn mend_catalog(&mut self) {
        if !self.shared.rows.is_damaged() || self.mended.is_some_and(|(at, pause)| at.elapsed() < pause) {
            return;
        }
        let pause = self.mended.map_or(MEND_AFTER, |(_, pause)| (pause * 4).min(MEND_AFTER_MAX));
        self.mended = Some((Instant::now(), pause));
        tracing::error!("the catalog is damaged and is rebuilt from the volumes");
        let begun = Instant::now();
        match self.rebuild_catalog() {
            Ok(()) => {
                self.mended = Some((Instant::now(), MEND_AFTER));
                tracing::warn!(seconds = begun.elapsed().as_secs(), "the catalog is rebuilt");
            }
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the catalog could not be rebuilt"),
        }
    }

    /// Seals the open volume first, so that footers list everything.
    fn rebuild_catalog(&mut self) -> Result<(), Error> {
        self.require_home()?;
        if self.writer.is_ok() {
            self.finish();
            self.seal()?;
        }
        let newest = self.writer()?.volume();
        let ending = self.writer()?.ending();
        let mark = Mark { store: self.store, ending, counters: self.counters }.encode()?;
        let Shared { log, rows, .. } = &*self.shared;
        rows.rebuild(|fresh| {
            let replay = Replay::of(log, fresh, self.store);
            replay.replay_closed(newest, None)?;
            // The mark lies behind what a volume begins with.
            replay.replay_newest(newest, Until::Exactly(ending.end), None)?;
            Ok(mark)
        })
    }
}
