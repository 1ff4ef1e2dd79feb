//! The pages of one run by their numbers, read from the bytes of its file: sled is not opened for reading.
//! Promises that a page is handed out only when it verifies for its run and number. It never changes a run; the list of its pages is written beside it.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::RowsError;
use super::page::{self, FOOTER_PAGE};
use super::run::Span;
use super::sled_dir;
use crate::store::raw::{self, Kind, Piece, PieceFile};
use crate::store::shape::{BlockKey, Shape};

/// A tree that ends at nine values is written exactly once; the tenth would rewrite its leaf.
pub(super) const PAGES_PER_TREE: u32 = 9;
pub(super) const FOOTER_TREE: &[u8] = b"footer";
pub(super) const FOOTER_KEY: &[u8] = &[0];

/// A run's database. Readers run in parallel.
pub(super) struct PageFile {
    span: Span,
    dir: PathBuf,
    pieces: PieceFile<PageKind>,
}

/// The pages of one run.
struct PageKind {
    span: Span,
    key: BlockKey,
}

impl Kind for PageKind {
    const MAGIC: [u8; 4] = page::MAGIC;

    fn verify(&self, bytes: &[u8]) -> Option<Piece> {
        let (number, bytes) = page::open_first(bytes, |number| self.span.place(self.key, number))?;
        Some(Piece { number, bytes })
    }

    fn key(&self) -> &BlockKey {
        &self.key
    }
}

impl PageFile {
    /// The run `span` below `catalog`.
    pub fn at(catalog: &Path, span: Span, shape: Shape) -> PageFile {
        Self::in_dir(catalog.join(span.name()), span, shape)
    }

    /// The run `span` in a directory of another name.
    pub fn in_dir(dir: PathBuf, span: Span, shape: Shape) -> PageFile {
        PageFile { span, dir, pieces: PieceFile::of(PageKind { span, key: shape.key }) }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A page that verifies; `None` when there is no such page to be had.
    pub fn page(&self, number: u32) -> Result<Option<Bytes>, RowsError> {
        match self.pieces.get(&self.file(), number, false) {
            Err(error) if raw::is_bad_sector(&error) => {
                tracing::error!(run = self.span.name(), page = number, "the disk cannot read a page of the catalog");
                Err(RowsError::Damaged { run: self.span.name(), page: number })
            }
            read => read.map_err(|error| self.failed(error)),
        }
    }

    /// An error unless all of `pages` pages and the footer are in the file; writes down where they lie.
    pub fn require_whole(&self, pages: u32) -> Result<(), RowsError> {
        let file = self.file();
        let whole = self.pieces.write_list(&file).and_then(|_| {
            let wanted = (0..pages).chain([FOOTER_PAGE]);
            self.pieces.holds(&file, wanted)
        });
        if whole.map_err(|error| self.failed(error))? {
            return Ok(());
        }
        Err(RowsError::Unreadable {
            run: self.span.name(),
            reason: "what was just written does not read back".to_owned(),
        })
    }

    fn file(&self) -> PathBuf {
        self.dir.join("db")
    }

    fn failed(&self, error: io::Error) -> RowsError {
        match error.kind() {
            // A removal that did not come to its end leaves a directory without its database.
            io::ErrorKind::NotFound => RowsError::Missing { run: self.span.name() },
            _ => sled_dir::io_error(&self.dir)(error),
        }
    }
}
