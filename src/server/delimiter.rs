//! Finds the delimiter lines of a multipart body in a stream of pieces.
//!
//! Promises: what is given out is slices of the pieces or of the delimiter's own text. Never: keeps more between two pieces
//! than a number and the blanks behind a boundary, or gives the same byte twice.

use bytes::{Buf, Bytes};
use memchr::{memmem, memrchr};

use crate::model::limits::DELIMITER_PADDING_BYTES_MAX;

/// CR occurs in the delimiter's text only at its start, so a failed match can never hide
/// the start of another one: it is enough to remember how many bytes matched.
#[derive(Debug)]
pub(super) struct Delimiter {
    /// CR LF `--boundary`.
    text: Bytes,
    finder: memmem::Finder<'static>,
    /// How many bytes of `text` were read and match.
    held: usize,
    /// What was read of the line behind the whole `text`.
    line: Vec<u8>,
}

pub(super) enum Found {
    /// Bytes that belong to no delimiter; never empty.
    Other(Bytes),
    /// A delimiter line with its CR LF.
    Next,
    /// The closing delimiter with its two dashes.
    Close,
    /// The piece is used up.
    Nothing,
}

impl Delimiter {
    /// For the contents of a part. The boundary must not contain CR.
    pub(super) fn new(boundary: &str) -> Self {
        let text = [b"\r\n--", boundary.as_bytes()].concat();
        let finder = memmem::Finder::new(&text).into_owned();
        Self { text: Bytes::from(text), finder, held: 0, line: Vec::new() }
    }

    /// For a body's beginning, which counts as a line's beginning: as if a CR LF had been read.
    pub(super) fn at_line_start(boundary: &str) -> Self {
        Self { held: 2, ..Self::new(boundary) }
    }

    /// The next thing in `piece`, which shrinks by it.
    pub(super) fn step(&mut self, piece: &mut Bytes) -> Found {
        while !piece.is_empty() {
            let found = if self.held == 0 {
                self.search(piece)
            } else if self.held < self.text.len() {
                self.resume(piece)
            } else {
                self.line_end(piece)
            };
            if let Some(found) = found {
                return found;
            }
        }
        Found::Nothing
    }

    /// Gives everything before the delimiter's text, or before a tail that may be its beginning.
    fn search(&mut self, piece: &mut Bytes) -> Option<Found> {
        let (start, held) = match self.finder.find(piece) {
            Some(at) => (at, self.text.len()),
            None => {
                let tail = self.tail_bytes(piece);
                (piece.len() - tail, tail)
            }
        };
        let before = piece.split_to(start);
        piece.advance(held);
        self.held = held;
        (!before.is_empty()).then_some(Found::Other(before))
    }

    /// How long the end of `piece` is that could go on to be the delimiter's text.
    fn tail_bytes(&self, piece: &[u8]) -> usize {
        let window = &piece[piece.len().saturating_sub(self.text.len() - 1)..];
        let Some(at) = memrchr(b'\r', window) else { return 0 };
        let tail = &window[at..];
        if self.text.starts_with(tail) { tail.len() } else { 0 }
    }

    /// Goes on with a text that began in an earlier piece.
    fn resume(&mut self, piece: &mut Bytes) -> Option<Found> {
        let rest = &self.text[self.held..];
        let same = rest.iter().zip(piece.iter()).take_while(|(want, got)| want == got).count();
        let open = same == rest.len() || same == piece.len();
        self.held += same;
        piece.advance(same);
        if open {
            return None;
        }
        let text = self.text.slice(..self.held);
        self.held = 0;
        Some(Found::Other(text))
    }

    /// Reads what follows the whole text: `--`, or blanks and CR LF; anything else makes all of it content.
    fn line_end(&mut self, piece: &mut Bytes) -> Option<Found> {
        while let Some(&byte) = piece.first() {
            match (self.line.last(), byte) {
                (None | Some(b' ' | b'\t'), b' ' | b'\t') if self.line.len() < DELIMITER_PADDING_BYTES_MAX => {}
                (None | Some(b' ' | b'\t'), b'\r') | (None, b'-') => {}
                (Some(b'\r'), b'\n') => return Some(self.complete(piece, Found::Next)),
                (Some(b'-'), b'-') => return Some(self.complete(piece, Found::Close)),
                _ => {
                    let read = [&self.text[..], &self.line].concat();
                    self.reset();
                    return Some(Found::Other(Bytes::from(read)));
                }
            }
            self.line.push(byte);
            piece.advance(1);
        }
        None
    }

    fn complete(&mut self, piece: &mut Bytes, found: Found) -> Found {
        piece.advance(1);
        self.reset();
        found
    }

    fn reset(&mut self) {
        self.held = 0;
        self.line.clear();
    }
}
