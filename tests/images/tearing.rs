//! Does the power cut tear what a power cut tears? Thousands of cuts of one small disk, and what was seen in them.
//!
//! If a kind of tear never came out of `cut.rs`, the images would prove nothing about it, and nobody would notice.

use super::cut;
use super::disk::{Disk, Fault};
use super::log::Call;
use super::tree::Tree;
use crate::kit::random::Random;
use std::collections::BTreeSet;

const FILE_BYTES: usize = 3 * 4096;

/// What was seen in many cuts of [`disk`].
#[derive(Default)]
struct Seen {
    /// Places in the file at which one side is old and the other new.
    tears: BTreeSet<usize>,
    /// Lengths of the file that grew.
    lengths: BTreeSet<usize>,
    /// Which of the names there were.
    names: BTreeSet<Vec<String>>,
}

/// A file written over twice without a sync, one that grew, two new names, and a rename.
fn disk(bytes: &[Vec<u8>; 2]) -> Disk<'_> {
    let file = |path: &str, inode, bytes| (path.to_owned(), inode, bytes);
    let base = [file("", 1, None), file("over", 2, Some(vec![0; FILE_BYTES])), file("grown", 3, Some(vec![0; 100])), {
        file("old", 4, Some(vec![4]))
    }];
    let mut disk = Disk::new(&base, Fault::None);
    disk.apply(Call::Write { inode: 2, at: 0, bytes: &bytes[0] });
    disk.apply(Call::Write { inode: 2, at: 0, bytes: &bytes[1] });
    disk.apply(Call::Write { inode: 3, at: 100, bytes: &bytes[0] });
    disk.apply(Call::Create { path: "first", inode: 5 });
    disk.apply(Call::Create { path: "second", inode: 6 });
    disk.apply(Call::Rename { from: "old", to: "new" });
    disk
}

fn look(trees: &[Tree]) -> Seen {
    let mut seen = Seen::default();
    for tree in trees {
        let bytes = |name: &str| tree.0.get(name).cloned().flatten().unwrap_or_default();
        let over = bytes("over");
        seen.tears.extend((1..over.len()).filter(|at| over[at - 1] != over[*at]));
        seen.lengths.insert(bytes("grown").len());
        seen.names.insert(tree.0.keys().filter(|name| !["over", "grown"].contains(&name.as_str())).cloned().collect());
    }
    seen
}

/// Every tear there can be and none that there cannot be.
fn judge(seen: &Seen) -> Result<(), String> {
    let sectors: BTreeSet<usize> = (1..FILE_BYTES / 512).map(|number| number * 512).collect();
    if seen.tears != sectors {
        return Err(format!("tears at {:?}", seen.tears));
    }
    let grown = 100 + FILE_BYTES;
    let between =
        |step: usize| seen.lengths.iter().any(|length| *length > 100 && *length < grown && length % step == 0);
    if !seen.lengths.contains(&100) || !seen.lengths.contains(&grown) || !between(4096) || !between(512) {
        return Err(format!("lengths {:?}", seen.lengths));
    }
    let odd = seen.lengths.iter().find(|length| **length != 100 && **length != grown && *length % 512 != 0);
    if let Some(odd) = odd {
        return Err(format!("a length of {odd}, in the middle of a sector"));
    }
    for (new, renamed) in
        [(&[][..], &["old"][..]), (&["first"], &["old"]), (&["second"], &["new"]), (&[], &["new", "old"])]
    {
        let mut wanted: Vec<String> = [new, renamed].concat().iter().map(|name| (*name).to_owned()).collect();
        wanted.sort();
        if !seen.names.contains(&wanted) {
            return Err(format!("the names {wanted:?} were never left alone"));
        }
    }
    let lost = |names: &&Vec<String>| !names.iter().any(|name| name == "old" || name == "new");
    seen.names.iter().find(lost).map_or(Ok(()), |names| Err(format!("the renamed file is gone: {names:?}")))
}

#[test]
fn cuts_tear_at_every_sector_and_between_names() {
    let bytes = [vec![1; FILE_BYTES], vec![2; FILE_BYTES]];
    let disk = disk(&bytes);
    let mut random = Random::new(4);
    let trees: Vec<Tree> = (0..4000).map(|_| cut::cut(&disk, &mut random)).collect();
    judge(&look(&trees)).unwrap_or_else(|wrong| panic!("{wrong}"));

    // Planted: cuts that keep all or nothing, cuts that tear pages only, and one that tears a sector.
    let whole: Vec<Tree> =
        trees.iter().filter(|tree| look(std::slice::from_ref(tree)).tears.is_empty()).cloned().collect();
    assert!(!whole.is_empty() && judge(&look(&whole)).is_err(), "cuts without a tear pass");
    let on_page = |tree: &&Tree| look(std::slice::from_ref(*tree)).tears.iter().all(|at| at % 4096 == 0);
    let pages: Vec<Tree> = trees.iter().filter(on_page).cloned().collect();
    assert!(pages.len() > whole.len() && judge(&look(&pages)).is_err(), "cuts that tear nothing but pages pass");
    let mut odd = trees.clone();
    odd[0].0.insert("over".into(), Some([vec![1; 700], vec![2; FILE_BYTES - 700]].concat()));
    assert!(judge(&look(&odd)).is_err(), "a cut in the middle of a sector passes");
}
