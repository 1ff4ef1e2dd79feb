//! Finds pieces in the bytes of a database file without sled's help: blocks of a volume, pages of a catalog run. They carry
//! checksums of their own, so what sled refuses to open, for damage or for want of room, can still be read.
//!
//! Promise: only pieces that verify are found, and never one that lies inside another. A bad sector hides what lies in it and
//! no more, and is remembered, so that nobody takes "could not be read" for "was never there". Reads in windows; never writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem;

use super::block::{self, BLOCK_BYTES_MAX};
use super::frame::{Frame, FrameKind};
use super::header::VolumeHeader;
use super::place::Address;
use super::shape::BlockKey;

/// Read at once; a piece that crosses the end of a window is found whole in the next one.
const WINDOW_BYTES: usize = 8 << 20;
/// No piece is longer.
const PIECE_BYTES_MAX: usize = BLOCK_BYTES_MAX;
/// What a disk loses at once.
const SECTOR_BYTES: usize = 4096;

/// Pieces found in a file, by number.
#[derive(Debug)]
pub struct Pieces {
    file: File,
    places: BTreeMap<u32, (u64, u32)>,
    unreadable: bool,
}

/// What a piece says of itself: its number and its length.
pub struct Piece {
    /// Its number.
    pub number: u32,
    /// Its length in bytes.
    pub bytes: usize,
}

impl Pieces {
    /// Looks through `path` for pieces that begin with `magic` and that `verify` accepts.
    pub fn scan(path: &Path, magic: &[u8], mut verify: impl FnMut(&[u8]) -> Option<Piece>) -> io::Result<Self> {
        let mut pieces = Self { file: File::open(path)?, places: BTreeMap::new(), unreadable: false };
        let mut window = vec![0; WINDOW_BYTES];
        let (mut from, mut free) = (0, 0);
        loop {
            let filled = pieces.fill(&mut window, from)?;
            for at in memmem::find_iter(&window[..filled], magic) {
                let place = from + at as u64;
                // What lies inside a piece is content, whatever it looks like.
                let found = if place < free { None } else { verify(&window[at..filled]) };
                if let Some(found) = found {
                    pieces.places.entry(found.number).or_insert((place, found.bytes as u32));
                    free = place + found.bytes as u64;
                }
            }
            if filled < WINDOW_BYTES {
                return Ok(pieces);
            }
            from += (WINDOW_BYTES - PIECE_BYTES_MAX) as u64;
        }
    }

    /// The bytes of a piece; the caller verifies them again. `None` when there is none of that number.
    pub fn get(&self, number: u32) -> io::Result<Option<Vec<u8>>> {
        let Some((at, bytes)) = self.places.get(&number).copied() else { return Ok(None) };
        let mut piece = vec![0; bytes as usize];
        self.file.read_exact_at(&mut piece, at)?;
        Ok(Some(piece))
    }

    /// The highest number found.
    pub fn last(&self) -> Option<u32> {
        self.places.last_key_value().map(|(number, _)| *number)
    }

    /// Whether parts of the file could not be read, so that a missing piece may be there.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// Fills the window from `from` on; sectors that cannot be read become zeros.
    fn fill(&mut self, window: &mut [u8], from: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < window.len() {
            match self.file.read_at(&mut window[filled..], from + filled as u64) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => match self.sector(&mut window[filled..], from + filled as u64)? {
                    0 => break,
                    more => filled += more,
                },
            }
        }
        Ok(filled)
    }

    /// Reads up to the end of one sector, or skips it.
    fn sector(&mut self, window: &mut [u8], at: u64) -> io::Result<usize> {
        let length = self.file.metadata()?.len().saturating_sub(at);
        let rest = SECTOR_BYTES - (at % SECTOR_BYTES as u64) as usize;
        let wanted = rest.min(window.len()).min(usize::try_from(length).unwrap_or(usize::MAX));
        if self.file.read_exact_at(&mut window[..wanted], at).is_err() {
            window[..wanted].fill(0);
            self.unreadable = true;
        }
        Ok(wanted)
    }
}

/// The store that the header of a volume in the file at `path` names, whoever's volume it is.
pub fn store_of(path: &Path) -> io::Result<Option<[u8; 16]>> {
    let mut store = None;
    Pieces::scan(path, &block::MAGIC, |bytes| {
        let frame = Frame::parse(bytes.get(block::HEADER_BYTES..)?).filter(|f| f.header.kind == FrameKind::Header)?;
        let header = VolumeHeader::parse(&frame.stored)?;
        store.get_or_insert(header.store);
        Some(Piece { number: header.volume, bytes: block::HEADER_BYTES })
    })?;
    Ok(store)
}

/// The blocks of a volume.
#[derive(Debug)]
pub struct Blocks {
    pieces: Pieces,
    /// The furthest end that any of them calls acknowledged.
    pub acknowledged: Address,
}

impl Blocks {
    /// The blocks of volume `number` in the file at `path`.
    pub fn scan(path: &Path, number: u32, key: &BlockKey) -> io::Result<Self> {
        let mut acknowledged = Address::START;
        let pieces = Pieces::scan(path, &block::MAGIC, |bytes| {
            let (header, bytes) = block::parse_first(key, bytes).filter(|(header, _)| header.volume == number)?;
            acknowledged = acknowledged.max(header.acknowledged);
            Some(Piece { number: header.number, bytes })
        })?;
        Ok(Self { pieces, acknowledged })
    }

    /// A block by its number.
    pub fn get(&self, number: u32) -> io::Result<Option<Vec<u8>>> {
        self.pieces.get(number)
    }

    /// The number of the last block.
    pub fn last(&self) -> Option<u32> {
        self.pieces.last()
    }

    /// Whether parts of the file could not be read.
    pub fn is_unreadable(&self) -> bool {
        self.pieces.is_unreadable()
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::{BlockHeader, HEADER_BYTES};
    use super::*;

    fn block(key: &BlockKey, number: u32, payload: &[u8]) -> Vec<u8> {
        let header =
            BlockHeader { volume: 7, number, seq: 1, first_frame: None, acknowledged: Address::new(number, 0) };
        let mut block = vec![0; HEADER_BYTES];
        block.extend_from_slice(payload);
        block::finish(key, &header, &mut block);
        block
    }

    fn scan(bytes: &[u8], key: &BlockKey) -> Blocks {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        Blocks::scan(file.path(), 7, key).expect("read")
    }

    #[test]
    fn a_block_is_found_wherever_it_lies_and_a_damaged_one_is_not() {
        let key = BlockKey::of([1; 16]);
        let sound = block(&key, 3, &vec![0x5A; BLOCK_BYTES_MAX - HEADER_BYTES]);
        let mut damaged = block(&key, 9, &[0x5A; 500]);
        damaged[400] ^= 1;
        for before in [0, 1000, WINDOW_BYTES - BLOCK_BYTES_MAX - 1, WINDOW_BYTES - 100, WINDOW_BYTES] {
            let found = scan(&[vec![0xEE; before], sound.clone(), damaged.clone()].concat(), &key);
            assert_eq!(found.acknowledged, Address::new(3, 0), "behind {before} bytes");
            assert_eq!(found.get(3).expect("read").as_ref(), Some(&sound));
            assert_eq!((found.last(), found.get(9).expect("read")), (Some(3), None));
        }
        assert_eq!(scan(&sound, &BlockKey::of([2; 16])).last(), None, "another store's");
    }

    #[test]
    fn a_block_inside_a_block_is_content() {
        let key = BlockKey::of([1; 16]);
        let inner = block(&key, 5, b"an old block that somebody backed up");
        let outer = block(&key, 4, &inner);
        let found = scan(&outer, &key);
        assert_eq!((found.last(), found.get(5).expect("read")), (Some(4), None));
        assert_eq!(scan(&[outer, inner].concat(), &key).last(), Some(5), "beside it, it is one");
    }
}
