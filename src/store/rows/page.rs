//! The bytes of a catalog run: pages of sorted rows, and the sparse index that finds the page of a key.
//! Promises that a page or index which was changed, cut short or taken from another place is recognised, never misread.
//! It never does IO and never panics on bytes from outside.
//!
//! ```text
//! page  : "RBp1" · number u32 · bytes u32 · checksum u64 · rows
//!         checksum = keyed BLAKE3-64(run from · run to · page number · rows); magic, number and bytes are for the raw scan
//! row   : shared varint · rest varint · key rest · seq varint · (0 = tombstone | value bytes + 1) varint · value
//! index : pages u32 · end of each separator u32 … · separators
//! ```

use crate::store::shape::BlockKey;

/// Where a page belongs; part of its checksum, so that no page passes for another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub key: BlockKey,
    pub from: u32,
    pub to: u32,
    pub page: u32,
}

/// One row as it lies in a page; `None` is a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub key: &'a [u8],
    pub seq: u64,
    pub value: Option<&'a [u8]>,
}

/// Bytes that do not follow the format.
#[derive(Debug)]
pub(super) struct Malformed;

pub(super) const MAGIC: [u8; 4] = *b"RBp1";
/// The number under which a run's footer is sealed; no page has it.
pub(super) const FOOTER_PAGE: u32 = u32::MAX;
/// Bytes in front of the rows of a page.
pub(super) const HEAD_BYTES: usize = 20;
const CHECKSUM_AT: usize = 12;
const CHECKSUM_BYTES: usize = HEAD_BYTES - CHECKSUM_AT;

fn checksum(body: &[u8], place: Place) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = place.key.hasher();
    for number in [place.from, place.to, place.page] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(body);
    let mut short = [0; CHECKSUM_BYTES];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM_BYTES]);
    short
}

/// Fills in the first bytes of `page`, which were left free for it.
pub(super) fn seal(page: &mut [u8], place: Place) {
    let length = page.len() as u32;
    let (head, body) = page.split_at_mut(HEAD_BYTES);
    head[..4].copy_from_slice(&MAGIC);
    head[4..8].copy_from_slice(&place.page.to_le_bytes());
    head[8..12].copy_from_slice(&length.to_le_bytes());
    head[CHECKSUM_AT..].copy_from_slice(&checksum(body, place));
}

/// The body of a sealed page, when it is what was sealed for this place.
pub(super) fn open(page: &[u8], place: Place) -> Option<&[u8]> {
    let (head, body) = page.split_at_checked(HEAD_BYTES)?;
    let fits = head[..4] == MAGIC && number_in(head) == place.page && length_in(head) == page.len();
    (fits && head[CHECKSUM_AT..] == checksum(body, place)).then_some(body)
}

/// Number and length of the sealed page that `bytes` begin with, whatever follows it.
pub(super) fn open_first(bytes: &[u8], place: impl Fn(u32) -> Place) -> Option<(u32, usize)> {
    let head = bytes.get(..HEAD_BYTES)?;
    let (number, length) = (number_in(head), length_in(head));
    open(bytes.get(..length)?, place(number)).map(|_| (number, length))
}

fn number_in(head: &[u8]) -> u32 {
    u32::from_le_bytes([head[4], head[5], head[6], head[7]])
}

fn length_in(head: &[u8]) -> usize {
    u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_varint(bytes: &[u8], at: &mut usize) -> Result<u64, Malformed> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or(Malformed)?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

fn take_len(bytes: &[u8], at: &mut usize) -> Result<usize, Malformed> {
    usize::try_from(take_varint(bytes, at)?).map_err(|_| Malformed)
}

fn take<'a>(bytes: &'a [u8], at: &mut usize, len: usize) -> Result<&'a [u8], Malformed> {
    let end = at.checked_add(len).ok_or(Malformed)?;
    let taken = bytes.get(*at..end).ok_or(Malformed)?;
    *at = end;
    Ok(taken)
}

fn shared_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// A page under construction; rows are pushed in key order.
pub(super) struct Builder {
    bytes: Vec<u8>,
    last_key: Vec<u8>,
}

impl Builder {
    pub fn new() -> Builder {
        Builder { bytes: vec![0; HEAD_BYTES], last_key: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.len() == HEAD_BYTES
    }

    /// Bytes the page would have with this row, key compression not counted.
    pub fn bytes_with(&self, entry: &Entry<'_>) -> usize {
        const LENGTHS_MAX: usize = 25;
        self.bytes.len() + entry.key.len() + entry.value.map_or(0, <[u8]>::len) + LENGTHS_MAX
    }

    pub fn push(&mut self, entry: &Entry<'_>) {
        let shared = if self.is_empty() { 0 } else { shared_prefix(&self.last_key, entry.key) };
        put_varint(&mut self.bytes, shared as u64);
        put_varint(&mut self.bytes, (entry.key.len() - shared) as u64);
        self.bytes.extend_from_slice(&entry.key[shared..]);
        put_varint(&mut self.bytes, entry.seq);
        put_varint(&mut self.bytes, entry.value.map_or(0, |value| value.len() as u64 + 1));
        self.bytes.extend_from_slice(entry.value.unwrap_or_default());
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&entry.key[shared..]);
    }

    /// The sealed page; the builder is empty afterwards, but still knows its last key.
    pub fn finish(&mut self, place: Place) -> Vec<u8> {
        let mut page = std::mem::replace(&mut self.bytes, vec![0; HEAD_BYTES]);
        seal(&mut page, place);
        page
    }

    /// The shortest key that is above everything pushed so far and not above `key`.
    pub fn separator<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        &key[..key.len().min(shared_prefix(&self.last_key, key) + 1)]
    }
}

/// Walks the rows of one verified page without allocating for each.
#[derive(Default)]
pub(super) struct Reader {
    at: usize,
    key: Vec<u8>,
    seq: u64,
    value: Option<(usize, usize)>,
}

impl Reader {
    /// Moves to the next row of `page` (the first, for a new reader); false at its end.
    pub fn step(&mut self, page: &[u8]) -> Result<bool, Malformed> {
        let mut at = self.at.max(HEAD_BYTES);
        if at >= page.len() {
            return Ok(false);
        }
        let shared = take_len(page, &mut at)?;
        let rest = take_len(page, &mut at)?;
        if shared > self.key.len() {
            return Err(Malformed);
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(take(page, &mut at, rest)?);
        self.seq = take_varint(page, &mut at)?;
        self.value = match take_len(page, &mut at)? {
            0 => None,
            len => {
                take(page, &mut at, len - 1)?;
                Some((at - (len - 1), at))
            }
        };
        self.at = at;
        Ok(true)
    }

    /// Moves to the first row of `page` whose key is not below `key`; false when there is none.
    pub fn seek(&mut self, page: &[u8], key: &[u8]) -> Result<bool, Malformed> {
        while self.step(page)? {
            if self.key.as_slice() >= key {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The row the reader stands on; `page` is the page it was stepped through.
    pub fn entry<'a>(&'a self, page: &'a [u8]) -> Entry<'a> {
        Entry { key: &self.key, seq: self.seq, value: self.value.and_then(|(start, end)| page.get(start..end)) }
    }
}

/// The shortened first key of every page, packed.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Index {
    ends: Vec<u32>,
    keys: Vec<u8>,
}

impl Index {
    pub fn push(&mut self, separator: &[u8]) {
        self.keys.extend_from_slice(separator);
        self.ends.push(self.keys.len() as u32);
    }

    pub fn pages(&self) -> u32 {
        self.ends.len() as u32
    }

    fn separator(&self, page: usize) -> &[u8] {
        let start = if page == 0 { 0 } else { self.ends[page - 1] as usize };
        &self.keys[start..self.ends[page] as usize]
    }

    /// The only page that can hold `key`; `None` when it lies before all of them.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.separator(middle) <= key { low = middle + 1 } else { high = middle }
        }
        low.checked_sub(1).map(|page| page as u32)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pages().to_le_bytes());
        for end in &self.ends {
            out.extend_from_slice(&end.to_le_bytes());
        }
        out.extend_from_slice(&self.keys);
    }

    /// Reads what `write` wrote; `bytes` ends where the index ends.
    pub fn read(bytes: &[u8]) -> Option<Index> {
        let (count, bytes) = bytes.split_first_chunk::<4>()?;
        let (ends, keys) = bytes.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(4)?)?;
        let ends: Vec<u32> =
            ends.chunks_exact(4).map(|end| u32::from_le_bytes([end[0], end[1], end[2], end[3]])).collect();
        let ordered = ends.windows(2).all(|pair| pair[0] <= pair[1]);
        let complete = ends.last().copied().unwrap_or(0) as usize == keys.len();
        (ordered && complete).then(|| Index { ends, keys: keys.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(page: u32) -> Place {
        Place { key: BlockKey::of([1; 16]), from: 1, to: 3, page }
    }

    fn sample() -> Vec<(Vec<u8>, u64, Option<Vec<u8>>)> {
        (0..200u32)
            .map(|n| {
                (
                    format!("dir/{:04}", n * 3).into_bytes(),
                    u64::from(n) << 20,
                    (n % 5 != 0).then(|| vec![n as u8; n as usize]),
                )
            })
            .collect()
    }

    #[test]
    fn a_page_gives_back_its_rows() {
        let mut builder = Builder::new();
        for (key, seq, value) in &sample() {
            builder.push(&Entry { key, seq: *seq, value: value.as_deref() });
        }
        let page = builder.finish(place(7));
        assert!(open(&page, place(7)).is_some());
        assert!(open(&page, place(8)).is_none());
        assert!(open(&page, Place { key: BlockKey::of([2; 16]), ..place(7) }).is_none(), "another store's");
        assert_eq!(open_first(&[page.clone(), vec![7; 9]].concat(), place), Some((7, page.len())));
        let mut reader = Reader::default();
        for (key, seq, value) in &sample() {
            assert!(reader.step(&page).unwrap());
            assert_eq!(reader.entry(&page), Entry { key, seq: *seq, value: value.as_deref() });
        }
        assert!(!reader.step(&page).unwrap());
    }

    #[test]
    fn every_cut_or_flipped_page_is_refused_and_none_panics() {
        let mut builder = Builder::new();
        for (key, seq, value) in sample().iter().take(20) {
            builder.push(&Entry { key, seq: *seq, value: value.as_deref() });
        }
        let page = builder.finish(place(7));
        for at in 0..page.len() {
            assert!(open(&page[..at], place(7)).is_none());
            let mut bad = page.clone();
            bad[at] ^= 0x40;
            assert!(open(&bad, place(7)).is_none());
            let mut reader = Reader::default();
            while matches!(reader.step(&bad), Ok(true)) {}
        }
    }

    #[test]
    fn the_index_finds_the_page_and_survives_writing() {
        let mut index = Index::default();
        for separator in [&b""[..], b"b", b"bc", b"x"] {
            index.push(separator);
        }
        for (key, page) in [("a", 0), ("b", 1), ("bb", 1), ("bc", 2), ("w", 2), ("zz", 3)] {
            assert_eq!(index.find(key.as_bytes()), Some(page), "{key}");
        }
        let mut bytes = Vec::new();
        index.write(&mut bytes);
        assert_eq!(Index::read(&bytes), Some(index));
        assert_eq!(Index::read(&bytes[..bytes.len() - 1]), None);
    }
}
