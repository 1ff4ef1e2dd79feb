//! Cuts a stream into chunks where its content says so (FastCDC v2020), so that an insertion moves few cuts.
//!
//! Promises: the cuts depend on the bytes, the sizes and the seed alone, never on how the stream was split into pushes; every chunk is
//! handed out as one slice of a buffer that is reused; at most `2 × max` bytes are held. Never does IO and never allocates per chunk.

use std::borrow::Cow;

use fastcdc::v2020::{
    AVERAGE_MAX, AVERAGE_MIN, MAXIMUM_MAX, MAXIMUM_MIN, MINIMUM_MAX, MINIMUM_MIN, Normalization, cut_gear,
    get_gear_with_seed, select_masks,
};

use super::ChunkError;

// Part of the format, like the sizes: another level cuts elsewhere and deduplicates nothing against what is stored.
const NORMALIZATION: Normalization = Normalization::Level1;

/// Smallest, average and largest chunk in bytes. A value of this type is one that FastCDC works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutSizes {
    min: usize,
    avg: usize,
    max: usize,
}

impl CutSizes {
    /// What new stores use: 256 KiB, 1 MiB, 4 MiB.
    pub const STANDARD: Self = Self { min: 256 << 10, avg: 1 << 20, max: 4 << 20 };

    /// Checks the sizes (in bytes), as a store's `FORMAT` names them: even, `min < avg < max`, and within FastCDC's limits
    /// (64 B–1 MiB, 256 B–4 MiB, 1 KiB–16 MiB), outside of which the library asserts or indexes out of its tables.
    pub fn new(min: usize, avg: usize, max: usize) -> Result<Self, ChunkError> {
        let even = [min, avg, max].iter().all(|size| size.is_multiple_of(2));
        let known = (MINIMUM_MIN..=MINIMUM_MAX).contains(&min)
            && (AVERAGE_MIN..=AVERAGE_MAX).contains(&avg)
            && (MAXIMUM_MIN..=MAXIMUM_MAX).contains(&max);
        if even && known && min < avg && avg < max {
            Ok(Self { min, avg, max })
        } else {
            Err(ChunkError::CutSizes { min, avg, max })
        }
    }

    /// Smallest chunk in bytes; only the last chunk of a file may be smaller.
    pub fn min(&self) -> usize {
        self.min
    }

    /// Average the masks are chosen for, in bytes; on random data the mean is about a quarter more.
    pub fn avg(&self) -> usize {
        self.avg
    }

    /// Largest chunk in bytes.
    pub fn max(&self) -> usize {
        self.max
    }

    /// The most a [`Cutter`] allocates, in bytes, for the caller's byte budget: never more than this, and never much more than twice the file.
    pub fn buffer_max(&self) -> usize {
        // Twice max: after the rest (< max) moved to the front there is room for max more bytes, so a move is paid by as many bytes of input.
        2 * self.max
    }
}

/// Cuts one stream after the other. Making one is free: nothing is allocated before the first byte, and the gear tables are computed at
/// the first cut, which a file up to `min` bytes never reaches.
pub struct Cutter {
    sizes: CutSizes,
    seed: u64,
    gear: Option<Gear>,
    buffer: Vec<u8>,
    /// Where the next chunk begins in `buffer`.
    start: usize,
}

impl Cutter {
    /// A cutter for the account whose seed this is ([`AccountKeys::cutter_seed`](super::AccountKeys::cutter_seed)).
    pub fn new(sizes: CutSizes, seed: u64) -> Self {
        Self { sizes, seed, gear: None, buffer: Vec::new(), start: 0 }
    }

    /// Takes the next bytes of the stream and hands every chunk whose end is now certain to `emit`.
    ///
    /// An error of `emit` ends the call at once; the rest of `input` is then lost, so the cutter has to be [`reset`](Self::reset) or dropped.
    pub fn push<E>(&mut self, mut input: &[u8], mut emit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        while !input.is_empty() {
            let taken = self.take(input);
            input = &input[taken..];
            // With fewer than max bytes the library would take the end of the buffer for the end of the file.
            while self.pending() >= self.sizes.max {
                self.emit_one(&mut emit)?;
            }
        }
        Ok(())
    }

    /// Ends the stream and hands out what is left: nothing for an empty one, one chunk for one of up to `min` bytes. Afterwards the cutter is
    /// ready for the next stream and keeps its buffer.
    pub fn finish<E>(&mut self, mut emit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        while self.pending() > 0 {
            self.emit_one(&mut emit)?;
        }
        self.reset();
        Ok(())
    }

    /// Forgets the stream so far; the buffer stays allocated.
    pub fn reset(&mut self) {
        self.buffer.clear();
        self.start = 0;
    }

    fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Copies as much of `input` as fits and returns how much that was: at least one byte, since fewer than max bytes are pending here.
    fn take(&mut self, input: &[u8]) -> usize {
        let limit = self.sizes.buffer_max();
        if self.buffer.len() == limit {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let taken = input.len().min(limit - self.buffer.len());
        self.grow(self.buffer.len() + taken, limit);
        self.buffer.extend_from_slice(&input[..taken]);
        taken
    }

    /// Doubles like `Vec` does, but stops at `limit`, which `Vec` would overshoot by up to a factor of two.
    fn grow(&mut self, needed: usize, limit: usize) {
        if needed > self.buffer.capacity() {
            let target = needed.max(2 * self.buffer.capacity()).min(limit);
            self.buffer.reserve_exact(target - self.buffer.len());
        }
    }

    fn emit_one<E>(&mut self, emit: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let window = &self.buffer[self.start..];
        let len = if window.len() <= self.sizes.min {
            window.len()
        } else {
            self.gear.get_or_insert_with(|| Gear::new(self.sizes, self.seed)).cut(window, self.sizes)
        };
        self.start += len;
        emit(&window[..len])
    }
}

/// The seeded tables and the masks: 4 KiB, computed once per cutter.
struct Gear {
    table: Cow<'static, [u64]>,
    table_shifted: Cow<'static, [u64]>,
    mask_strict: u64,
    mask_loose: u64,
}

impl Gear {
    fn new(sizes: CutSizes, seed: u64) -> Self {
        let (table, table_shifted) = get_gear_with_seed(seed);
        let (mask_strict, mask_loose) = select_masks(sizes.avg, NORMALIZATION);
        Self { table, table_shifted, mask_strict, mask_loose }
    }

    /// The length of the first chunk of `window`, which holds at least max bytes or ends with the file.
    fn cut(&self, window: &[u8], sizes: CutSizes) -> usize {
        let (_hash, len) = cut_gear(
            window,
            sizes.min,
            sizes.avg,
            sizes.max,
            self.mask_strict,
            self.mask_loose,
            self.mask_strict << 1,
            self.mask_loose << 1,
            &self.table,
            &self.table_shifted,
        );
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignore(_: &[u8]) -> Result<(), ()> {
        Ok(())
    }

    #[test]
    fn small_file_costs_little() {
        let mut cutter = Cutter::new(CutSizes::STANDARD, 7);
        assert_eq!(cutter.buffer.capacity(), 0);
        cutter.push(&[1; 4096], ignore).expect("push");
        assert!(cutter.buffer.capacity() <= 8192, "{} bytes", cutter.buffer.capacity());
        cutter.finish(ignore).expect("finish");
        assert!(cutter.gear.is_none(), "a file below min needs no gear table");
    }

    #[test]
    fn large_file_stays_in_one_buffer() {
        let mut cutter = Cutter::new(CutSizes::STANDARD, 7);
        let part = vec![3; 100_001];
        for _ in 0..300 {
            cutter.push(&part, ignore).expect("push");
            assert!(cutter.buffer.capacity() <= CutSizes::STANDARD.buffer_max());
        }
        let place = cutter.buffer.as_ptr();
        cutter.push(&part, ignore).expect("push");
        cutter.finish(ignore).expect("finish");
        assert_eq!(cutter.buffer.as_ptr(), place);
        assert_eq!(cutter.pending(), 0);
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(CutSizes::new(256 << 10, 1 << 20, 4 << 20), Ok(CutSizes::STANDARD));
        for (min, avg, max) in
            [(0, 256, 1024), (64, 255, 1024), (256, 256, 1024), (64, 2048, 1024), (64, 256, 1 << 30), (64, 256, 1023)]
        {
            assert_eq!(CutSizes::new(min, avg, max), Err(ChunkError::CutSizes { min, avg, max }));
        }
    }

    #[test]
    fn extreme_sizes_work() {
        for (min, avg, max) in [(MINIMUM_MIN, AVERAGE_MIN, MAXIMUM_MIN), (MINIMUM_MAX, AVERAGE_MAX, MAXIMUM_MAX)] {
            let sizes = CutSizes::new(min, avg, max).expect("sizes");
            let mut cutter = Cutter::new(sizes, u64::MAX);
            let mut seen = 0;
            let mut count = |chunk: &[u8]| -> Result<(), ()> {
                seen += chunk.len();
                Ok(())
            };
            cutter.push(&vec![9; max + 3], &mut count).expect("push");
            cutter.finish(&mut count).expect("finish");
            assert_eq!(seen, max + 3);
        }
    }
}
