//! The note of the newest volume: that it was begun. After a kill nothing else may know of it when its directory is lost.
//!
//! Promise: a volume's note is durable before anything in it is acknowledged, and its header is before the note; so what the note
//! names was there, and its loss is noticed. Never: more than a lower bound; one that is older, damaged, another store's or not
//! there costs nothing but that notice, and the next start writes it again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::durable;
use super::error::Error;
use super::mark::Mark;
use super::raw;

const NEWEST: &str = "newest";
const SUM_BYTES: usize = 8;

/// What the note in `dir` says of the log of `store`, if it is one to be believed.
pub fn read(dir: &Path, store: [u8; 16]) -> Result<Option<Mark>, Error> {
    let path = dir.join(NEWEST);
    let reason = match fs::read(&path) {
        Ok(bytes) => match parse(&bytes) {
            Some(mark) if mark.store == store => return Ok(Some(mark)),
            Some(_) => "it is another store's",
            None => "it is damaged",
        },
        // As in every store from before there was one.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if raw::is_bad_sector(&error) => "it cannot be read",
        Err(error) => return Err(Error::io(&path, error)),
    };
    tracing::warn!(reason, "the note of the newest volume says nothing");
    Ok(None)
}

/// Writes the note, once for each volume.
#[derive(Debug)]
pub struct Newest {
    dir: PathBuf,
    /// The volume that the note on the disk names for sure.
    noted: Option<u32>,
}

impl Newest {
    /// For the data directory `dir`, whose note is `found`.
    pub fn at(dir: &Path, found: Option<Mark>) -> Self {
        Self { dir: dir.to_owned(), noted: found.map(|mark| mark.ending.volume) }
    }

    /// Whether volume `number`, or a later one, is noted.
    pub fn knows(&self, number: u32) -> bool {
        self.noted >= Some(number)
    }

    /// Notes that the log has come to `mark`, where something durable is, unless its volume is noted.
    pub fn note(&mut self, mark: &Mark) -> Result<(), Error> {
        if mark.ending.volume == 0 || self.knows(mark.ending.volume) {
            return Ok(());
        }
        // A write that fails may have been done all the same.
        self.noted = None;
        durable::write_whole(&self.dir, NEWEST, &encode(mark)?).map_err(|e| Error::io(&self.dir.join(NEWEST), e))?;
        self.noted = Some(mark.ending.volume);
        Ok(())
    }
}

fn encode(mark: &Mark) -> Result<Vec<u8>, Error> {
    let mut note = mark.encode()?;
    let sum = *blake3::hash(&note).as_bytes();
    note.extend_from_slice(&sum[..SUM_BYTES]);
    Ok(note)
}

fn parse(note: &[u8]) -> Option<Mark> {
    let (mark, sum) = note.split_at_checked(note.len().checked_sub(SUM_BYTES)?)?;
    if blake3::hash(mark).as_bytes().starts_with(sum) { Mark::parse(mark).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::header::{Counters, Ending};
    use super::super::place::Address;
    use super::*;

    fn mark(volume: u32) -> Mark {
        let ending = Ending { volume, end: Address::new(1, 0), running: [3; 32] };
        Mark { store: [7; 16], ending, counters: Counters::default() }
    }

    #[test]
    fn a_note_is_read_back_and_no_changed_one_is() {
        let bytes = encode(&mark(3)).expect("encoded");
        assert_eq!(parse(&bytes), Some(mark(3)));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&flipped), None, "bit {bit}");
        }
        (0..bytes.len()).for_each(|length| assert_eq!(parse(&bytes[..length]), None, "{length} bytes of it"));
        assert_eq!(parse(&[&bytes[..], b"x"].concat()), None);
    }

    #[test]
    fn a_volume_is_noted_once_and_an_older_one_never_over_a_newer() {
        let home = tempfile::tempdir().expect("a directory");
        let found = || read(home.path(), [7; 16]).expect("read");
        assert_eq!(found(), None);
        let mut newest = Newest::at(home.path(), None);
        newest.note(&mark(3)).expect("noted");
        assert_eq!(found(), Some(mark(3)));
        assert_eq!(read(home.path(), [8; 16]).expect("read"), None, "another store's");
        fs::remove_file(home.path().join(NEWEST)).expect("it is there");
        newest.note(&mark(3)).expect("nothing to do");
        newest.note(&mark(2)).expect("nothing to do");
        assert_eq!(found(), None, "written once");
        newest.note(&mark(4)).expect("noted");
        let mut again = Newest::at(home.path(), found());
        again.note(&mark(3)).expect("nothing to do");
        assert_eq!(found(), Some(mark(4)));
    }

    #[test]
    fn a_note_that_could_not_be_written_is_written_when_it_can_be() {
        let home = tempfile::tempdir().expect("a directory");
        let in_the_way = home.path().join("newest.new");
        fs::create_dir(&in_the_way).expect("made");
        let mut newest = Newest::at(home.path(), None);
        newest.note(&mark(1)).expect_err("a directory is in the way");
        assert!(!newest.knows(1));
        fs::remove_dir(&in_the_way).expect("removed");
        newest.note(&mark(1)).expect("noted");
        assert!(newest.knows(1) && !newest.knows(2));
    }
}
