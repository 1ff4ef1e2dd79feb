//! The bytes of an export: head, frames, trailer. `FORMAT.md` draws them.
//!
//! Promise: what [`StreamReader`] hands out is what [`StreamWriter`] was given, in the same order, and its end is the end:
//! nothing is missing, added or behind it. Holds one frame, whose memory grows with the bytes that really arrive.
//! Never looks into a frame.

use std::io::{self, Read, Write};

use super::super::error::Error;
use super::super::frame::{self, Frame, FrameHeader, FrameKind};
use super::super::header::Counters;

/// The first bytes of every export; the line's end shows a transfer that changes such things.
pub const MAGIC: [u8; 16] = *b"RBackup export\r\n";
/// The version this program writes, and the newest it reads.
pub const VERSION: u32 = 1;
/// Bytes before the first frame.
pub const HEAD_BYTES: usize = MAGIC.len() + 4 + 16 + 3 * 4 + frame::HASH_BYTES;
/// The first byte of the trailer; no kind of frame has it.
const TRAILER: u8 = 0xff;
const TRAILER_FIELDS_BYTES: usize = 9 * 8;
/// The largest chunk a store may be cut to, sealed, and the largest record lie below.
const STORED_BYTES_MAX: u32 = (16 << 20) + (64 << 10);
/// Taken before anything of a frame has arrived.
const STORED_BYTES_FIRST: usize = 256 << 10;

/// What a stream says before its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The store it was made from.
    pub store: [u8; 16],
    /// Sizes chunks are cut to: minimum, average, maximum. Cut otherwise, known data would be stored again.
    pub chunk_bytes: [u32; 3],
}

/// How many frames of each kind a stream has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Chunks.
    pub chunks: u64,
    /// Manifests.
    pub manifests: u64,
    /// Parts of restic objects.
    pub parts: u64,
    /// Records.
    pub records: u64,
    /// Damaged places of the store that were left out.
    pub left_out: u64,
}

/// What a stream says behind its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// What lay before it.
    pub counts: Counts,
    /// The store's next ids.
    pub counters: Counters,
}

/// What comes next in a stream.
#[derive(Debug)]
pub enum Item {
    /// A frame whose hash verified.
    Frame(Frame),
    /// The end; everything before it verified.
    End(Trailer),
}

/// Whether a frame says something about the store, and not about the volume it lies in.
pub fn is_content(kind: FrameKind) -> bool {
    kind.has_id() || kind == FrameKind::Record
}

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.store);
        self.chunk_bytes.iter().for_each(|size| bytes.extend_from_slice(&size.to_le_bytes()));
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(&hash.as_bytes()[..frame::HASH_BYTES]);
        bytes
    }
}

impl Counts {
    fn add(&mut self, kind: FrameKind) {
        match kind {
            FrameKind::Chunk => self.chunks += 1,
            FrameKind::Manifest => self.manifests += 1,
            FrameKind::Part => self.parts += 1,
            FrameKind::Record => self.records += 1,
            FrameKind::Header | FrameKind::Footer | FrameKind::End => {}
        }
    }

    /// All frames.
    pub fn frames(&self) -> u64 {
        self.chunks + self.manifests + self.parts + self.records
    }
}

impl Trailer {
    fn encode(&self) -> [u8; TRAILER_FIELDS_BYTES] {
        let Counts { chunks, manifests, parts, records, left_out } = self.counts;
        let Counters { seq, version, file, account } = self.counters;
        let numbers = [chunks, manifests, parts, records, left_out, seq, version, file, account];
        let mut bytes = [0; TRAILER_FIELDS_BYTES];
        for (field, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn parse(bytes: &[u8; TRAILER_FIELDS_BYTES]) -> Self {
        let mut numbers = [0; 9];
        for (number, field) in numbers.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *number = u64::from_le_bytes(*field);
        }
        let [chunks, manifests, parts, records, left_out, seq, version, file, account] = numbers;
        Self {
            counts: Counts { chunks, manifests, parts, records, left_out },
            counters: Counters { seq, version, file, account },
        }
    }
}

/// Writes a stream.
pub struct StreamWriter<'a> {
    out: &'a mut dyn Write,
    hasher: blake3::Hasher,
    counts: Counts,
}

impl<'a> StreamWriter<'a> {
    /// Begins a stream.
    pub fn begin(out: &'a mut dyn Write, head: &Head) -> Result<Self, Error> {
        let mut stream = Self { out, hasher: blake3::Hasher::new(), counts: Counts::default() };
        stream.put(&head.encode())?;
        Ok(stream)
    }

    /// Adds a frame with content.
    pub fn frame(&mut self, frame: &Frame) -> Result<(), Error> {
        let head = frame.header.encode();
        self.counts.add(frame.header.kind);
        self.put(&head)?;
        self.put(&frame.stored)?;
        self.put(&frame::hash(&head, &frame.stored))
    }

    /// Counts something that could not be read.
    pub fn leave_out(&mut self) {
        self.counts.left_out += 1;
    }

    /// Ends the stream.
    pub fn finish(mut self, counters: Counters) -> Result<Counts, Error> {
        self.put(&[TRAILER])?;
        self.put(&Trailer { counts: self.counts, counters }.encode())?;
        let hash = self.hasher.finalize();
        self.out.write_all(hash.as_bytes()).and_then(|()| self.out.flush()).map_err(writing)?;
        Ok(self.counts)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hasher.update(bytes);
        self.out.write_all(bytes).map_err(writing)
    }
}

/// Reads a stream.
pub struct StreamReader<'a> {
    input: &'a mut dyn Read,
    hasher: blake3::Hasher,
    at: u64,
    head: Head,
    counts: Counts,
}

impl<'a> StreamReader<'a> {
    /// Reads the head; [`Error::NotExport`] when this is none.
    pub fn open(input: &'a mut dyn Read) -> Result<Self, Error> {
        let head = Head { store: [0; 16], chunk_bytes: [0; 3] };
        let mut stream = Self { input, hasher: blake3::Hasher::new(), at: 0, head, counts: Counts::default() };
        stream.magic()?;
        let mut version = [0; 4];
        stream.take(&mut version, "its head")?;
        match u32::from_le_bytes(version) {
            VERSION => {}
            found if found > VERSION => return Err(Error::NewerExport { found, known: VERSION }),
            _ => return Err(stream.damaged("its version is none")),
        }
        let mut fields = [0; HEAD_BYTES - MAGIC.len() - 4 - frame::HASH_BYTES];
        stream.take(&mut fields, "its head")?;
        let expected = stream.hasher.finalize();
        let mut hash = [0; frame::HASH_BYTES];
        stream.take(&mut hash, "its head")?;
        if hash != expected.as_bytes()[..frame::HASH_BYTES] {
            return Err(stream.damaged("the hash of its head differs"));
        }
        stream.head.store.copy_from_slice(&fields[..16]);
        for (size, field) in stream.head.chunk_bytes.iter_mut().zip(fields[16..].as_chunks::<4>().0) {
            *size = u32::from_le_bytes(*field);
        }
        Ok(stream)
    }

    /// What the stream said first.
    pub fn head(&self) -> Head {
        self.head
    }

    /// What comes next. After the end nothing may be asked.
    pub fn item(&mut self) -> Result<Item, Error> {
        let mut first = [0];
        self.take(&mut first, "its trailer")?;
        if first == [TRAILER] { self.trailer().map(Item::End) } else { self.frame(first[0]).map(Item::Frame) }
    }

    /// An error about what was read last.
    pub fn damaged(&self, reason: &str) -> Error {
        Error::BadExport { at: self.at, reason: reason.to_owned() }
    }

    /// Bytes that begin like an export and then end are one that was cut; anything else is none.
    fn magic(&mut self) -> Result<(), Error> {
        let mut begin = Vec::with_capacity(MAGIC.len());
        Read::by_ref(&mut self.input).take(MAGIC.len() as u64).read_to_end(&mut begin).map_err(reading)?;
        self.hasher.update(&begin);
        self.at = begin.len() as u64;
        match begin.as_slice() {
            whole if whole == MAGIC => Ok(()),
            cut if MAGIC.starts_with(cut) => Err(self.damaged("it ends before its head is whole")),
            _ => Err(Error::NotExport),
        }
    }

    fn frame(&mut self, first: u8) -> Result<Frame, Error> {
        let mut head = [first; frame::HEADER_BYTES];
        self.take(&mut head[1..], "a frame")?;
        let header = FrameHeader::parse(&head)
            .filter(|header| is_content(header.kind) && header.stored_len <= STORED_BYTES_MAX)
            .ok_or_else(|| self.damaged("what should be a frame is none"))?;
        let stored = self.stored(header.stored_len as usize)?;
        let mut hash = [0; frame::HASH_BYTES];
        self.take(&mut hash, "a frame")?;
        if hash != frame::hash(&head, &stored) {
            return Err(self.damaged("the hash of a frame differs"));
        }
        self.counts.add(header.kind);
        Ok(Frame { header, stored })
    }

    /// Reads what a frame stores. What is not there costs no memory, whatever the length says.
    fn stored(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        let mut stored = Vec::with_capacity(length.min(STORED_BYTES_FIRST));
        Read::by_ref(&mut self.input).take(length as u64).read_to_end(&mut stored).map_err(reading)?;
        self.hasher.update(&stored);
        self.at += stored.len() as u64;
        if stored.len() == length { Ok(stored) } else { Err(self.damaged("it ends before a frame is whole")) }
    }

    fn trailer(&mut self) -> Result<Trailer, Error> {
        let mut fields = [0; TRAILER_FIELDS_BYTES];
        self.take(&mut fields, "its trailer")?;
        let expected = self.hasher.finalize();
        let mut hash = [0; blake3::OUT_LEN];
        self.take(&mut hash, "its trailer")?;
        if hash != *expected.as_bytes() {
            return Err(self.damaged("the hash of the whole differs"));
        }
        let trailer = Trailer::parse(&fields);
        if trailer.counts != (Counts { left_out: trailer.counts.left_out, ..self.counts }) {
            return Err(self.damaged("it has other frames than its trailer counts"));
        }
        let mut behind = Vec::new();
        Read::by_ref(&mut self.input).take(1).read_to_end(&mut behind).map_err(reading)?;
        if behind.is_empty() { Ok(trailer) } else { Err(self.damaged("there are bytes behind its end")) }
    }

    fn take(&mut self, out: &mut [u8], part: &str) -> Result<(), Error> {
        self.input.read_exact(out).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(&format!("it ends before {part} is whole")),
            _ => reading(error),
        })?;
        self.hasher.update(out);
        self.at += out.len() as u64;
        Ok(())
    }
}

fn reading(source: io::Error) -> Error {
    Error::Stream { doing: "reading", source }
}

fn writing(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoSpace,
        _ => Error::Stream { doing: "writing", source },
    }
}
