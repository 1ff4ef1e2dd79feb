//! What lies directly in a folder, in the order of the paths' bytes. A folder's own content is passed over, not read.

use std::collections::VecDeque;

use super::{behind, is_separator, next_path};
use crate::store::{Catalog, Error, PathEntry};

/// Rows read first, and behind a folder that was passed over: there the next entry may be one more.
const ROWS_FEW: usize = 16;
/// Rows read at a time where files follow each other.
const ROWS_MANY: usize = 1024;

/// A folder's direct child.
#[derive(Debug, PartialEq, Eq)]
pub enum Child {
    /// A folder.
    Folder {
        /// Its path with the separator at its end.
        path: Vec<u8>,
        /// The first file below it.
        first: u64,
    },
    /// A file.
    File(PathEntry),
}

/// The walk over them.
pub struct Children<'a> {
    catalog: &'a Catalog,
    account: u64,
    device: u32,
    folder: &'a [u8],
    /// The first path that was not looked at yet; none at the end.
    from: Option<Vec<u8>>,
    read: VecDeque<PathEntry>,
    rows: usize,
}

impl<'a> Children<'a> {
    /// The children of `folder` from the path `from` on; `folder` is empty or ends with a separator.
    pub fn new(catalog: &'a Catalog, account: u64, device: u32, folder: &'a [u8], from: Vec<u8>) -> Self {
        let from = Some(from.max(folder.to_vec()));
        Self { catalog, account, device, folder, from, read: VecDeque::new(), rows: ROWS_FEW }
    }

    fn child(&mut self) -> Result<Option<Child>, Error> {
        loop {
            if let Some(entry) = self.read.pop_front() {
                return Ok(Some(self.name(entry)));
            }
            let Some(from) = self.from.take() else { return Ok(None) };
            let until = (!self.folder.is_empty()).then(|| behind(self.folder));
            let read = self.catalog.paths(self.account, self.device, &from, until.as_deref(), self.rows)?;
            if read.len() == self.rows {
                self.from = read.last().map(|last| next_path(&last.path));
            }
            self.rows = (self.rows * 4).min(ROWS_MANY);
            self.read = read.into();
            if self.read.is_empty() {
                return Ok(None);
            }
        }
    }

    fn name(&mut self, entry: PathEntry) -> Child {
        let name = entry.path.get(self.folder.len()..).unwrap_or_default();
        let Some(end) = name.iter().position(|byte| is_separator(*byte)) else { return Child::File(entry) };
        let path = entry.path[..=self.folder.len() + end].to_vec();
        self.pass(&path);
        Child::Folder { path, first: entry.file }
    }

    /// Goes on behind a folder.
    fn pass(&mut self, folder: &[u8]) {
        while self.read.front().is_some_and(|entry| entry.path.starts_with(folder)) {
            self.read.pop_front();
        }
        if let (true, Some(from)) = (self.read.is_empty(), &mut self.from) {
            *from = behind(folder).max(std::mem::take(from));
            self.rows = ROWS_FEW;
        }
    }
}

impl Iterator for Children<'_> {
    type Item = Result<Child, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.child().transpose()
    }
}
