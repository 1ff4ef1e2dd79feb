//! Splits a `multipart/form-data` body (RFC 7578) while it arrives: contents leave as slices of the pieces that came in.
//!
//! Promises: however a body is cut into pieces, the events and the joined contents are the same; what is kept between two
//! pieces is at most one part's headers or one line; an error stays an error. A delimiter is CR LF, `--boundary`, then `--`
//! or blanks and CR LF; everything else inside a part is content, `--boundaryX` on a line of its own and lines that end in a
//! bare LF too. Part headers that end in a bare LF are refused: guessing there would mean guessing where contents begin.
//! Never: buffers or copies contents, decodes a part's transfer encoding, says `finish` before the closing boundary.

use bytes::{Buf, Bytes};
use memchr::memchr;

use super::delimiter::{Delimiter, Found};
use super::part_head::{self, Params};
use crate::model::limits::{
    BOUNDARY_BYTES_MAX, DELIMITER_PADDING_BYTES_MAX, MULTIPART_PADDING_BYTES_MAX, PART_HEADERS_BYTES_MAX,
};

/// What the splitter saw next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A part's headers are complete.
    PartBegin {
        /// The form field's name; none when the part has no `Content-Disposition: form-data` with a name.
        name: Option<String>,
        /// The file's name as its device wrote it, which need not be UTF-8.
        filename: Option<Vec<u8>>,
    },
    /// The next bytes of the part's content; never empty.
    Data(Bytes),
    /// The part is complete.
    PartEnd,
}

/// Why a body is no multipart body we can trust. The texts repeat nothing of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The content type is another one.
    #[error("The content type is not multipart/form-data.")]
    NotMultipart,
    /// The header's boundary cannot be used.
    #[error("The multipart boundary is not 1 to 70 printable characters, or is given twice.")]
    BadBoundary,
    /// The header names no boundary, and neither does the body.
    #[error("No multipart boundary is given, and the body's first line is not one.")]
    NoBoundary,
    /// More than [`MULTIPART_PADDING_BYTES_MAX`] around the parts.
    #[error("There are too many bytes before the first or after the last multipart boundary.")]
    PaddingTooLong,
    /// More than [`PART_HEADERS_BYTES_MAX`] in one part.
    #[error("The headers of a multipart part are too long.")]
    HeadersTooLong,
    /// A line that is no `name: value` ended by CR LF.
    #[error("A header of a multipart part is malformed; its lines must end in CR LF.")]
    BadHeader,
    /// A `Content-Disposition` that cannot be read in one way only.
    #[error("A part's Content-Disposition is malformed.")]
    BadDisposition,
    /// A part in base64 or quoted-printable: storing it as it is would store the wrong bytes.
    #[error("A part has a Content-Transfer-Encoding; send its bytes as they are.")]
    EncodedPart,
    /// Bytes follow the closing boundary on its own line.
    #[error("The closing multipart boundary is followed by other bytes on its line.")]
    BadClose,
    /// The body ended early.
    #[error("The multipart body ended before its closing boundary.")]
    Truncated,
}

impl MultipartError {
    /// The name of this error for machines; it never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotMultipart => "not_multipart",
            Self::BadBoundary => "bad_boundary",
            Self::NoBoundary => "no_boundary",
            Self::PaddingTooLong => "multipart_padding_too_long",
            Self::HeadersTooLong => "part_headers_too_long",
            Self::BadHeader => "bad_part_header",
            Self::BadDisposition => "bad_content_disposition",
            Self::EncodedPart => "part_transfer_encoding",
            Self::BadClose => "bad_closing_boundary",
            Self::Truncated => "multipart_truncated",
        }
    }
}

/// The boundary that a `Content-Type` names. `None` when it is multipart without one, see [`Splitter::sniffing`].
pub fn boundary_of(content_type: &str) -> Result<Option<String>, MultipartError> {
    let (kind, rest) = content_type.split_at(content_type.find(';').unwrap_or(content_type.len()));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(MultipartError::NotMultipart);
    }
    let mut boundary = None;
    for param in Params::new(rest.as_bytes()) {
        let (key, value) = param.map_err(|_| MultipartError::BadBoundary)?;
        if key.eq_ignore_ascii_case(b"boundary") && boundary.replace(checked_boundary(&value)?).is_some() {
            return Err(MultipartError::BadBoundary);
        }
    }
    Ok(boundary)
}

/// Printable ASCII without a blank at the end. No CR in it is what lets [`Delimiter`] keep a number instead of bytes.
fn checked_boundary(bytes: &[u8]) -> Result<String, MultipartError> {
    let printable = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    if bytes.is_empty() || bytes.len() > BOUNDARY_BYTES_MAX || bytes.ends_with(b" ") || !printable {
        return Err(MultipartError::BadBoundary);
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| MultipartError::BadBoundary)
}

/// Takes a body's pieces in order and gives [`Event`]s.
#[derive(Debug)]
pub struct Splitter {
    state: State,
    delimiter: Delimiter,
}

#[derive(Debug)]
enum State {
    /// Sniffing: the first line so far.
    FirstLine(Vec<u8>),
    /// Before the first delimiter: bytes ignored so far.
    Preamble(usize),
    /// The part's headers so far.
    Head(Vec<u8>),
    Content,
    /// After the closing delimiter: bytes ignored so far.
    Epilogue(usize),
    Failed(MultipartError),
}

impl Splitter {
    /// A splitter for the boundary that the request's header named.
    pub fn new(boundary: &str) -> Result<Self, MultipartError> {
        let boundary = checked_boundary(boundary.as_bytes())?;
        Ok(Self { state: State::Preamble(0), delimiter: Delimiter::at_line_start(&boundary) })
    }

    /// A splitter that takes the boundary from the body's first line, for clients which lose the header's parameter.
    pub fn sniffing() -> Self {
        Self { state: State::FirstLine(Vec::new()), delimiter: Delimiter::new("") }
    }

    /// The next event. `piece` shrinks by what was read; `None` when it is used up and the next one is wanted.
    pub fn next(&mut self, piece: &mut Bytes) -> Result<Option<Event>, MultipartError> {
        let event = self.read(piece);
        if let Err(error) = event {
            self.state = State::Failed(error);
        }
        event
    }

    /// Gives all events of a piece to `sink`, which ends the splitting by an error of its own.
    pub fn push<E: From<MultipartError>>(
        &mut self,
        mut piece: Bytes,
        sink: &mut impl FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(event) = self.next(&mut piece)? {
            sink(event)?;
        }
        Ok(())
    }

    /// To be asked at the body's end: only now are the parts known to be all there.
    pub fn finish(&self) -> Result<(), MultipartError> {
        match self.state {
            State::Epilogue(_) => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(MultipartError::Truncated),
        }
    }

    fn read(&mut self, piece: &mut Bytes) -> Result<Option<Event>, MultipartError> {
        loop {
            if let State::Failed(error) = self.state {
                return Err(error);
            }
            if piece.is_empty() {
                return Ok(None);
            }
            if let Some(event) = self.step(piece)? {
                return Ok(Some(event));
            }
        }
    }

    fn step(&mut self, piece: &mut Bytes) -> Result<Option<Event>, MultipartError> {
        match &mut self.state {
            State::FirstLine(line) => {
                if let Some(boundary) = sniff(line, piece)? {
                    self.delimiter = Delimiter::new(&boundary);
                    self.state = State::Head(Vec::new());
                }
            }
            State::Preamble(seen) => match self.delimiter.step(piece) {
                Found::Other(bytes) => skip(seen, bytes.len())?,
                Found::Next => self.state = State::Head(Vec::new()),
                Found::Close => self.state = State::Epilogue(0),
                Found::Nothing => {}
            },
            State::Head(head) => {
                if gather_head(head, piece)? {
                    let part = part_head::parse(head)?;
                    self.state = State::Content;
                    return Ok(Some(Event::PartBegin { name: part.name, filename: part.filename }));
                }
            }
            State::Content => return Ok(self.content(piece)),
            State::Epilogue(seen) => {
                if *seen == 0 && !matches!(piece.first(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
                    return Err(MultipartError::BadClose);
                }
                skip(seen, piece.len())?;
                piece.clear();
            }
            State::Failed(error) => return Err(*error),
        }
        Ok(None)
    }

    fn content(&mut self, piece: &mut Bytes) -> Option<Event> {
        match self.delimiter.step(piece) {
            Found::Other(bytes) => return Some(Event::Data(bytes)),
            Found::Next => self.state = State::Head(Vec::new()),
            Found::Close => self.state = State::Epilogue(0),
            Found::Nothing => return None,
        }
        Some(Event::PartEnd)
    }
}

fn skip(seen: &mut usize, bytes: usize) -> Result<(), MultipartError> {
    *seen = seen.saturating_add(bytes);
    if *seen > MULTIPART_PADDING_BYTES_MAX { Err(MultipartError::PaddingTooLong) } else { Ok(()) }
}

/// Moves bytes from `piece` to `line` up to its LF. The boundary when the line is complete.
fn sniff(line: &mut Vec<u8>, piece: &mut Bytes) -> Result<Option<String>, MultipartError> {
    const LINE_BYTES_MAX: usize = 2 + BOUNDARY_BYTES_MAX + DELIMITER_PADDING_BYTES_MAX + 2;
    let complete = gather_line(line, piece, LINE_BYTES_MAX);
    if !complete {
        return if line.len() < LINE_BYTES_MAX { Ok(None) } else { Err(MultipartError::NoBoundary) };
    }
    let boundary = line.strip_prefix(b"--").and_then(|rest| rest.strip_suffix(b"\r\n"));
    let boundary = boundary.map(|bytes| checked_boundary(bytes.trim_ascii_end()));
    boundary.and_then(Result::ok).map(Some).ok_or(MultipartError::NoBoundary)
}

/// Moves lines from `piece` to `head`; true when the empty line that ends the headers is in.
fn gather_head(head: &mut Vec<u8>, piece: &mut Bytes) -> Result<bool, MultipartError> {
    while !piece.is_empty() {
        let line_complete = gather_line(head, piece, PART_HEADERS_BYTES_MAX);
        if line_complete && !head.ends_with(b"\r\n") {
            return Err(MultipartError::BadHeader);
        }
        if head == b"\r\n" || head.ends_with(b"\r\n\r\n") {
            return Ok(true);
        }
        if head.len() >= PART_HEADERS_BYTES_MAX {
            return Err(MultipartError::HeadersTooLong);
        }
    }
    Ok(false)
}

/// Moves bytes from `piece` to `lines` until a LF came over, `lines` is full, or `piece` is used up; true for the LF.
fn gather_line(lines: &mut Vec<u8>, piece: &mut Bytes, lines_bytes_max: usize) -> bool {
    let room = lines_bytes_max.saturating_sub(lines.len()).min(piece.len());
    let end = memchr(b'\n', &piece[..room]);
    let taken = end.map_or(room, |at| at + 1);
    lines.extend_from_slice(&piece[..taken]);
    piece.advance(taken);
    end.is_some()
}
