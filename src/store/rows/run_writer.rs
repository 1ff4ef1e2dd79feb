//! Writes one run: rows in key order in, a complete and durable directory under its final name out.
//! Promises that the final name appears last, after everything behind it is synced. An error leaves only a `tmp-` directory,
//! which the next attempt or the next start removes; it never touches another run.

use std::fs;
use std::path::{Path, PathBuf};

use super::RowsError;
use super::filter::{Filter, Probe};
use super::page::{self, Builder, Entry, FOOTER_PAGE, Index};
use super::pages::{FOOTER_KEY, FOOTER_TREE, PAGES_PER_TREE, PageFile};
use super::run::{Footer, Lineage, Run, Span};
use super::sled_dir::{self, io_error};
use crate::store::shape::Shape;

/// A page is closed before it would grow over this. Measured at 8, 16 and 32 KiB, see ARCHITECTURE.md.
const PAGE_BYTES: usize = 16 * 1024;
const TAIL_PIECE_BYTES: usize = 64 * 1024;
/// sled queues buffers without a limit.
const FLUSH_BYTES: usize = 4 * 1024 * 1024;
/// sled keeps what was written until its handle goes.
const RECYCLE_BYTES: usize = 32 * 1024 * 1024;

pub(super) const TEMPORARY: &str = "tmp-";

pub(super) struct RunWriter {
    catalog: PathBuf,
    dir: PathBuf,
    span: Span,
    shape: Shape,
    db: Option<sled::Db>,
    tree: Option<(u32, sled::Tree)>,
    page: Builder,
    index: Index,
    filter: Filter,
    pages: u32,
    rows: u64,
    bytes: u64,
    unflushed: usize,
    unrecycled: usize,
}

impl RunWriter {
    /// Starts the run `span` of at most `rows_max` rows in a temporary directory.
    pub fn create(catalog: &Path, span: Span, shape: Shape, rows_max: u64) -> Result<RunWriter, RowsError> {
        let dir = catalog.join(format!("{TEMPORARY}{}", span.name()));
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(io_error(&dir))?;
        }
        Ok(RunWriter {
            catalog: catalog.to_owned(),
            db: Some(sled_dir::open(&dir, shape.segment)?),
            dir,
            span,
            shape,
            tree: None,
            page: Builder::new(),
            index: Index::default(),
            filter: Filter::for_rows(rows_max),
            pages: 0,
            rows: 0,
            bytes: 0,
            unflushed: 0,
            unrecycled: 0,
        })
    }

    /// Adds a row; its key is above all keys before it.
    pub fn push(&mut self, entry: &Entry<'_>) -> Result<(), RowsError> {
        let bytes_max = self.shape.segment.value_bytes_max();
        if !self.page.is_empty() && self.page.bytes_with(entry) > PAGE_BYTES.min(bytes_max) {
            self.end_page()?;
        }
        if self.page.is_empty() {
            if self.page.bytes_with(entry) > bytes_max {
                return Err(RowsError::RowTooLarge {
                    key_bytes: entry.key.len(),
                    value_bytes: entry.value.map_or(0, <[u8]>::len),
                });
            }
            // the first page takes every key below the second
            let separator = if self.rows == 0 { &[] } else { self.page.separator(entry.key) };
            self.index.push(separator);
        }
        self.page.push(entry);
        self.filter.add(Probe::of(entry.key));
        self.rows += 1;
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), RowsError> {
        let page = self.page.finish(self.span.place(self.shape.key, self.pages));
        self.put(page)
    }

    fn db(&mut self) -> Result<&sled::Db, RowsError> {
        let db = match self.db.take() {
            Some(db) => db,
            None => sled_dir::open_existing(&self.dir, self.shape.segment)?,
        };
        Ok(self.db.insert(db))
    }

    fn put(&mut self, page: Vec<u8>) -> Result<(), RowsError> {
        let number = self.pages / PAGES_PER_TREE;
        if self.tree.as_ref().is_none_or(|(open, _)| *open != number) {
            self.tree = None;
            self.make_room()?;
            let dir = self.dir.clone();
            let db = self.db()?;
            self.tree = Some((number, sled_dir::guarded(&dir, || db.open_tree(number.to_be_bytes()))?));
        }
        let (bytes, key) = (page.len(), self.pages.to_be_bytes());
        if let Some((_, tree)) = &self.tree {
            sled_dir::guarded(&self.dir, || tree.insert(key, page))?;
        }
        self.pages += 1;
        self.bytes += bytes as u64;
        self.unflushed += bytes;
        self.unrecycled += bytes;
        Ok(())
    }

    /// Between two trees: hands over what sled holds, and now and then closes the handle to free its memory.
    fn make_room(&mut self) -> Result<(), RowsError> {
        if self.unrecycled >= RECYCLE_BYTES {
            self.close()?;
        } else if self.unflushed >= FLUSH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RowsError> {
        let dir = self.dir.clone();
        let db = self.db()?;
        sled_dir::guarded(&dir, || db.flush())?;
        self.unflushed = 0;
        Ok(())
    }

    fn close(&mut self) -> Result<(), RowsError> {
        self.tree = None;
        self.flush()?;
        self.unrecycled = 0;
        self.db.take().map_or(Ok(()), |db| sled_dir::close(&self.dir, db))
    }

    fn put_tail(&mut self) -> Result<(u32, u64), RowsError> {
        let mut tail = Vec::new();
        self.index.write(&mut tail);
        let index_bytes = tail.len() as u64;
        self.filter.write(&mut tail);
        let first = self.pages;
        let bytes_max = self.shape.segment.value_bytes_max() - page::HEAD_BYTES;
        for piece in tail.chunks(TAIL_PIECE_BYTES.min(bytes_max)) {
            let mut page = vec![0; page::HEAD_BYTES];
            page.extend_from_slice(piece);
            page::seal(&mut page, self.span.place(self.shape.key, self.pages));
            self.put(page)?;
        }
        Ok((self.pages - first, index_bytes))
    }

    /// Completes the run, makes it durable and gives it its name.
    pub fn finish(mut self, lineage: Lineage, mark: &[u8]) -> Result<Run, RowsError> {
        if !self.page.is_empty() {
            self.end_page()?;
        }
        let pages = self.pages;
        let (tail_pages, index_bytes) = self.put_tail()?;
        let (rows, bytes, mark) = (self.rows, self.bytes, mark.to_vec());
        let footer = Footer { lineage, pages, tail_pages, index_bytes, rows, bytes, mark };
        let (dir, sealed) = (self.dir.clone(), footer.seal(self.span.place(self.shape.key, FOOTER_PAGE)));
        let db = self.db()?;
        sled_dir::guarded(&dir, || db.open_tree(FOOTER_TREE)?.insert(FOOTER_KEY, sealed))?;
        self.close()?;
        // sled opens its database again on the way, to give memory back: what it lost in doing so must not be believed.
        PageFile::in_dir(dir, self.span, self.shape).require_whole(pages + tail_pages)?;
        self.publish()?;
        let RunWriter { catalog, span, shape, index, filter, .. } = self;
        Ok(Run::written(PageFile::at(&catalog, span, shape), span, footer, index, filter))
    }

    fn publish(&self) -> Result<(), RowsError> {
        sled_dir::settle(&self.dir)?;
        let name = self.catalog.join(self.span.name());
        if name.exists() {
            sled_dir::remove(&name)?; // published by an attempt whose last sync failed; nobody has seen it
        }
        fs::rename(&self.dir, &name).map_err(io_error(&name))?;
        sled_dir::sync(&self.catalog)
    }
}
