//! Finds pieces in the bytes of a database file without sled's help: blocks of a volume, pages of a catalog run. They carry
//! checksums of their own, so nobody has to trust sled's structures around them; and reading writes nothing, while sled writes
//! when it opens a database, and over damage it does not understand.
//!
//! Promise: only pieces that verify are given out, and never one that lies inside another. A bad sector hides what lies in it and
//! no more, and is remembered, so that nobody takes "could not be read" for "was never there". A list of where the pieces lie
//! saves looking for them; one that is not right costs a look through the file and nothing else. Reads in windows.

mod blocks;
mod list;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use memchr::memmem;

pub use self::blocks::{BlockKind, store_of};
use super::block::BLOCK_BYTES_MAX;
use super::shape::BlockKey;

/// Read at once; a piece that crosses the end of a window is found whole in the next one.
const WINDOW_BYTES: usize = 2 << 20;
/// No piece is longer.
const PIECE_BYTES_MAX: usize = BLOCK_BYTES_MAX;
/// What a disk loses at once.
const SECTOR_BYTES: usize = 4096;

/// What a piece says of itself: its number and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Its number.
    pub number: u32,
    /// Its length in bytes.
    pub bytes: usize,
}

/// How one kind of piece is recognised.
pub trait Kind {
    /// What each begins with.
    const MAGIC: [u8; 4];

    /// What the piece says of itself that `bytes` begin with, if it verifies.
    fn verify(&self, bytes: &[u8]) -> Option<Piece>;

    /// The key of the store's checksums.
    fn key(&self) -> &BlockKey;
}

/// Where a piece lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    number: u32,
    bytes: u32,
    at: u64,
}

/// A database file by its pieces. The file is opened, and its pieces are found, when they are first asked for.
#[derive(Debug)]
pub struct PieceFile<K> {
    kind: K,
    known: Mutex<Known>,
    /// Held while the file is looked through, so that one reader does it and the others wait for what it finds.
    looking: Mutex<()>,
    /// Whether the file was looked through, and every piece in it is where the list says.
    is_proven: AtomicBool,
}

/// What was found, and how often it was forgotten: what is found by a look that began before that is not kept.
#[derive(Debug, Default)]
struct Known {
    pieces: Option<Arc<Pieces>>,
    forgotten: u64,
}

impl<K: Kind> PieceFile<K> {
    /// A file with pieces of this kind; nothing is opened yet.
    pub fn of(kind: K) -> Self {
        Self { kind, known: Mutex::default(), looking: Mutex::new(()), is_proven: AtomicBool::new(false) }
    }

    /// The bytes of a piece that verifies, from the database file at `path`; `None` when there is none to be had, and an error for
    /// which [`is_bad_sector`] holds when the disk does not give it. In a file that `grows`, what was found once is not all.
    pub fn get(&self, path: &Path, number: u32, grows: bool) -> io::Result<Option<Bytes>> {
        let pieces = self.pieces(path)?;
        if let Some(piece) = pieces.read(&self.kind, number)? {
            return Ok(Some(piece));
        }
        if pieces.listed {
            return self.get_despite_list(path, &pieces, number);
        }
        if !grows {
            return Ok(None);
        }
        let more = self.look(path, &pieces, pieces.end())?;
        match more.read(&self.kind, number)? {
            Some(piece) => Ok(Some(piece)),
            None => self.look(path, &pieces, 0)?.read(&self.kind, number),
        }
    }

    /// What the list says of a piece is not so: the piece is damaged, or the list is wrong. The file is looked through once. A list that
    /// is right is kept: what lies in a damaged piece may be whole, and nothing else tells where it is.
    fn get_despite_list(&self, path: &Path, listed: &Pieces, number: u32) -> io::Result<Option<Bytes>> {
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_proven.load(Ordering::Acquire) {
            return Ok(None);
        }
        if let Some(others) = self.known().filter(|known| !known.listed) {
            // Who waited before us has found it wrong.
            return others.read(&self.kind, number);
        }
        let forgotten = self.lock().forgotten;
        let found = self.scan(File::open(path)?)?;
        if found.spots.iter().all(|spot| listed.spot(spot.number) == Some(*spot)) {
            self.is_proven.store(true, Ordering::Release);
            return Ok(None);
        }
        // The next start writes another.
        let _ = remove_list(path);
        self.keep(found, forgotten).read(&self.kind, number)
    }

    /// What is known of where its pieces lie, if they were looked for.
    pub fn known(&self) -> Option<Arc<Pieces>> {
        self.lock().pieces.clone()
    }

    /// The highest number there is.
    pub fn last(&self, path: &Path, grows: bool) -> io::Result<Option<u32>> {
        let pieces = self.pieces(path)?;
        let pieces = if grows && !pieces.listed { self.look(path, &pieces, pieces.end())? } else { pieces };
        Ok(pieces.last())
    }

    /// Whether the piece numbers are exactly `wanted`, in order.
    pub fn holds(&self, path: &Path, wanted: impl Iterator<Item = u32>) -> io::Result<bool> {
        Ok(self.pieces(path)?.spots.iter().map(|spot| spot.number).eq(wanted))
    }

    /// Forgets what was found and closes the file.
    pub fn close(&self) {
        let mut known = self.lock();
        known.pieces = None;
        known.forgotten += 1;
    }

    /// Writes down beside the database where its pieces lie, unless that was done; says whether it was done now. For files that
    /// nobody writes any more.
    pub fn write_list(&self, path: &Path) -> io::Result<bool> {
        let at = list::beside(path);
        if at.exists() {
            return Ok(false);
        }
        let pieces = self.scan(File::open(path)?)?;
        if !pieces.unreadable {
            list::write(&at, self.kind.key(), pieces.file.metadata()?.len(), &pieces.spots)?;
        }
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pieces(&self, path: &Path) -> io::Result<Arc<Pieces>> {
        if let Some(pieces) = &self.lock().pieces {
            return Ok(Arc::clone(pieces));
        }
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = {
            let known = self.lock();
            if let Some(pieces) = &known.pieces {
                return Ok(Arc::clone(pieces));
            }
            known.forgotten
        };
        let file = File::open(path)?;
        let spots = list::read(&list::beside(path), self.kind.key(), file.metadata()?.len());
        let pieces = match spots {
            Some(spots) => Pieces { file, spots, unreadable: false, listed: true },
            None => self.scan(file)?,
        };
        Ok(self.keep(pieces, forgotten))
    }

    /// Looks through the file from `from` on, unless somebody has since `before` was found.
    fn look(&self, path: &Path, before: &Arc<Pieces>, from: u64) -> io::Result<Arc<Pieces>> {
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = {
            let known = self.lock();
            match &known.pieces {
                Some(pieces) if from > 0 && !Arc::ptr_eq(pieces, before) => return Ok(Arc::clone(pieces)),
                _ => known.forgotten,
            }
        };
        let mut found = Pieces::scan_from(File::open(path)?, from, K::MAGIC, |bytes| self.kind.verify(bytes))?;
        if from > 0 {
            found.add(before);
        }
        Ok(self.keep(found, forgotten))
    }

    fn keep(&self, pieces: Pieces, forgotten: u64) -> Arc<Pieces> {
        let pieces = Arc::new(pieces);
        let mut known = self.lock();
        if known.forgotten == forgotten {
            known.pieces = Some(Arc::clone(&pieces));
        }
        pieces
    }

    fn scan(&self, file: File) -> io::Result<Pieces> {
        Pieces::scan(file, K::MAGIC, |bytes| self.kind.verify(bytes))
    }
}

/// Whether the disk itself failed to read, which is a loss like any other damage.
pub fn is_bad_sector(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}

/// Whether the file at `path` is such a list, or the beginning of one.
pub fn is_list(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == list::NAME)
}

/// Removes the list beside the database at `path`, which is going to be written.
pub fn remove_list(path: &Path) -> io::Result<()> {
    match fs::remove_file(list::beside(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Pieces found in a file, by number.
#[derive(Debug)]
pub struct Pieces {
    file: File,
    spots: Vec<Spot>,
    unreadable: bool,
    listed: bool,
}

impl Pieces {
    /// Looks through `file` for pieces that begin with `magic` and that `verify` accepts.
    pub fn scan(file: File, magic: [u8; 4], verify: impl FnMut(&[u8]) -> Option<Piece>) -> io::Result<Self> {
        Self::scan_from(file, 0, magic, verify)
    }

    /// The same from a place on where no piece lies across.
    fn scan_from(
        file: File,
        mut from: u64,
        magic: [u8; 4],
        mut verify: impl FnMut(&[u8]) -> Option<Piece>,
    ) -> io::Result<Self> {
        let mut pieces = Self { file, spots: Vec::new(), unreadable: false, listed: false };
        let mut window = vec![0; WINDOW_BYTES];
        let mut free = from;
        loop {
            let filled = pieces.fill(&mut window, from)?;
            for offset in memmem::find_iter(&window[..filled], &magic) {
                let at = from + offset as u64;
                // What lies inside a piece is content, whatever it looks like.
                let piece = if at < free { None } else { verify(&window[offset..filled]) };
                if let Some(Piece { number, bytes }) = piece {
                    pieces.spots.push(Spot { number, bytes: bytes as u32, at });
                    free = at + bytes as u64;
                }
            }
            if filled < WINDOW_BYTES {
                break;
            }
            from += (WINDOW_BYTES - PIECE_BYTES_MAX) as u64;
        }
        pieces.sort();
        Ok(pieces)
    }

    /// By number. sled may have moved a piece: either place of it is as good.
    fn sort(&mut self) {
        self.spots.sort_by_key(|spot| (spot.number, spot.at));
        self.spots.dedup_by_key(|spot| spot.number);
    }

    /// Adds what an earlier look found.
    fn add(&mut self, earlier: &Self) {
        self.spots.extend_from_slice(&earlier.spots);
        self.unreadable |= earlier.unreadable;
        self.sort();
    }

    /// Where the last of them ends in the file.
    fn end(&self) -> u64 {
        self.spots.iter().map(|spot| spot.at + u64::from(spot.bytes)).max().unwrap_or(0)
    }

    /// The highest number found.
    pub fn last(&self) -> Option<u32> {
        self.spots.last().map(|spot| spot.number)
    }

    /// Whether parts of the file could not be read, so that a missing piece may be there.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// How long a piece is.
    pub fn length(&self, number: u32) -> Option<usize> {
        self.spot(number).map(|spot| spot.bytes as usize)
    }

    /// Bytes of a piece from `from` on, which nobody has verified; nothing when it does not have so many.
    pub fn read_part(&self, number: u32, from: usize, out: &mut [u8]) -> Option<()> {
        let spot = self.spot(number).filter(|spot| from + out.len() <= spot.bytes as usize)?;
        self.file.read_exact_at(out, spot.at + from as u64).ok()
    }

    fn spot(&self, number: u32) -> Option<Spot> {
        self.spots.binary_search_by_key(&number, |spot| spot.number).ok().map(|found| self.spots[found])
    }

    /// A piece that verifies.
    pub fn read(&self, kind: &impl Kind, number: u32) -> io::Result<Option<Bytes>> {
        let Some(Spot { bytes, at, .. }) = self.spot(number) else { return Ok(None) };
        let mut piece = vec![0; bytes as usize];
        let mut read = self.file.read_exact_at(&mut piece, at);
        if read.as_ref().is_err_and(is_bad_sector) {
            // A disk that failed once may do better; what is given up here can be lost to the catalog.
            read = self.file.read_exact_at(&mut piece, at);
        }
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let sound = kind.verify(&piece) == Some(Piece { number, bytes: bytes as usize });
        Ok(sound.then(|| Bytes::from(piece)))
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
