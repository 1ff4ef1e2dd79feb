//! Runs made of runs: merges of neighbours of a size, and a rebuild of everything.
//! Promises that a new run is complete and durable before an old one goes, so that a crash leaves the old ones or the new one. It never
//! changes what a reader sees but for rows that a rebuild found missing or damaged.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::delta::Delta;
use super::merge::{Merge, Source};
use super::run::{Lineage, Run, Span};
use super::run_writer::{RunWriter, TEMPORARY};
use super::{Rows, RowsError, sled_dir};

/// Runs of one size class that are merged into one of the next.
pub(super) const FAN_IN: usize = 8;
/// Upper end of the smallest size class; each next one is `FAN_IN` times as wide.
const TIER_BYTES: u64 = 8 * 1024 * 1024;
/// Larger runs are left alone: sled rewrites the list of its trees with each new tree.
const RUN_BYTES_MAX: u64 = 1024 * 1024 * 1024;
impl Rows {
    /// Does the merges that are due.
    pub(super) fn merge_due_runs(&self) -> Result<(), RowsError> {
        loop {
            let runs = Arc::clone(&self.read().runs);
            let sizes: Vec<u64> = runs.iter().map(|run| run.footer.bytes).collect();
            let Some(count) = merge_due(&sizes) else { return Ok(()) };
            self.merge(&runs, count)?;
        }
    }

    /// Merges the newest `count` runs into one; tombstones go when nothing older is left for them to hide.
    fn merge(&self, runs: &[Arc<Run>], count: usize) -> Result<(), RowsError> {
        let (inputs, older) = runs.split_at(count);
        let (Some(newest), Some(oldest)) = (inputs.first(), inputs.last()) else { return Ok(()) };
        let span = Span { from: oldest.span.from, to: newest.span.to };
        let merged = self.merged(inputs, span, !older.is_empty(), &newest.footer.mark)?;
        self.write().runs = std::iter::once(merged).chain(older.iter().cloned()).collect();
        inputs.iter().for_each(|run| run.supersede());
        Ok(())
    }

    fn merged(&self, inputs: &[Arc<Run>], span: Span, tombstones: bool, mark: &[u8]) -> Result<Arc<Run>, RowsError> {
        let mut sources = Vec::with_capacity(inputs.len());
        for run in inputs {
            sources.extend(run.cursor(&[])?.map(|cursor| Source::Run(Box::new(cursor))));
        }
        let mut merge = Merge::new(sources);
        let rows_max = inputs.iter().map(|run| run.footer.rows).sum();
        let lineage = match (inputs.first(), inputs.last()) {
            (Some(newest), Some(oldest)) => {
                Lineage { own: newest.footer.lineage.own, below: oldest.footer.lineage.below }
            }
            _ => Lineage::upon(None).map_err(sled_dir::io_error(&self.dir))?,
        };
        let mut writer = RunWriter::create(&self.dir, span, self.shape, rows_max)?;
        while let Some(entry) = merge.entry() {
            if tombstones || entry.value.is_some() {
                writer.push(&entry)?;
            }
            merge.advance()?;
        }
        Ok(Arc::new(writer.finish(lineage, mark)?))
    }

    /// Replaces everything by what `replay` puts into an empty store, as one run that supersedes all others; `replay` returns its mark.
    /// Readers see the old rows until then. The owner applies nothing meanwhile.
    pub fn rebuild<E: From<RowsError>>(&self, replay: impl FnOnce(&Rows) -> Result<Vec<u8>, E>) -> Result<(), E> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let scratch = self.dir.join(format!("{TEMPORARY}rebuild"));
        let result = self.rebuild_in(&scratch, replay);
        // what is left of a rebuild that failed takes room; the next start removes what cannot be removed now
        let _ = fs::remove_dir_all(&scratch);
        result
    }

    fn rebuild_in<E: From<RowsError>>(
        &self,
        scratch: &Path,
        replay: impl FnOnce(&Rows) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let _ = fs::remove_dir_all(scratch);
        let (rows, _) = Rows::open(scratch, self.shape)?;
        let mark = replay(&rows)?;
        rows.freeze(mark.clone());
        rows.write_frozen()?;
        let inputs = Arc::clone(&rows.read().runs);
        let to = self.read().runs.first().map_or(0, |newest| newest.span.to) + 1;
        let whole = self.merged(&inputs, Span { from: 1, to }, false, &mark)?;
        let old = {
            let mut state = self.write();
            (state.delta, state.frozen) = (Delta::default(), None);
            std::mem::replace(&mut state.runs, std::iter::once(whole).collect())
        };
        old.iter().for_each(|run| run.supersede());
        self.damaged.store(false, Ordering::Release);
        Ok(())
    }
}

/// How many of the newest runs are to be merged, given their sizes, newest first: as soon as `FAN_IN` neighbours are of a size class or below.
pub(super) fn merge_due(sizes: &[u64]) -> Option<usize> {
    let mut class = TIER_BYTES;
    loop {
        let count = sizes.iter().take_while(|bytes| **bytes <= class).count();
        if count >= FAN_IN {
            return (sizes[..count].iter().sum::<u64>() <= RUN_BYTES_MAX).then_some(count);
        }
        if count == sizes.len() {
            return None;
        }
        class *= FAN_IN as u64;
    }
}
