//! The power cut: everything synced is there, and of the rest whatever chance wants.
//!
//! Every 4 KiB page of a file shows a prefix of the unsynced changes that touch it, each page another prefix; in torn
//! cuts each 512-byte sector of a page shows either that or an older one. The length is one it had since the last sync, or
//! one between two of them at the end of a page, in torn cuts of a sector. Directory entries: in half of the cuts a prefix
//! of all changes, as a journal keeps them, in the others any subset; there a rename in a torn cut may show both names.
//! Never none of them: no file system that is whole again after its check loses a synced file by renaming it.
//! `tearing.rs` shows that all this happens.

use super::disk::{Directory, Disk, Edit, Entry, File};
use super::tree::Tree;
use crate::kit::random::Random;
use std::collections::BTreeMap;

const PAGE: u64 = 4096;
const SECTOR: u64 = 512;

/// How one cut is made.
struct Cut {
    keep_percent: u64,
    torn: bool,
    /// Changes of directories up to here are kept, in a journalled cut.
    journal: Option<u64>,
}

/// One image.
pub fn cut(disk: &Disk, random: &mut Random) -> Tree {
    let journal = random.chance(50).then(|| journal_end(disk, random));
    let how = Cut { keep_percent: *random.pick(&[0, 10, 50, 90, 100]), torn: random.chance(33), journal };
    let mut tree = Tree::default();
    let mut names = random.clone();
    let mut bytes = Random::new(random.next());
    disk.collect(0, "", &mut tree, &mut |directory| how.names(directory, &mut names), &mut |file| {
        how.bytes(file, &mut bytes)
    });
    tree
}

/// A place in the order of all unsynced changes of directories.
fn journal_end(disk: &Disk, random: &mut Random) -> u64 {
    let pending = disk.nodes.iter().flat_map(|node| match node {
        super::disk::Node::Directory(directory) => directory.pending.iter().map(|(order, _)| *order).collect(),
        super::disk::Node::File(_) => Vec::new(),
    });
    let mut orders: Vec<u64> = pending.collect();
    orders.push(0);
    orders.sort_unstable();
    *random.pick(&orders)
}

impl Cut {
    /// A torn cut without a journal may have written the sector with the new name and not the one with the old.
    fn names(&self, directory: &Directory, random: &mut Random) -> BTreeMap<String, usize> {
        let mut names = directory.durable.clone();
        for (order, entry) in &directory.pending {
            let kept = match self.journal {
                Some(end) => *order <= end,
                None => random.chance(self.keep_percent),
            };
            match entry {
                Entry::Move(_, to, node) if kept && self.tears_names() && random.chance(30) => {
                    names.insert(to.clone(), *node);
                }
                entry if kept => entry.perform(&mut names),
                _ => {}
            }
        }
        names
    }

    fn tears_names(&self) -> bool {
        self.torn && self.journal.is_none()
    }

    fn bytes(&self, file: &File, random: &mut Random) -> Vec<u8> {
        let mut sizes = vec![file.durable.len() as u64];
        let mut touched: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (index, edit) in file.pending.iter().enumerate() {
            let before = sizes[index];
            sizes.push(edit.size_after(before));
            for page in pages(edit, before) {
                touched.entry(page).or_default().push(index);
            }
        }
        let longest = sizes.iter().copied().max().unwrap_or(0);
        let mut bytes = file.durable.clone();
        bytes.resize(longest as usize, 0);
        for (page, edits) in touched {
            let edits: Vec<Edit> = edits.into_iter().map(|index| file.pending[index]).collect();
            let start = ((page * PAGE) as usize).min(bytes.len());
            let end = bytes.len().min(start + PAGE as usize);
            self.page(&mut bytes[start..end], page * PAGE, &edits, random);
        }
        bytes.truncate(self.size(&sizes, random) as usize);
        bytes
    }

    fn size(&self, sizes: &[u64], random: &mut Random) -> u64 {
        if random.chance(self.keep_percent) {
            sizes[sizes.len() - 1]
        } else if random.chance(50) {
            sizes[0]
        } else if random.chance(50) {
            *random.pick(sizes)
        } else {
            self.size_between(sizes, random)
        }
    }

    /// A write that made the file longer and was on its way page by page.
    fn size_between(&self, sizes: &[u64], random: &mut Random) -> u64 {
        let at = random.below(sizes.len() as u64) as usize;
        let (before, after) = (sizes[at.saturating_sub(1)], sizes[at]);
        let step = if self.torn { SECTOR } else { PAGE };
        match after.checked_sub(before) {
            Some(grown) if grown > 0 => before.max((before + random.below(grown)) / step * step),
            _ => after,
        }
    }

    /// One page, durable so far, as the cut leaves it.
    fn page(&self, page: &mut [u8], start: u64, edits: &[Edit], random: &mut Random) {
        let all = edits.len() as u64;
        let seen = if random.chance(self.keep_percent) {
            all
        } else if random.chance(20) {
            random.below(all + 1)
        } else {
            0
        };
        // Between two writes of a page to the disk there may be many of ours.
        let older = if self.torn { random.below(seen + 1) } else { seen };
        for (number, sector) in page.chunks_mut(SECTOR as usize).enumerate() {
            let shown = if random.chance(50) { older } else { seen };
            for edit in &edits[..shown as usize] {
                overlay(edit, sector, start + number as u64 * SECTOR);
            }
        }
    }
}

/// The pages an edit touches; a shorter length zeroes what was behind it.
fn pages(edit: &Edit, size_before: u64) -> std::ops::Range<u64> {
    let (from, to) = match *edit {
        Edit::Write { at, bytes } => (at, at + bytes.len() as u64),
        Edit::Size(size) => (size, size_before.max(size)),
        Edit::Zero { at, length, .. } => (at, at + length),
    };
    if from == to { 0..0 } else { from / PAGE..to.div_ceil(PAGE) }
}

/// What an edit does to the bytes from `start`.
fn overlay(edit: &Edit, piece: &mut [u8], start: u64) {
    let end = start + piece.len() as u64;
    let (from, to) = match *edit {
        Edit::Write { at, bytes } => (at, at + bytes.len() as u64),
        Edit::Size(size) => (size, u64::MAX),
        Edit::Zero { at, length, .. } => (at, at + length),
    };
    let (first, last) = (from.max(start), to.min(end));
    if first >= last {
        return;
    }
    let target = &mut piece[(first - start) as usize..(last - start) as usize];
    match *edit {
        Edit::Write { at, bytes } => target.copy_from_slice(&bytes[(first - at) as usize..(last - at) as usize]),
        Edit::Size(_) | Edit::Zero { .. } => target.fill(0),
    }
}
