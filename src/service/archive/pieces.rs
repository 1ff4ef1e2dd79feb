//! An archive's bytes from any place on, piece by piece: headers are made when they are reached, content is read when it is.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::{Archive, zip};
use crate::service::download::Held;
use crate::service::error::Error;

/// Small pieces are sent together in about such.
const GATHERED_BYTES: usize = 256 << 10;

type Piece = Result<Bytes, Error>;

/// The bytes of `range`.
pub fn read(archive: Archive, range: Range<u64>) -> impl Iterator<Item = Piece> + Send + 'static {
    let left = range.end.saturating_sub(range.start);
    let parts = Parts { archive, next: Part::Local(0), at: 0, skip: range.start, left, content: None };
    Gathered { parts, held: None }
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum Part {
    Local(usize),
    Content(usize),
    Central(usize),
    End,
    Nothing,
}

struct Parts {
    archive: Archive,
    next: Part,
    /// Where the entry whose line comes next begins.
    at: u64,
    /// Bytes before the range.
    skip: u64,
    left: u64,
    content: Option<Box<dyn Iterator<Item = Piece> + Send>>,
}

impl Iterator for Parts {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while self.left > 0 {
            if let Some(content) = &mut self.content {
                match content.next() {
                    Some(piece) => return Some(self.counted(piece)),
                    None => self.content = None,
                }
                continue;
            }
            match self.part() {
                Ok(Some(bytes)) => return Some(self.counted(Ok(bytes))),
                Ok(None) => {}
                Err(error) => return Some(self.counted(Err(error))),
            }
        }
        None
    }
}

impl Parts {
    /// Takes a piece off what is left; after an error nothing is.
    fn counted(&mut self, piece: Piece) -> Piece {
        self.left = piece.as_ref().map_or(0, |bytes| self.left.saturating_sub(bytes.len() as u64));
        piece
    }

    /// Goes on by one part: its bytes, or nothing when it lies before the range or its content comes in pieces.
    fn part(&mut self) -> Result<Option<Bytes>, Error> {
        let plan = &self.archive.plan;
        let entries = &plan.entries;
        let (directory_at, directory_len) = plan.directory;
        match self.next {
            Part::Local(nth) => {
                let Some(entry) = entries.get(nth) else {
                    self.next = Part::Central(0);
                    return Ok(None);
                };
                self.next = Part::Content(nth);
                if self.passes(zip::local_len(entry)) {
                    return Ok(None);
                }
                let bytes = zip::local(&self.archive.plan.entries[nth]);
                Ok(self.cut(bytes))
            }
            Part::Content(nth) => {
                self.next = Part::Local(nth + 1);
                let size = entries[nth].size;
                if self.passes(size) { Ok(None) } else { self.open(nth) }
            }
            Part::Central(nth) => {
                let Some(entry) = entries.get(nth) else {
                    self.next = Part::End;
                    return Ok(None);
                };
                let at = self.at;
                let (len, bytes) = (zip::central_len(entry, at), zip::central(entry, at));
                self.at += zip::local_len(entry) + entry.size;
                self.next = Part::Central(nth + 1);
                if self.passes(len) { Ok(None) } else { Ok(self.cut(bytes)) }
            }
            Part::End => {
                let bytes = zip::end(entries.len() as u64, directory_len, directory_at);
                self.next = Part::Nothing;
                Ok(self.cut(bytes))
            }
            Part::Nothing => Err(Error::Internal("the archive is shorter than its plan".into())),
        }
    }

    /// Whether the next so many bytes lie before the range.
    fn passes(&mut self, bytes: u64) -> bool {
        let is_before = self.skip >= bytes;
        if is_before {
            self.skip -= bytes;
        }
        is_before
    }

    fn cut(&mut self, bytes: Vec<u8>) -> Option<Bytes> {
        let mut bytes = Bytes::from(bytes);
        drop(bytes.split_to((std::mem::take(&mut self.skip) as usize).min(bytes.len())));
        bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        Some(bytes)
    }

    fn open(&mut self, nth: usize) -> Result<Option<Bytes>, Error> {
        let entry = &self.archive.plan.entries[nth];
        let Some(version) = entry.version else {
            let bytes = self.archive.plan.missing.clone().into_bytes();
            return Ok(self.cut(bytes));
        };
        let from = std::mem::take(&mut self.skip);
        let until = entry.size.min(from.saturating_add(self.left));
        let download = self.archive.inner.open_download(&self.archive.caller, version, Held::Too)?;
        self.content = Some(Box::new(download.read(from..until)));
        Ok(None)
    }
}

/// Puts small pieces together: each costs a way between threads.
struct Gathered {
    parts: Parts,
    /// What came behind those that were put together.
    held: Option<Piece>,
}

impl Iterator for Gathered {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let mut together = BytesMut::new();
        loop {
            match self.held.take().or_else(|| self.parts.next()) {
                Some(Ok(piece)) if together.len() + piece.len() <= GATHERED_BYTES => together.extend_from_slice(&piece),
                other if together.is_empty() => return other,
                other => {
                    self.held = other;
                    return Some(Ok(together.freeze()));
                }
            }
        }
    }
}
