//! Reads what the recorder (`shim.c`) wrote. A record cut off at the end, by a kill, is left out.

use std::path::Path;

/// One call that took effect.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// A new file.
    Create { path: &'a str, inode: u64 },
    /// Bytes at a place.
    Write { inode: u64, at: u64, bytes: &'a [u8] },
    /// A new length.
    Truncate { inode: u64, size: u64 },
    /// `fallocate` with its mode.
    Allocate { inode: u64, at: u64, length: u64, mode: u64 },
    /// `fsync` (`whole`) or `fdatasync` was called.
    SyncBegin { inode: u64, number: u64, whole: bool },
    /// And returned.
    SyncEnd { number: u64, done: bool },
    /// `sync_file_range`: promises nothing.
    Range,
    /// A rename.
    Rename { from: &'a str, to: &'a str },
    /// A name less: file or directory.
    Remove { path: &'a str },
    /// A new directory.
    Mkdir { path: &'a str, inode: u64 },
    /// Another name.
    Link { path: &'a str, inode: u64 },
    /// A client is about to be answered.
    Answer { port: u16, status: u16 },
    /// Something the model does not know.
    Unknown { path: &'a str, what: &'a str },
}

/// The whole recording.
pub struct Log {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

const HEAD: usize = 40;

impl Log {
    /// Reads it from the recorder's file.
    pub fn read(path: &Path) -> Log {
        let bytes = std::fs::read(path).unwrap_or_default();
        let (mut starts, mut at) = (Vec::new(), 0);
        while at + HEAD <= bytes.len() {
            let end = at + HEAD + u32_at(&bytes, at + 4) as usize + u64_at(&bytes, at + 32) as usize;
            if end > bytes.len() {
                break;
            }
            starts.push(at);
            at = end;
        }
        Log { bytes, starts }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The first record that begins at or after this length of the log.
    pub fn index_at(&self, bytes: u64) -> usize {
        self.starts.partition_point(|start| (*start as u64) < bytes)
    }

    /// All calls in order.
    pub fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        (0..self.len()).map(|index| self.call(index))
    }

    /// One call.
    pub fn call(&self, index: usize) -> Call<'_> {
        let at = self.starts[index];
        let path_end = at + HEAD + u32_at(&self.bytes, at + 4) as usize;
        let data = &self.bytes[path_end..path_end + u64_at(&self.bytes, at + 32) as usize];
        let path = text(&self.bytes[at + HEAD..path_end]);
        let [inode, a, b] = [8, 16, 24].map(|offset| u64_at(&self.bytes, at + offset));
        match u32_at(&self.bytes, at) {
            1 => Call::Create { path, inode },
            2 => Call::Write { inode, at: a, bytes: data },
            3 => Call::Truncate { inode, size: a },
            4 => Call::Allocate { inode, at: a, length: b, mode: u64_at(data, 0) },
            5 => Call::SyncBegin { inode, number: a, whole: b == 1 },
            6 => Call::SyncEnd { number: a, done: b == 1 },
            7 => Call::Range,
            8 => Call::Rename { from: path, to: text(data) },
            9 | 10 => Call::Remove { path },
            11 => Call::Mkdir { path, inode },
            12 => Call::Link { path, inode },
            13 => Call::Answer { port: a as u16, status: b as u16 },
            _ => Call::Unknown { path, what: text(data) },
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("file names below the data directory are plain")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
