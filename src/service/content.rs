//! The bytes of a version, or of a restic object, in the store: chunks below a tree of manifests. Building it on the way in, walking it on the way out.

use super::error::Error;
use super::secrets::random;
use crate::chunk::compress::Compressor;
use crate::chunk::id::{chunk_id, manifest_id};
use crate::chunk::keys::AccountKeys;
use crate::chunk::seal::{SEAL_OVERHEAD, Sealed, seal};
use crate::model::ChunkId;
use crate::store::{
    COMPRESSED, Child, Draft, ENTRIES_MAX, FrameHeader, FrameKind, NewFrame, Root, Store, encode_manifest,
    parse_manifest,
};

/// Turns chunks into frames of a draft and the list of them into a tree.
pub struct Builder<'a> {
    pub draft: &'a mut Draft,
    pub keys: &'a AccountKeys,
    pub account: u64,
    pub compressor: &'a mut Compressor,
    pub tree: &'a mut Tree,
}

/// The open manifests of each level, the lowest first.
#[derive(Debug, Default)]
pub struct Tree {
    levels: Vec<Vec<Child>>,
}

impl Builder<'_> {
    /// Adds the next chunk; only one that the store does not have is sealed and sent.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let id = ChunkId(chunk_id(self.keys, bytes));
        if !self.draft.knows(&id)? {
            self.send_chunk(id, bytes)?;
        }
        self.tree.add(self.draft, self.account, Child { id, bytes: bytes.len() as u64 })
    }

    fn send_chunk(&mut self, id: ChunkId, bytes: &[u8]) -> Result<(), Error> {
        let account = self.account;
        let mut stored = Vec::with_capacity(bytes.len() + SEAL_OVERHEAD);
        let header = |sealed: Sealed| chunk_header(account, id, sealed.compressed, sealed.raw_len, sealed.stored_len);
        let aad = |sealed: Sealed| header(sealed).encode();
        let sealed = seal(self.keys, &id.0, random()?, aad, bytes, self.compressor, &mut stored)?;
        Ok(self.draft.append(NewFrame { header: header(sealed), stored })?)
    }

    /// Ends the list; nothing for an empty file.
    pub fn finish(&mut self) -> Result<Option<Root>, Error> {
        self.tree.finish(self.draft, self.account)
    }
}

impl Tree {
    /// Adds the next chunk or part; its frame is on its way already.
    pub fn add(&mut self, draft: &mut Draft, account: u64, child: Child) -> Result<(), Error> {
        self.add_at(draft, account, 0, child)
    }

    /// Ends the list; nothing when nothing was added.
    pub fn finish(&mut self, draft: &mut Draft, account: u64) -> Result<Option<Root>, Error> {
        let mut level = 0;
        while let Some(children) = self.levels.get(level) {
            let is_top = level + 1 == self.levels.len();
            match (is_top, &children[..]) {
                (true, [only]) => return Ok(Some(Root { level: level as u8, id: only.id.0 })),
                (_, []) => {}
                _ => self.end_manifest(draft, account, level)?,
            }
            level += 1;
        }
        Ok(None)
    }

    fn add_at(&mut self, draft: &mut Draft, account: u64, level: usize, child: Child) -> Result<(), Error> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        // A full manifest ends when something follows it, so that a tree never has a level with one child too many.
        if self.levels[level].len() == ENTRIES_MAX {
            self.end_manifest(draft, account, level)?;
        }
        self.levels[level].push(child);
        Ok(())
    }

    fn end_manifest(&mut self, draft: &mut Draft, account: u64, level: usize) -> Result<(), Error> {
        let children = std::mem::take(&mut self.levels[level]);
        let stored = encode_manifest(&children);
        let id = ChunkId(manifest_id(account, &stored));
        if !draft.knows(&id)? {
            let raw_len = stored.len() as u32;
            let header =
                FrameHeader { kind: FrameKind::Manifest, ..chunk_header(account, id, false, raw_len, raw_len) };
            draft.append(NewFrame { header, stored })?;
        }
        self.add_at(draft, account, level + 1, Child { id, bytes: children.iter().map(|child| child.bytes).sum() })
    }
}

/// A chunk frame's header without its seq, which is also what its seal authenticates.
pub fn chunk_header(account: u64, id: ChunkId, compressed: bool, raw_len: u32, stored_len: u32) -> FrameHeader {
    let flags = if compressed { COMPRESSED } else { 0 };
    FrameHeader { kind: FrameKind::Chunk, flags, stored_len, raw_len, account, seq: 0, id }
}

/// The chunks of a range of a version, in order, each with where the range begins in it.
pub struct Walk {
    /// Manifests on the way down, with the level of their children and what is left of them.
    stack: Vec<(u8, std::vec::IntoIter<Child>)>,
    skip: u64,
}

impl Walk {
    /// A walk below `root`, which holds `size` bytes, from byte `from` on.
    pub fn new(root: Option<Root>, size: u64, from: u64) -> Self {
        let top = root.map(|root| (root.level, vec![Child { id: ChunkId(root.id), bytes: size }].into_iter()));
        Self { stack: top.into_iter().collect(), skip: from }
    }

    /// The next chunk and how many of its first bytes lie before the range.
    pub fn next(&mut self, store: &Store) -> Result<Option<(ChunkId, usize)>, crate::store::Error> {
        loop {
            let Some((level, children)) = self.stack.last_mut() else { return Ok(None) };
            let (level, child) = (*level, children.next());
            let Some(child) = child else {
                self.stack.pop();
                continue;
            };
            if self.skip >= child.bytes {
                self.skip -= child.bytes;
            } else if level == 0 {
                return Ok(Some((child.id, std::mem::take(&mut self.skip) as usize)));
            } else {
                let manifest = parse_manifest(&store.read(&child.id)?.stored)?;
                self.stack.push((level - 1, manifest.into_iter()));
            }
        }
    }
}
