//! The note of a stop in good order: where the log ended, and what its newest volume was then. There only until the next start.
//!
//! Promise: a note that was changed, or does not belong to the volume as it is, is never believed; so a note or a volume put back from
//! a copy cannot make anybody write over what was acknowledged. Never: trusted for more than the volume it names.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::durable;
use super::error::Error;
use super::log::Log;
use super::mark::Mark;
use super::raw;

const CLEAN: &str = "clean";
const SUM_BYTES: usize = 8;

/// How the last stop in good order left the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clean {
    /// Where the log ended.
    pub mark: Mark,
    /// What [`digest`] said of its newest volume.
    pub digest: [u8; 32],
}

impl Clean {
    /// A stop in good order at `mark`.
    pub fn at(mark: Mark, log: &Log) -> Result<Self, Error> {
        let digest = if mark.ending.volume == 0 { [0; 32] } else { log.volume(mark.ending.volume)?.digest()? };
        Ok(Self { mark, digest })
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut note = self.digest.to_vec();
        note.extend_from_slice(&self.mark.encode()?);
        let sum = *blake3::hash(&note).as_bytes();
        note.extend_from_slice(&sum[..SUM_BYTES]);
        Ok(note)
    }

    fn parse(note: &[u8]) -> Option<Self> {
        let (note, sum) = note.split_at_checked(note.len().checked_sub(SUM_BYTES)?)?;
        let (digest, mark) = note.split_first_chunk().filter(|_| blake3::hash(note).as_bytes().starts_with(sum))?;
        Some(Self { mark: Mark::parse(mark).ok()?, digest: *digest })
    }
}

/// The note of the last stop, if it was in good order.
pub fn read(dir: &Path) -> Result<Option<Clean>, Error> {
    let path = dir.join(CLEAN);
    match fs::read(&path) {
        Ok(bytes) => Ok(Clean::parse(&bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // Only a hint: without it the newest volume is taken for one that a crash has seen.
        Err(error) if raw::is_bad_sector(&error) => Ok(None),
        Err(error) => Err(Error::io(&path, error)),
    }
}

/// Removes that note; from here on a stop without a new one is a crash.
pub fn forget(dir: &Path) -> Result<(), Error> {
    durable::remove(dir, CLEAN).map_err(|e| Error::io(&dir.join(CLEAN), e))
}

/// Notes a stop in good order.
pub fn note(dir: &Path, clean: &Clean) -> Result<(), Error> {
    durable::write_whole(dir, CLEAN, &clean.encode()?).map_err(|e| Error::io(dir, e))
}

/// A hash over the files in a volume's directory, their names and contents, but for what is derived.
pub fn digest(dir: &Path) -> io::Result<[u8; 32]> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && !raw::is_list(&entry.path()) {
            names.push(entry.file_name());
        }
    }
    names.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for name in names {
        let mut content = blake3::Hasher::new();
        content.update_reader(File::open(dir.join(&name))?)?;
        hasher.update(blake3::hash(name.as_encoded_bytes()).as_bytes()).update(content.finalize().as_bytes());
    }
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::header::{Counters, Ending};
    use super::*;

    #[test]
    fn a_note_is_read_back_and_no_changed_one_is() {
        let mark = Mark { store: [7; 16], ending: Ending::NOTHING, counters: Counters::default() };
        let note = Clean { mark, digest: [9; 32] };
        let bytes = note.encode().expect("encoded");
        assert_eq!(Clean::parse(&bytes), Some(note));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Clean::parse(&flipped), None, "bit {bit}");
        }
        assert_eq!(Clean::parse(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn a_digest_tells_any_change_but_that_of_a_list() {
        let home = tempfile::tempdir().expect("a directory");
        let write = |name: &str, content: &str| fs::write(home.path().join(name), content).expect("written");
        write("db", "blocks");
        let before = digest(home.path()).expect("read");
        write("pieces", "a list");
        assert_eq!(digest(home.path()).expect("read"), before);
        write("db", "block5");
        assert_ne!(digest(home.path()).expect("read"), before);
        write("db", "blocks");
        write("conf", "");
        assert_ne!(digest(home.path()).expect("read"), before);
    }
}
