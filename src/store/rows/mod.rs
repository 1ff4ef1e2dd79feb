//! The catalog's ordered rows: a delta in memory, at most one frozen delta on its way to disk, and immutable sorted runs.
//! Promises that readers see one merged view in which the newest row wins, that what a run's mark covers is on disk, and that damage
//! is an error, never other data. It never writes a row on `apply`: what is not in a run is replayed from the log by its owner.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

mod delta;
mod error;
mod filter;
mod merge;
mod page;
mod pages;
mod rewrite;
mod run;
mod run_writer;
mod sled_dir;

pub use error::RowsError;

use self::delta::{Bytes, Delta};

use self::filter::Probe;
use self::merge::{Merge, Source};
use self::page::Entry;
use self::run::{Found, Lineage, Run, Span};
use self::run_writer::{RunWriter, TEMPORARY};
use self::sled_dir::io_error;
use super::shape::Shape;

/// Rows a scan takes from the delta at a time.
const SCAN_ROWS: usize = 1024;

/// A change of one row; no value means that the row is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// the row's key
    pub key: Vec<u8>,
    /// the log's sequence number of the change
    pub seq: u64,
    /// the new value
    pub value: Option<Vec<u8>>,
}

/// A row that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// the log's sequence number of its last change
    pub seq: u64,
    /// its value
    pub value: Vec<u8>,
}

/// One run, for statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// directory name
    pub name: String,
    /// pages of rows
    pub pages: u32,
    /// rows, tombstones included
    pub rows: u64,
    /// bytes of all pages; the directory is a little larger
    pub bytes: u64,
}

/// The row store.
pub struct Rows {
    dir: PathBuf,
    shape: Shape,
    state: RwLock<State>,
    /// held while runs are written, so that only one thread does
    writing: Mutex<()>,
    /// a page or run was met that only a rebuild mends
    damaged: AtomicBool,
    /// who is told so
    alarm: OnceLock<Weak<Alarm>>,
}

/// What is called when damage is met.
pub type Alarm = dyn Fn() + Send + Sync;

struct State {
    delta: Delta,
    frozen: Option<Arc<Frozen>>,
    /// newest first
    runs: Arc<[Arc<Run>]>,
}

/// The sources of a scan, newest first, and the last key up to which those from memory are complete (`None`: all of the range).
type Sources = (Vec<Source>, Option<Bytes>);

struct Frozen {
    delta: Delta,
    mark: Vec<u8>,
}

impl Rows {
    /// Opens the store in `dir`, which is created when missing, and returns the mark of the newest checkpoint: the owner replays its log
    /// from there. Leftovers of a crash are removed.
    ///
    /// # Errors
    /// `Damaged`, `Unreadable` and `Gap` mean that the catalog has to be rebuilt.
    pub fn open(dir: &Path, shape: Shape) -> Result<(Rows, Option<Vec<u8>>), RowsError> {
        fs::create_dir_all(dir).map_err(io_error(dir))?;
        Self::of_runs(dir, open_runs(dir, spans(dir, true)?, shape, true)?, shape)
    }

    /// The same for whoever only looks: nothing is made or removed, and one that is not there has no rows.
    ///
    /// # Errors
    /// As [`Rows::open`].
    pub fn look(dir: &Path, shape: Shape) -> Result<(Rows, Option<Vec<u8>>), RowsError> {
        if !dir.exists() {
            return Ok((Self::in_memory(shape), None));
        }
        Self::of_runs(dir, open_runs(dir, spans(dir, false)?, shape, false)?, shape)
    }

    /// No rows, and no place on a disk for any.
    pub fn in_memory(shape: Shape) -> Rows {
        let state = RwLock::new(State { delta: Delta::default(), frozen: None, runs: Arc::new([]) });
        Self::of(PathBuf::new(), shape, state)
    }

    fn of_runs(dir: &Path, mut runs: Vec<Arc<Run>>, shape: Shape) -> Result<(Rows, Option<Vec<u8>>), RowsError> {
        runs.sort_by_key(|run| run.span.from);
        require_chain(&runs)?;
        runs.reverse();
        let mark = runs.first().map(|run| run.footer.mark.clone());
        let state = RwLock::new(State { delta: Delta::default(), frozen: None, runs: runs.into() });
        Ok((Self::of(dir.to_owned(), shape, state), mark))
    }

    fn of(dir: PathBuf, shape: Shape, state: RwLock<State>) -> Rows {
        let (writing, damaged, alarm) = (Mutex::new(()), AtomicBool::new(false), OnceLock::new());
        Rows { dir, shape, state, writing, damaged, alarm }
    }

    /// From now on `alarm` is called when damage is met, as long as somebody keeps it.
    pub fn tell_of_damage(&self, alarm: &Arc<Alarm>) {
        let _ = self.alarm.set(Arc::downgrade(alarm));
    }

    /// Whether something was met since it was opened that only [`Rows::rebuild`] mends.
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    fn notice<T>(&self, result: Result<T, RowsError>) -> Result<T, RowsError> {
        if result.as_ref().is_err_and(RowsError::is_damage)
            && !self.damaged.swap(true, Ordering::AcqRel)
            && let Some(alarm) = self.alarm.get().and_then(Weak::upgrade)
        {
            alarm();
        }
        result
    }

    /// The row of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Row>, RowsError> {
        Ok(self.find(key)?.and_then(|(seq, value)| value.map(|value| Row { seq, value })))
    }

    /// The seq of a key's last change, of a removal too as long as its tombstone is kept.
    pub fn seq_of(&self, key: &[u8]) -> Result<Option<u64>, RowsError> {
        Ok(self.find(key)?.map(|(seq, _)| seq))
    }

    fn find(&self, key: &[u8]) -> Result<Option<Found>, RowsError> {
        self.notice(self.find_newest(key))
    }

    fn find_newest(&self, key: &[u8]) -> Result<Option<Found>, RowsError> {
        let runs = {
            let state = self.read();
            let frozen = || state.frozen.as_ref().and_then(|frozen| frozen.delta.get(key));
            if let Some(found) = state.delta.get(key).or_else(frozen) {
                return Ok(Some(found));
            }
            Arc::clone(&state.runs)
        };
        let probe = Probe::of(key);
        for run in runs.iter() {
            if let Some(found) = run.get(key, probe)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// At most `limit` rows of `from..until` in key order; the caller goes on from the last key followed by a zero byte.
    pub fn scan(&self, from: &[u8], until: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Row)>, RowsError> {
        let mut out = Vec::with_capacity(limit.min(SCAN_ROWS));
        let mut from = from.to_vec();
        while out.len() < limit && from.as_slice() < until {
            match self.notice(self.scan_some(&from, until, limit, &mut out))? {
                Some(next) => from = next,
                None => break,
            }
        }
        Ok(out)
    }

    /// One look at the store; returns where to look again when the part taken from memory did not reach far enough.
    fn scan_some(
        &self,
        from: &[u8],
        until: &[u8],
        limit: usize,
        out: &mut Vec<(Vec<u8>, Row)>,
    ) -> Result<Option<Vec<u8>>, RowsError> {
        let (sources, reach) = self.sources(from, until, limit.clamp(1, SCAN_ROWS))?;
        let mut merge = Merge::new(sources);
        while let Some(Entry { key, seq, value }) = merge.entry() {
            if out.len() >= limit || key >= until {
                return Ok(reach.filter(|_| out.len() < limit).map(|reach| after(&reach)));
            }
            if reach.as_ref().is_some_and(|reach| key > &**reach) {
                break;
            }
            if let Some(value) = value {
                out.push((key.to_vec(), Row { seq, value: value.to_vec() }));
            }
            merge.advance()?;
        }
        Ok(reach.map(|reach| after(&reach)))
    }

    fn sources(&self, from: &[u8], until: &[u8], limit: usize) -> Result<Sources, RowsError> {
        let (parts, runs) = {
            let state = self.read();
            let frozen = state.frozen.as_ref().map(|frozen| frozen.delta.some(from, until, limit));
            ([Some(state.delta.some(from, until, limit)), frozen], Arc::clone(&state.runs))
        };
        let mut sources = Vec::with_capacity(runs.len() + parts.len());
        let mut reach: Option<Bytes> = None;
        for (rows, more) in parts.into_iter().flatten() {
            if let Some(last) = rows.last().filter(|_| more)
                && reach.as_ref().is_none_or(|reach| last.key < *reach)
            {
                reach = Some(Arc::clone(&last.key));
            }
            sources.extend(Source::memory(rows));
        }
        for run in runs.iter() {
            sources.extend(run.cursor(from)?.map(|cursor| Source::Run(Box::new(cursor))));
        }
        Ok((sources, reach))
    }

    /// Puts changes into the delta; what is applied last wins.
    pub fn apply(&self, changes: Vec<Change>) {
        let mut state = self.write();
        for change in changes {
            state.delta.put(change);
        }
    }

    /// For replay: ignores a change older than what is known of its key, a tombstone included. One thread at a time.
    pub fn apply_if_newer(&self, changes: Vec<Change>) -> Result<(), RowsError> {
        for change in changes {
            if self.seq_of(&change.key)?.is_none_or(|known| change.seq >= known) {
                self.write().delta.put(change);
            }
        }
        Ok(())
    }

    /// Memory taken by the delta, an estimate; the frozen delta is not counted.
    pub fn delta_bytes(&self) -> usize {
        self.read().delta.bytes
    }

    /// Sets aside everything applied so far, to be written under `mark`. Cheap. False, and nothing done, when the last frozen delta is not
    /// written yet or there is nothing to write.
    pub fn freeze(&self, mark: Vec<u8>) -> bool {
        let mut state = self.write();
        if state.frozen.is_some() || state.delta.rows.is_empty() {
            return false;
        }
        let delta = std::mem::take(&mut state.delta);
        state.frozen = Some(Arc::new(Frozen { delta, mark }));
        true
    }

    /// Writes the frozen delta, if there is one, as a durable run, then does the merges that are due. Slow; for a background thread.
    /// After an error the frozen delta is still readable, and the next call tries again.
    pub fn write_frozen(&self) -> Result<(), RowsError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let frozen = self.read().frozen.clone();
        if let Some(frozen) = frozen {
            self.write_delta(&frozen)?;
        }
        self.notice(self.merge_due_runs())
    }

    fn write_delta(&self, frozen: &Frozen) -> Result<(), RowsError> {
        let newest = self.read().runs.first().cloned();
        let lineage = Lineage::upon(newest.as_deref()).map_err(io_error(&self.dir))?;
        let number = newest.map_or(1, |newest| newest.span.to + 1);
        let span = Span { from: number, to: number };
        let mut writer = RunWriter::create(&self.dir, span, self.shape, frozen.delta.rows.len() as u64)?;
        for (key, (seq, value)) in &frozen.delta.rows {
            writer.push(&Entry { key, seq: *seq, value: value.as_deref() })?;
        }
        let run = Arc::new(writer.finish(lineage, &frozen.mark)?);
        let mut state = self.write();
        state.runs = std::iter::once(run).chain(state.runs.iter().cloned()).collect();
        state.frozen = None;
        Ok(())
    }

    /// The runs, newest first.
    pub fn runs(&self) -> Vec<RunSummary> {
        let runs = Arc::clone(&self.read().runs);
        let summary = |run: &Arc<Run>| RunSummary {
            name: run.span.name(),
            pages: run.footer.pages,
            rows: run.footer.rows,
            bytes: run.footer.bytes,
        };
        runs.iter().map(summary).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The runs in `dir`, the widest first; what a crash left is removed if it may be.
fn spans(dir: &Path, removes: bool) -> Result<Vec<Span>, RowsError> {
    let mut spans = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error(dir))? {
        let path = entry.map_err(io_error(dir))?.path();
        let name = sled_dir::name_of(&path);
        if name.starts_with(TEMPORARY) || name.ends_with(".dead") {
            if removes {
                fs::remove_dir_all(&path).map_err(io_error(&path))?;
            }
        } else if let Some(span) = Span::parse(&name) {
            spans.push(span);
        } else {
            tracing::warn!(path = %path.display(), "not part of the catalog, left alone");
        }
    }
    spans.sort_by_key(|span| (span.from.abs_diff(span.to), span.from));
    spans.reverse();
    Ok(spans)
}

/// An error unless each run, oldest first, lies upon the one before it.
fn require_chain(runs: &[Arc<Run>]) -> Result<(), RowsError> {
    let (mut before, mut below) = (0, [0; 16]);
    for run in runs {
        if run.span.from != before + 1 {
            return Err(RowsError::Gap { run: run.span.name(), before });
        }
        if run.footer.lineage.below != below {
            let reason = "it does not belong to the run before it".to_owned();
            return Err(RowsError::Unreadable { run: run.span.name(), reason });
        }
        (before, below) = (run.span.to, run.footer.lineage.own);
    }
    Ok(())
}

/// Opens what is complete. A run inside a complete one is superseded; one without a footer was never completed. Both are removed if they may be.
fn open_runs(dir: &Path, spans: Vec<Span>, shape: Shape, removes: bool) -> Result<Vec<Arc<Run>>, RowsError> {
    let mut runs: Vec<Arc<Run>> = Vec::new();
    for span in spans {
        let superseded = runs.iter().any(|run| run.span.contains(span));
        let run = if superseded { None } else { Run::open(dir, span, shape)? };
        match run {
            Some(run) => runs.push(Arc::new(run)),
            None if !removes => {}
            None => {
                tracing::info!(run = span.name(), superseded, "a catalog run is removed");
                sled_dir::remove(&dir.join(span.name()))?;
            }
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests;
