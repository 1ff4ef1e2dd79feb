//! Walks several sorted sources as one: the lowest key first, and of equal keys only the newest source's row.
//! Promises that an older row never hides a newer one. It never copies a row, and gives tombstones to its caller.

use std::sync::Arc;

use super::RowsError;
use super::page::Entry;
use super::run::Cursor;

/// A row of the delta, shared with it.
#[derive(Clone)]
pub(super) struct Held {
    pub key: Arc<[u8]>,
    pub seq: u64,
    pub value: Option<Arc<[u8]>>,
}

/// Where rows come from; it always stands on a row.
pub(super) enum Source {
    Memory { rows: Vec<Held>, at: usize },
    Run(Box<Cursor>),
}

impl Source {
    /// A source over rows from memory; `None` when there are none.
    pub fn memory(rows: Vec<Held>) -> Option<Source> {
        (!rows.is_empty()).then_some(Source::Memory { rows, at: 0 })
    }

    fn key(&self) -> &[u8] {
        match self {
            Source::Memory { rows, at } => &rows[*at].key,
            Source::Run(cursor) => cursor.key(),
        }
    }

    fn entry(&self) -> Entry<'_> {
        match self {
            Source::Memory { rows, at } => {
                Entry { key: &rows[*at].key, seq: rows[*at].seq, value: rows[*at].value.as_deref() }
            }
            Source::Run(cursor) => cursor.entry(),
        }
    }

    fn advance(&mut self) -> Result<bool, RowsError> {
        match self {
            Source::Memory { rows, at } if *at + 1 < rows.len() => {
                *at += 1;
                Ok(true)
            }
            Source::Memory { .. } => Ok(false),
            Source::Run(cursor) => cursor.advance(),
        }
    }
}

/// The merged walk.
pub(super) struct Merge {
    /// newest first
    sources: Vec<Source>,
    /// the sources that still have rows, by key, equal keys by age
    order: Vec<usize>,
}

impl Merge {
    /// `sources` are given newest first.
    pub fn new(sources: Vec<Source>) -> Merge {
        let mut order: Vec<usize> = (0..sources.len()).collect();
        order.sort_by(|a, b| sources[*a].key().cmp(sources[*b].key()).then(a.cmp(b)));
        Merge { sources, order }
    }

    /// The row the walk stands on; `None` at the end.
    pub fn entry(&self) -> Option<Entry<'_>> {
        self.order.first().map(|source| self.sources[*source].entry())
    }

    /// Moves behind the key the walk stands on, in every source.
    pub fn advance(&mut self) -> Result<(), RowsError> {
        while let [first, second, ..] = *self.order
            && self.sources[first].key() == self.sources[second].key()
        {
            self.advance_at(1)?;
        }
        if self.order.is_empty() { Ok(()) } else { self.advance_at(0) }
    }

    fn advance_at(&mut self, mut position: usize) -> Result<(), RowsError> {
        let moved = self.order[position];
        if !self.sources[moved].advance()? {
            self.order.remove(position);
            return Ok(());
        }
        while let Some(next) = self.order.get(position + 1).copied()
            && (self.sources[next].key(), next) < (self.sources[moved].key(), moved)
        {
            self.order.swap(position, position + 1);
            position += 1;
        }
        Ok(())
    }
}
