//! A model of a file system between two syncs: what is durable, and what has happened since, in order.
//!
//! The rules are POSIX's, not one file system's kindness: `fdatasync` and `fsync` of a file make its bytes and its
//! length durable, not its name; `fsync` of a directory makes its names durable; nothing else makes anything durable.

use super::log::Call;
use super::tree::Tree;
use std::collections::{BTreeMap, HashMap};

/// A sync that the model leaves out: a planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None.
    None,
    /// `fdatasync` of a file named `db` does nothing: what sled's flush is without the interposer.
    DbSyncLost,
    /// A sync of the note of the newest volume does nothing.
    NoteSyncLost,
}

/// A change of one file since it was last synced.
#[derive(Clone, Copy, Debug)]
pub enum Edit<'a> {
    /// Bytes at a place; makes the file longer when it must.
    Write { at: u64, bytes: &'a [u8] },
    /// A new length.
    Size(u64),
    /// Zeros at a place; `grow` says whether they make the file longer.
    Zero { at: u64, length: u64, grow: bool },
}

/// A change of one directory since it was last synced.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A name more.
    Add(String, usize),
    /// A name less.
    Remove(String),
    /// Another name, at once.
    Move(String, String, usize),
}

/// A file.
#[derive(Default)]
pub struct File<'a> {
    /// What a power cut leaves for certain.
    pub durable: Vec<u8>,
    /// What it leaves perhaps.
    pub pending: Vec<Edit<'a>>,
    /// Is it named `db`?
    is_db: bool,
    /// Is it the note of the newest volume, before it has its name?
    is_note: bool,
}

/// A directory; each pending change carries its place in the order of all changes.
#[derive(Default)]
pub struct Directory {
    /// What a power cut leaves for certain.
    pub durable: BTreeMap<String, usize>,
    /// What it leaves perhaps.
    pub pending: Vec<(u64, Entry)>,
    now: BTreeMap<String, usize>,
}

/// One or the other.
pub enum Node<'a> {
    /// A file.
    File(File<'a>),
    /// A directory.
    Directory(Directory),
}

/// The whole disk; node 0 is the root.
pub struct Disk<'a> {
    /// By number; nothing is ever taken out.
    pub nodes: Vec<Node<'a>>,
    by_inode: HashMap<u64, usize>,
    /// How many changes of a node have become durable.
    settled: Vec<u64>,
    /// A sync under way: its node, and which of the node's changes it covers.
    syncing: HashMap<u64, (usize, u64)>,
    order: u64,
    fault: Fault,
}

impl<'a> Disk<'a> {
    /// A disk on which all of this is durable.
    pub fn new(base: &[(String, u64, Option<Vec<u8>>)], fault: Fault) -> Disk<'a> {
        let mut disk = Disk {
            nodes: Vec::new(),
            by_inode: HashMap::new(),
            settled: Vec::new(),
            syncing: HashMap::new(),
            order: 0,
            fault,
        };
        for (path, inode, bytes) in base {
            let node = disk.add_node(*inode, path, bytes.is_none());
            if let (Node::File(file), Some(bytes)) = (&mut disk.nodes[node], bytes) {
                file.durable.clone_from(bytes);
            }
            if let Some((parent, name)) = disk.parent(path) {
                parent.durable.insert(name.clone(), node);
                parent.now.insert(name, node);
            }
        }
        disk
    }

    /// What one call does to it.
    pub fn apply(&mut self, call: Call<'a>) {
        match call {
            Call::Create { path, inode } => {
                let node = self.add_node(inode, path, false);
                self.enter(path, |name| Entry::Add(name, node));
            }
            Call::Mkdir { path, inode } => {
                let node = self.add_node(inode, path, true);
                self.enter(path, |name| Entry::Add(name, node));
            }
            Call::Link { path, inode } => {
                if let Some(&node) = self.by_inode.get(&inode) {
                    self.enter(path, |name| Entry::Add(name, node));
                }
            }
            Call::Write { inode, at, bytes } => self.edit(inode, Edit::Write { at, bytes }),
            Call::Truncate { inode, size } => self.edit(inode, Edit::Size(size)),
            Call::Allocate { inode, at, length, mode } => self.allocate(inode, at, length, mode),
            Call::Remove { path } => self.enter(path, Entry::Remove),
            Call::Rename { from, to } => self.rename(from, to),
            Call::SyncBegin { inode, number, whole } => self.sync_begins(inode, number, whole),
            Call::SyncEnd { number, done } => self.sync_ends(number, done),
            Call::Range | Call::Answer { .. } => {}
            Call::Unknown { path, what } => {
                unreachable!("the recorder met {what} on {path:?}, which the model does not know")
            }
        }
    }

    /// The directory as the running process sees it.
    pub fn now(&self) -> Tree {
        let mut tree = Tree::default();
        self.collect(0, "", &mut tree, &mut |directory| directory.now.clone(), &mut |file| {
            let mut bytes = file.durable.clone();
            file.pending.iter().for_each(|edit| edit.perform(&mut bytes));
            bytes
        });
        tree
    }

    /// Walks from a directory down, asking what its names and its files' bytes are.
    pub fn collect(
        &self,
        node: usize,
        prefix: &str,
        tree: &mut Tree,
        names: &mut dyn FnMut(&Directory) -> BTreeMap<String, usize>,
        bytes: &mut dyn FnMut(&File) -> Vec<u8>,
    ) {
        let Node::Directory(directory) = &self.nodes[node] else { return };
        for (name, child) in names(directory) {
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            match &self.nodes[child] {
                Node::File(file) => drop(tree.0.insert(path, Some(bytes(file)))),
                Node::Directory(_) => {
                    tree.0.insert(path.clone(), None);
                    self.collect(child, &path, tree, names, bytes);
                }
            }
        }
    }

    fn add_node(&mut self, inode: u64, path: &str, directory: bool) -> usize {
        let (is_db, is_note) = (path.rsplit('/').next() == Some("db"), path == "newest.new");
        self.nodes.push(match directory {
            true => Node::Directory(Directory::default()),
            false => Node::File(File { is_db, is_note, ..File::default() }),
        });
        self.settled.push(0);
        self.by_inode.insert(inode, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// The directory a path lies in, and its last name.
    fn parent(&mut self, path: &str) -> Option<(&mut Directory, String)> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        if path.is_empty() {
            return None;
        }
        let mut node = 0;
        for part in above.split('/').filter(|part| !part.is_empty()) {
            let Node::Directory(directory) = &self.nodes[node] else { return None };
            node = *directory.now.get(part)?;
        }
        match &mut self.nodes[node] {
            Node::Directory(directory) => Some((directory, name.to_owned())),
            Node::File(_) => None,
        }
    }

    fn enter(&mut self, path: &str, entry: impl FnOnce(String) -> Entry) {
        self.order += 1;
        let order = self.order;
        if let Some((parent, name)) = self.parent(path) {
            let entry = entry(name);
            entry.perform(&mut parent.now);
            parent.pending.push((order, entry));
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        let Some(node) = self.parent(from).and_then(|(parent, name)| parent.now.get(&name).copied()) else { return };
        let (left, right) = (from.rsplit_once('/'), to.rsplit_once('/'));
        if left.map(|(above, _)| above) == right.map(|(above, _)| above) {
            let old = left.map_or(from, |(_, name)| name).to_owned();
            self.enter(to, |new| Entry::Move(old, new, node));
        } else {
            self.enter(to, |name| Entry::Add(name, node));
            self.enter(from, Entry::Remove);
        }
    }

    fn edit(&mut self, inode: u64, edit: Edit<'a>) {
        if let Some(Node::File(file)) = self.by_inode.get(&inode).map(|node| &mut self.nodes[*node]) {
            file.pending.push(edit);
        }
    }

    /// Modes: 1 keeps the length, 2 punches a hole (with 1), 16 zeroes.
    fn allocate(&mut self, inode: u64, at: u64, length: u64, mode: u64) {
        assert!(mode & !19 == 0, "fallocate mode {mode} is not in the model");
        let grow = mode & 1 == 0;
        match mode & 18 {
            0 if grow => self.edit(inode, Edit::Zero { at: at + length, length: 0, grow }),
            0 => {}
            _ => self.edit(inode, Edit::Zero { at, length, grow }),
        }
    }

    fn sync_begins(&mut self, inode: u64, number: u64, whole: bool) {
        let Some(&node) = self.by_inode.get(&inode) else { return };
        let pending = match &self.nodes[node] {
            Node::File(file) if file.is_db && !whole && self.fault == Fault::DbSyncLost => return,
            Node::File(file) if file.is_note && self.fault == Fault::NoteSyncLost => return,
            Node::File(file) => file.pending.len(),
            Node::Directory(directory) => directory.pending.len(),
        };
        self.syncing.insert(number, (node, self.settled[node] + pending as u64));
    }

    fn sync_ends(&mut self, number: u64, done: bool) {
        let Some((node, covered)) = self.syncing.remove(&number) else { return };
        let count = covered.saturating_sub(self.settled[node]) as usize;
        if !done || count == 0 {
            return;
        }
        self.settled[node] = covered;
        match &mut self.nodes[node] {
            Node::File(file) => file.pending.drain(..count).for_each(|edit| edit.perform(&mut file.durable)),
            Node::Directory(directory) => {
                directory.pending.drain(..count).for_each(|(_, entry)| entry.perform(&mut directory.durable))
            }
        }
    }
}

impl Entry {
    /// On a directory's names.
    pub fn perform(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Entry::Add(name, node) => drop(names.insert(name.clone(), *node)),
            Entry::Remove(name) => drop(names.remove(name)),
            Entry::Move(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl Edit<'_> {
    /// On a file's bytes.
    pub fn perform(&self, bytes: &mut Vec<u8>) {
        let size = self.size_after(bytes.len() as u64) as usize;
        bytes.resize(size, 0);
        match *self {
            Edit::Write { at, bytes: new } => bytes[at as usize..at as usize + new.len()].copy_from_slice(new),
            Edit::Size(_) => {}
            Edit::Zero { at, length, .. } => {
                let start = size.min(at as usize);
                bytes[start..size.min((at + length) as usize)].fill(0);
            }
        }
    }

    /// The length after it.
    pub fn size_after(&self, before: u64) -> u64 {
        match *self {
            Edit::Write { at, bytes } => before.max(at + bytes.len() as u64),
            Edit::Size(size) => size,
            Edit::Zero { at, length, grow: true } => before.max(at + length),
            Edit::Zero { grow: false, .. } => before,
        }
    }
}
