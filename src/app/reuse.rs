//! The allocator: large blocks that were freed a moment ago are given out again, instead of going to the system and being faulted in
//! anew, which took more of the storage thread's time than all of its own work.
//!
//! Promises: what waits to be used again is at most [`WAITING_BYTES_MAX`], and goes back to the system when it was not needed from one
//! [`tidy`] to the next but one. Never: allocates for itself, or holds its lock while memory comes from the system or goes there.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mimalloc::MiMalloc;

/// Freed memory that waits to be used again. `POST`s of 16 MiB over four connections fault in 1200 pages for each MiB without it, 425 with
/// 8 MiB, 235 with this, 130 with twice as much, which is no faster.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Smaller blocks are mimalloc's business, which cuts them from pages of its own.
const BLOCK_BYTES_MIN: usize = (1 << LOWEST_POWER) + 1;
/// The largest chunk and what it is sealed with; what is larger is rare.
const BLOCK_BYTES_MAX: usize = 5 << 20;
/// sled aligns its segments so, and nothing else asks for more than a word.
const BLOCK_ALIGN: usize = 8192;
const LOWEST_POWER: u32 = 15;
/// Four sizes to a power of two, so that a block is at most a quarter longer than what was asked for.
const SIZES: usize = 29;
/// Blocks of one size that wait.
const BLOCKS_MAX: usize = 32;

/// How often a thread that is about to sleep looks at its memory: seldom enough to cost nothing.
const THREAD_EVERY: Duration = Duration::from_secs(1);

/// What waits. One for the process, as there is one allocator.
static SHELF: Mutex<Shelf> = Mutex::new(Shelf::EMPTY);

/// mimalloc with a shelf in front of it, for large blocks.
pub struct Reuse;

/// Gives back to the system what was not needed since the last call. For every second or so; on an idle server the second call
/// empties the shelf.
pub fn tidy() {
    for at in 0..SIZES {
        loop {
            // A statement of its own: the lock goes before the block does.
            let surplus = shelf().surplus(at);
            let Some(block) = surplus else { break };
            free(block, Size::at(at));
        }
        shelf().stacks[at].look_again();
    }
}

/// Takes up what other threads freed of the calling thread's memory, now and then, and gives back what is empty. For whoever is about to
/// sleep: mimalloc does so only when the thread allocates.
pub fn tidy_thread() {
    thread_local! { static LAST: Cell<Option<Instant>> = const { Cell::new(None) } }
    if LAST.get().is_some_and(|last| last.elapsed() < THREAD_EVERY) {
        return;
    }
    LAST.set(Some(Instant::now()));
    // SAFETY: collects the calling thread's own heap, at any time.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}

/// Held for moments; nothing below it allocates or panics.
fn shelf() -> MutexGuard<'static, Shelf> {
    SHELF.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nobody's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block(NonNull<u8>);

// SAFETY: a block on the shelf belongs to no thread, and whoever takes it off is the only one who has it.
#[allow(unsafe_code)]
unsafe impl Send for Block {}

/// How long a block really is, and where it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    bytes: usize,
    at: usize,
}

impl Size {
    /// The size for what is asked; none when it does not wait on the shelf. It depends on the layout alone, so that a block is freed as
    /// what it was allocated as.
    fn of(asked: Layout) -> Option<Self> {
        if !(BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&asked.size()) || asked.align() > BLOCK_ALIGN {
            return None;
        }
        let power = (asked.size() - 1).ilog2();
        let quarters = (asked.size() - (1 << power)).div_ceil(1 << (power - 2));
        Some(Self::at((power - LOWEST_POWER) as usize * 4 + quarters - 1))
    }

    const fn at(at: usize) -> Self {
        let power = LOWEST_POWER as usize + at / 4;
        Self { bytes: (1 << power) + ((at % 4 + 1) << (power - 2)), at }
    }

    fn layout(self) -> Layout {
        // The arm is never taken: no size is near `isize::MAX`, and the alignment is a power of two.
        Layout::from_size_align(self.bytes, BLOCK_ALIGN).unwrap_or(Layout::new::<u8>())
    }
}

/// All blocks that wait.
struct Shelf {
    stacks: [Stack; SIZES],
    bytes: usize,
}

impl Shelf {
    const EMPTY: Self = Self { stacks: [Stack::EMPTY; SIZES], bytes: 0 };

    /// Keeps a block if there is room for it.
    fn put(&mut self, block: Block, size: Size) -> bool {
        let fits = self.bytes + size.bytes <= WAITING_BYTES_MAX && self.stacks[size.at].push(block);
        self.bytes += if fits { size.bytes } else { 0 };
        fits
    }

    fn take(&mut self, size: Size) -> Option<Block> {
        let block = self.stacks[size.at].pop()?;
        self.bytes -= size.bytes;
        Some(block)
    }

    /// A block that was not needed since the last look, if there is one.
    fn surplus(&mut self, at: usize) -> Option<Block> {
        let left = self.stacks[at].unneeded.checked_sub(1)?;
        let block = self.take(Size::at(at))?;
        self.stacks[at].unneeded = left;
        Some(block)
    }
}

/// Blocks of one size. The last one freed is the first used again: the likeliest to be in the processor's cache.
#[derive(Clone, Copy)]
struct Stack {
    blocks: [Option<Block>; BLOCKS_MAX],
    count: usize,
    /// The smallest count since the last look.
    unneeded: usize,
}

impl Stack {
    const EMPTY: Self = Self { blocks: [None; BLOCKS_MAX], count: 0, unneeded: 0 };

    fn push(&mut self, block: Block) -> bool {
        let Some(place) = self.blocks.get_mut(self.count) else { return false };
        *place = Some(block);
        self.count += 1;
        true
    }

    fn pop(&mut self) -> Option<Block> {
        self.count = self.count.checked_sub(1)?;
        self.unneeded = self.unneeded.min(self.count);
        self.blocks[self.count].take()
    }

    fn look_again(&mut self) {
        self.unneeded = self.count;
    }
}

#[allow(unsafe_code)]
fn free(block: Block, size: Size) {
    // SAFETY: a block has left the shelf, or was on its way there, so nobody uses it; and all of them were allocated below with the
    // layout of their size.
    unsafe { MiMalloc.dealloc(block.0.as_ptr(), size.layout()) }
}

// SAFETY: whatever has a size was allocated by mimalloc with that size's layout, which is as long and as aligned as what is asked for, or
// more; the size depends on the asked layout alone, so a block comes back under the size it went out under. Everything else goes straight
// to mimalloc. A block is on the shelf or has one owner, never both. Nothing here panics.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Reuse {
    unsafe fn alloc(&self, asked: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are mimalloc's; a size is never zero.
        let Some(size) = Size::of(asked) else { return unsafe { MiMalloc.alloc(asked) } };
        let waiting = shelf().take(size);
        // SAFETY: as above.
        waiting.map_or_else(|| unsafe { MiMalloc.alloc(size.layout()) }, |block| block.0.as_ptr())
    }

    unsafe fn alloc_zeroed(&self, asked: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are mimalloc's; a size is never zero.
        let Some(size) = Size::of(asked) else { return unsafe { MiMalloc.alloc_zeroed(asked) } };
        let waiting = shelf().take(size);
        // SAFETY: as above.
        let Some(block) = waiting else { return unsafe { MiMalloc.alloc_zeroed(size.layout()) } };
        // SAFETY: the block is ours and at least as long.
        unsafe { ptr::write_bytes(block.0.as_ptr(), 0, asked.size()) };
        block.0.as_ptr()
    }

    unsafe fn dealloc(&self, freed: *mut u8, asked: Layout) {
        match (Size::of(asked), NonNull::new(freed).map(Block)) {
            (Some(size), Some(block)) => {
                let is_kept = shelf().put(block, size);
                if !is_kept {
                    free(block, size);
                }
            }
            // SAFETY: it came from mimalloc with this layout.
            _ => unsafe { MiMalloc.dealloc(freed, asked) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, asked: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller promises that `bytes`, rounded up to the alignment, does not overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(bytes, asked.align()) };
        match (Size::of(asked), Size::of(wanted)) {
            // SAFETY: it came from mimalloc with this layout, and goes back there with the other.
            (None, None) => unsafe { MiMalloc.realloc(block, asked, bytes) },
            (has, wants) if has == wants => block,
            // SAFETY: the caller's promises; the new block is another one and at least as long as what is copied.
            _ => unsafe {
                let moved = self.alloc(wanted);
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(block, moved, asked.size().min(bytes));
                    self.dealloc(block, asked);
                }
                moved
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 1).expect("a layout")
    }

    /// The shelf looks at no block.
    fn block(number: usize) -> Block {
        Block(NonNull::new(ptr::without_provenance_mut(number)).expect("not zero"))
    }

    #[test]
    fn every_size_is_long_enough_and_not_much_longer() {
        assert_eq!((Size::of(layout(BLOCK_BYTES_MIN - 1)), Size::of(layout(BLOCK_BYTES_MAX + 1))), (None, None));
        assert_eq!(Size::of(Layout::from_size_align(1 << 20, 2 * BLOCK_ALIGN).expect("a layout")), None);
        let mut last = 0;
        for bytes in BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX {
            let size = Size::of(layout(bytes)).expect("a size");
            assert!((bytes..=bytes + bytes / 4).contains(&size.bytes), "{bytes}: {size:?}");
            assert!((last..=last + 1).contains(&size.at), "{bytes}: {size:?} behind {last}");
            assert_eq!((size, size.layout().size()), (Size::at(size.at), size.bytes));
            last = size.at;
        }
        assert_eq!(last + 1, SIZES);
    }

    #[test]
    fn what_waits_is_bounded_and_the_last_comes_first() {
        for asked in [BLOCK_BYTES_MIN, 1 << 20, BLOCK_BYTES_MAX] {
            let (mut shelf, size) = (Shelf::EMPTY, Size::of(layout(asked)).expect("a size"));
            let kept = (1..1000).take_while(|number| shelf.put(block(*number), size)).count();
            assert_eq!(kept, (WAITING_BYTES_MAX / size.bytes).min(BLOCKS_MAX));
            assert_eq!(shelf.bytes, kept * size.bytes);
            let back: Vec<_> = std::iter::from_fn(|| shelf.take(size)).collect();
            assert_eq!(back, (1..=kept).rev().map(block).collect::<Vec<_>>());
            assert_eq!(shelf.bytes, 0);
        }
    }

    #[test]
    fn what_was_not_needed_goes() {
        let (mut shelf, size) = (Shelf::EMPTY, Size::of(layout(1 << 20)).expect("a size"));
        (1..=5).for_each(|number| assert!(shelf.put(block(number), size)));
        assert_eq!(shelf.surplus(size.at), None, "it has just come");
        shelf.stacks[size.at].look_again();
        let two = [shelf.take(size), shelf.take(size)].map(|taken| taken.expect("a block"));
        two.into_iter().for_each(|taken| assert!(shelf.put(taken, size)));
        let gone = std::iter::from_fn(|| shelf.surplus(size.at)).count();
        assert_eq!((gone, shelf.stacks[size.at].count, shelf.bytes), (3, 2, 2 * size.bytes), "two were needed");
        shelf.stacks[size.at].look_again();
        assert_eq!((std::iter::from_fn(|| shelf.surplus(size.at)).count(), shelf.bytes), (2, 0));
    }

    /// With memory of the system's, and a size that no other test asks for.
    #[test]
    #[allow(unsafe_code)]
    fn a_block_is_used_again_and_keeps_what_it_should() {
        let (asked, smaller, larger) = (layout(3_000_000), layout(40_000), layout(4_000_000));
        // SAFETY: every block is freed with the layout it has by then, and only what was written is read.
        unsafe {
            let first = Reuse.alloc(asked);
            ptr::write_bytes(first, 7, asked.size());
            Reuse.dealloc(first, asked);
            assert_eq!(Reuse.alloc_zeroed(asked), first, "used again");
            let bytes = std::slice::from_raw_parts(first, asked.size());
            assert!(bytes.iter().all(|byte| *byte == 0), "what was asked for as zero");
            ptr::write_bytes(first, 9, asked.size());
            assert_eq!(Reuse.realloc(first, asked, asked.size() + 1), first, "it is long enough as it is");
            let grown = Reuse.realloc(first, layout(asked.size() + 1), larger.size());
            let shrunk = Reuse.realloc(grown, larger, smaller.size());
            let tiny = Reuse.realloc(shrunk, smaller, 100);
            assert!(std::slice::from_raw_parts(tiny, 100).iter().all(|byte| *byte == 9));
            Reuse.dealloc(tiny, layout(100));
        }
        tidy();
        tidy();
        assert_eq!(shelf().bytes, 0);
    }
}
