//! What the storage thread does when a reader met a damaged page of the catalog: all of it is made anew from the volumes.
//!
//! Promise: readers have the old catalog until the new one is durable; commits wait. Never: the log is not changed but for
//! the sealing of the open volume, so that footers list everything.

use std::time::{Duration, Instant};

use super::Keeper;
use crate::store::error::Error;
use crate::store::mark::Mark;
use crate::store::replay::Replay;
use crate::store::shared::Shared;

/// A rebuild of the catalog that failed is tried again after so long.
const MEND_EVERY: Duration = Duration::from_secs(60);

impl Keeper {
    /// A reader met a damaged page of the catalog: all of it is made anew from the volumes, while readers have the old one.
    pub(super) fn mend_catalog(&mut self) {
        if !self.shared.rows.is_damaged() || self.mend_after.is_some_and(|then| Instant::now() < then) {
            return;
        }
        self.mend_after = Some(Instant::now() + MEND_EVERY);
        tracing::error!("the catalog is damaged and is rebuilt from the volumes");
        let begun = Instant::now();
        match self.rebuild_catalog() {
            Ok(()) => tracing::warn!(seconds = begun.elapsed().as_secs(), "the catalog is rebuilt"),
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
        let mark = Mark { store: self.store, ending: self.writer()?.ending(), counters: self.counters }.encode()?;
        let Shared { log, rows, .. } = &*self.shared;
        rows.rebuild(|fresh| {
            let replay = Replay { log, rows: fresh, store: self.store };
            replay.replay_closed(newest, None)?;
            Ok(mark)
        })
    }
}
