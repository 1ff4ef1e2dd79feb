//! The pages of one run by their numbers: through sled, or straight from the bytes of its file where sled refuses.
//! Promises that a page is handed out only when it verifies for its run and number. It never creates a database, and never opens a
//! tree that the caller does not know to exist.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, PoisonError, RwLock};

use super::RowsError;
use super::page::{self, FOOTER_PAGE};
use super::run::Span;
use super::sled_dir;
use crate::store::raw::{Piece, Pieces};
use crate::store::shape::Shape;

/// A tree that ends at nine values is written exactly once; the tenth would rewrite its leaf.
pub(super) const PAGES_PER_TREE: u32 = 9;
pub(super) const FOOTER_TREE: &[u8] = b"footer";
pub(super) const FOOTER_KEY: &[u8] = &[0];

/// A run's database. Readers run in parallel; the handle is closed and opened again as memory demands.
pub(super) struct PageFile {
    span: Span,
    shape: Shape,
    dir: PathBuf,
    handle: RwLock<Option<Handle>>,
    found: OnceLock<Pieces>,
}

enum Handle {
    Sled(sled::Db),
    /// sled refused it; the pages are found in the file.
    Raw,
}

impl PageFile {
    pub fn at(catalog: &Path, span: Span, shape: Shape) -> PageFile {
        PageFile { span, shape, dir: catalog.join(span.name()), handle: RwLock::new(None), found: OnceLock::new() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A page that verifies; `None` when there is no such page to be had.
    pub fn page(&self, number: u32) -> Result<Option<sled::IVec>, RowsError> {
        let place = self.span.place(self.shape.key, number);
        let sound = |page: &sled::IVec| page::open(page, place).is_some();
        let refused = match self.by_sled(number) {
            Ok(Some(page)) if sound(&page) => return Ok(Some(page)),
            Ok(Some(_)) => Some(RowsError::Damaged { run: self.span.name(), page: number }),
            Ok(None) => None,
            // Without a file there is nothing to look through.
            Err(error @ RowsError::Missing { .. }) => return Err(error),
            Err(error) => Some(error),
        };
        let found = self.pieces()?.get(number).map_err(sled_dir::io_error(&self.dir))?;
        match (found.map(sled::IVec::from).filter(sound), refused) {
            (Some(page), _) => Ok(Some(page)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }

    /// Closes the handle, which is what gives sled's memory back; the next read opens it again.
    pub fn close(&self) -> Result<(), RowsError> {
        match self.handle.write().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Handle::Sled(db)) => sled_dir::close(&self.dir, db),
            Some(Handle::Raw) | None => Ok(()),
        }
    }

    fn by_sled(&self, number: u32) -> Result<Option<sled::IVec>, RowsError> {
        loop {
            match &*self.handle.read().unwrap_or_else(PoisonError::into_inner) {
                Some(Handle::Sled(db)) => return sled_dir::guarded(&self.dir, || value(db, number)),
                Some(Handle::Raw) => return Err(RowsError::Damaged { run: self.span.name(), page: number }),
                None => {}
            }
            let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
            if handle.is_none() {
                *handle = Some(self.open()?);
            }
        }
    }

    fn open(&self) -> Result<Handle, RowsError> {
        match sled_dir::open_existing(&self.dir, self.shape.segment) {
            Ok(db) => Ok(Handle::Sled(db)),
            Err(RowsError::Missing { run }) => Err(RowsError::Missing { run }),
            Err(error) => {
                let run = self.span.name();
                tracing::error!(run, %error, "sled refuses a catalog run; its pages are read without it");
                Ok(Handle::Raw)
            }
        }
    }

    fn pieces(&self) -> Result<&Pieces, RowsError> {
        if let Some(pieces) = self.found.get() {
            return Ok(pieces);
        }
        let (span, key) = (self.span, self.shape.key);
        let pieces = Pieces::scan(&self.dir.join("db"), &page::MAGIC, |bytes| {
            let (number, bytes) = page::open_first(bytes, |number| span.place(key, number))?;
            Some(Piece { number, bytes })
        });
        let pieces = pieces.map_err(|error| match error.kind() {
            // A removal that did not come to its end leaves a directory without its database.
            io::ErrorKind::NotFound => RowsError::Missing { run: self.span.name() },
            _ => sled_dir::io_error(&self.dir)(error),
        })?;
        Ok(self.found.get_or_init(|| pieces))
    }
}

fn value(db: &sled::Db, number: u32) -> sled::Result<Option<sled::IVec>> {
    if number == FOOTER_PAGE {
        let written = db.tree_names().iter().any(|name| name == FOOTER_TREE);
        return if written { db.open_tree(FOOTER_TREE)?.get(FOOTER_KEY) } else { Ok(None) };
    }
    db.open_tree((number / PAGES_PER_TREE).to_be_bytes())?.get(number.to_be_bytes())
}
