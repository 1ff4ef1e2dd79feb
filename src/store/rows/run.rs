//! One immutable sorted run of the catalog: a sled database of pages, written once, then only read.
//! Promises that a run under its final name is complete and durable, and that a page is verified before a row of it is used:
//! damage is an error, never other data. It never changes a run.
//!
//! ```text
//! tree n (u32 BE)  pages 9n … 9n+8 under their number (u32 BE): rows, then the tail (index ‖ filter) in pieces
//! tree "footer"    key 0, sealed as page FFFFFFFF: magic · own 16 · below 16 · pages u32 · tail pages u32 · index bytes u64 ·
//!                  rows u64 · bytes u64 · mark
//! ```

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::RowsError;
use super::filter::{Filter, Probe};
use super::page::{self, Entry, FOOTER_PAGE, Index, Place, Reader};
use super::pages::PageFile;
use super::sled_dir;
use crate::model::random::random;
use crate::store::shape::{BlockKey, Shape};

const FOOTER_MAGIC: &[u8; 4] = b"RBr2";
/// What a run says about itself in its footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Footer {
    pub lineage: Lineage,
    pub pages: u32,
    pub tail_pages: u32,
    pub index_bytes: u64,
    pub rows: u64,
    pub bytes: u64,
    pub mark: Vec<u8>,
}

/// Which run this is and which it lies upon: so that a run put back from a copy is not taken for a part of this catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lineage {
    /// Random, and kept when the newest of several runs is merged with those below it.
    pub own: [u8; 16],
    /// That of the run below; zeros for the oldest.
    pub below: [u8; 16],
}

impl Lineage {
    /// A new run's upon `below`.
    pub fn upon(below: Option<&Run>) -> io::Result<Lineage> {
        Ok(Lineage { own: random()?, below: below.map_or([0; 16], |run| run.footer.lineage.own) })
    }
}

impl Footer {
    pub fn seal(&self, place: Place) -> Vec<u8> {
        let mut out = vec![0; page::HEAD_BYTES];
        out.extend_from_slice(FOOTER_MAGIC);
        out.extend_from_slice(&self.lineage.own);
        out.extend_from_slice(&self.lineage.below);
        out.extend_from_slice(&self.pages.to_le_bytes());
        out.extend_from_slice(&self.tail_pages.to_le_bytes());
        for number in [self.index_bytes, self.rows, self.bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.mark);
        page::seal(&mut out, place);
        out
    }

    pub fn open(bytes: &[u8], place: Place) -> Option<Footer> {
        let (magic, body) = page::open(bytes, place)?.split_first_chunk::<4>()?;
        let (own, body) = body.split_first_chunk()?;
        let (below, body) = body.split_first_chunk()?;
        let (pages, body) = body.split_first_chunk()?;
        let (tail_pages, body) = body.split_first_chunk()?;
        let (index_bytes, body) = body.split_first_chunk()?;
        let (rows, body) = body.split_first_chunk()?;
        let (bytes, mark) = body.split_first_chunk()?;
        (magic == FOOTER_MAGIC).then(|| Footer {
            lineage: Lineage { own: *own, below: *below },
            pages: u32::from_le_bytes(*pages),
            tail_pages: u32::from_le_bytes(*tail_pages),
            index_bytes: u64::from_le_bytes(*index_bytes),
            rows: u64::from_le_bytes(*rows),
            bytes: u64::from_le_bytes(*bytes),
            mark: mark.to_vec(),
        })
    }
}

/// The numbers in a run's name: it holds checkpoints `from` to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub from: u32,
    pub to: u32,
}

impl Span {
    pub fn parse(name: &str) -> Option<Span> {
        let (from, to) = name.strip_prefix("run-")?.split_once('-')?;
        let span = Span { from: from.parse().ok()?, to: to.parse().ok()? };
        (span.name() == name && span.from <= span.to).then_some(span)
    }

    pub fn name(self) -> String {
        format!("run-{:08}-{:08}", self.from, self.to)
    }

    pub fn place(self, key: BlockKey, page: u32) -> Place {
        Place { key, from: self.from, to: self.to, page }
    }

    pub fn contains(self, other: Span) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

/// What a row lookup in one run gives: the seq, and the value or a tombstone.
pub(super) type Found = (u64, Option<Vec<u8>>);

/// A complete run. Readers run in parallel.
pub(super) struct Run {
    pub span: Span,
    pub footer: Footer,
    index: Index,
    filter: Filter,
    pages: PageFile,
    recent: Mutex<Option<(u32, Bytes)>>,
    superseded: AtomicBool,
}

impl Run {
    /// A run just written: nothing of it has to be read.
    pub fn written(pages: PageFile, span: Span, footer: Footer, index: Index, filter: Filter) -> Run {
        Run { span, footer, index, filter, pages, recent: Mutex::new(None), superseded: AtomicBool::new(false) }
    }

    /// Reads footer and index; `None` when the run has no footer, that is, was never completed.
    pub fn open(catalog: &Path, span: Span, shape: Shape) -> Result<Option<Run>, RowsError> {
        let pages = PageFile::at(catalog, span, shape);
        let Some(footer) = read_footer(&pages, span, shape)? else { return Ok(None) };
        let mut run = Run::written(pages, span, footer, Index::default(), Filter::for_rows(0));
        (run.index, run.filter) = run.read_tail()?;
        Ok(Some(run))
    }

    fn read_tail(&self) -> Result<(Index, Filter), RowsError> {
        let unreadable = |reason: &str| RowsError::Unreadable { run: self.span.name(), reason: reason.to_owned() };
        let mut tail = Vec::new();
        let last = self.footer.pages.checked_add(self.footer.tail_pages).ok_or_else(|| unreadable("page count"))?;
        for number in self.footer.pages..last {
            tail.extend_from_slice(&self.page(number)?[page::HEAD_BYTES..]);
        }
        let (index, filter) = usize::try_from(self.footer.index_bytes)
            .ok()
            .and_then(|bytes| tail.split_at_checked(bytes))
            .ok_or_else(|| unreadable("the index is shorter than the footer says"))?;
        let index = Index::read(index).filter(|index| index.pages() == self.footer.pages);
        Ok((index.ok_or_else(|| unreadable("the index does not fit the footer"))?, Filter::read(filter)))
    }

    /// Looks a key up: one page is read, none when the filter knows better.
    pub fn get(&self, key: &[u8], probe: Probe) -> Result<Option<Found>, RowsError> {
        if !self.filter.may_hold(probe) {
            return Ok(None);
        }
        let Some(number) = self.index.find(key) else { return Ok(None) };
        let page = self.page(number)?;
        let mut reader = Reader::default();
        if !reader.seek(&page, key).map_err(|_| self.damaged(number))? || reader.key() != key {
            return Ok(None);
        }
        let entry = reader.entry(&page);
        Ok(Some((entry.seq, entry.value.map(<[u8]>::to_vec))))
    }

    /// A cursor on the first row whose key is not below `from`; `None` when there is none.
    pub fn cursor(self: &Arc<Run>, from: &[u8]) -> Result<Option<Cursor>, RowsError> {
        if self.footer.pages == 0 {
            return Ok(None);
        }
        let number = self.index.find(from).unwrap_or(0);
        let mut cursor = Cursor { page: self.page(number)?, run: Arc::clone(self), number, reader: Reader::default() };
        if cursor.reader.seek(&cursor.page, from).map_err(|_| self.damaged(number))? || cursor.next_page()? {
            return Ok(Some(cursor));
        }
        Ok(None)
    }

    /// Marks the run as replaced: its directory goes when the last reader is done with it.
    pub fn supersede(&self) {
        self.superseded.store(true, Ordering::Release);
    }

    fn damaged(&self, page: u32) -> RowsError {
        RowsError::Damaged { run: self.span.name(), page }
    }

    fn page(&self, number: u32) -> Result<Bytes, RowsError> {
        if let Some((held, page)) = &*self.recent.lock().unwrap_or_else(PoisonError::into_inner)
            && *held == number
        {
            return Ok(page.clone());
        }
        let page = self.pages.page(number)?.ok_or_else(|| self.damaged(number))?;
        *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, page.clone()));
        Ok(page)
    }
}

/// The footer of a run; `None` when it was never written.
pub(super) fn read_footer(pages: &PageFile, span: Span, shape: Shape) -> Result<Option<Footer>, RowsError> {
    let Some(bytes) = pages.page(FOOTER_PAGE)? else { return Ok(None) };
    let footer = Footer::open(&bytes, span.place(shape.key, FOOTER_PAGE));
    footer
        .map(Some)
        .ok_or_else(|| RowsError::Unreadable { run: span.name(), reason: "the footer does not verify".to_owned() })
}

impl Drop for Run {
    fn drop(&mut self) {
        let removed = if self.superseded.load(Ordering::Acquire) { sled_dir::remove(self.pages.dir()) } else { Ok(()) };
        if let Err(error) = removed {
            tracing::warn!(run = self.span.name(), %error, "a catalog run was not put away; the next start does it");
        }
    }
}

/// Stands on a row of a run; it keeps its page, so that reading on costs no lock.
pub(super) struct Cursor {
    run: Arc<Run>,
    page: Bytes,
    number: u32,
    reader: Reader,
}

impl Cursor {
    pub fn key(&self) -> &[u8] {
        self.reader.key()
    }

    pub fn entry(&self) -> Entry<'_> {
        self.reader.entry(&self.page)
    }

    /// Moves to the next row; false at the end of the run.
    pub fn advance(&mut self) -> Result<bool, RowsError> {
        Ok(self.reader.step(&self.page).map_err(|_| self.run.damaged(self.number))? || self.next_page()?)
    }

    fn next_page(&mut self) -> Result<bool, RowsError> {
        if self.number + 1 >= self.run.footer.pages {
            return Ok(false);
        }
        self.number += 1;
        self.page = self.run.page(self.number)?;
        self.reader = Reader::default();
        self.reader.step(&self.page).map_err(|_| self.run.damaged(self.number))
    }
}
