//! Whole volumes that are not there: noticed, asked about, and gone on without.
//!
//! Promise: a volume that is missing stops a start until somebody says that it is lost, for it may only lie on a disk that is
//! not mounted; from then on a note keeps its number, and its directory is welcome back at any time. Never: removes a volume.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::clean::Clean;
use super::durable;
use super::error::Error;
use super::header::Counters;
use super::log::{Log, volume_number};
use super::mark::Mark;
use super::place::Address;
use super::volume::Volume;

/// Behind a volume's number: the note that it is lost, a file beside where its directory was.
const LOST: &str = "lost";

/// What becomes of volumes that are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gaps {
    /// Nothing is done while one is.
    Refuse,
    /// Exactly these are lost, by the owner's word.
    GiveUp(Vec<u32>),
    /// It is only looked at what is there.
    LookPast,
}

impl Gaps {
    /// Whether only a look is wanted, and nothing may be written.
    pub fn is_look(&self) -> bool {
        *self == Self::LookPast
    }

    /// Goes on without the volumes `missing` from `log`, if that is wanted.
    pub fn settle(&self, log: &Log, missing: &[u32]) -> Result<(), Error> {
        if let Self::GiveUp(named) = self {
            let known = log.given_up();
            if let Some(volume) = named.iter().find(|number| !missing.contains(number) && !known.contains(number)) {
                return Err(Error::NotLost { volume: *volume });
            }
        }
        let agreed = |number: &u32| match self {
            Self::Refuse => false,
            Self::GiveUp(named) => named.contains(number),
            Self::LookPast => true,
        };
        if !missing.iter().all(agreed) {
            return Err(Error::Lost { volumes: missing.to_vec() });
        }
        missing.iter().for_each(|number| log.give_up(*number));
        Ok(())
    }
}

/// What is known of the log from beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Witness {
    /// The newest volume that was in use.
    pub volume: u32,
    /// Ids that were given.
    pub counters: Counters,
    /// The volume that was noted when it was begun.
    pub begun: Option<Mark>,
    /// Whether nothing came after it: it is of a stop in good order.
    last: bool,
}

impl Witness {
    /// What the note of a stop in good order knows, and that of the newest volume.
    pub fn of(clean: Option<Clean>, begun: Option<Mark>) -> Self {
        let stopped = |Clean { mark, .. }: Clean| Self {
            volume: mark.ending.volume,
            counters: mark.counters,
            begun: None,
            last: true,
        };
        let mut witness = Self { begun, ..clean.map_or(Self::default(), stopped) };
        witness.hear(begun);
        witness
    }

    /// Hears of a point that the log once had reached, from a catalog, say; it may have gone on since.
    pub fn hear(&mut self, mark: Option<Mark>) {
        let Some(mark) = mark else { return };
        self.last &= mark.ending.volume <= self.volume;
        self.volume = self.volume.max(mark.ending.volume);
        self.counters = self.counters.at_least(mark.counters);
    }

    /// The end that was noted in volume `number`.
    pub fn begun_in(&self, number: u32) -> Option<Address> {
        self.begun.map(|mark| mark.ending).filter(|ending| ending.volume == number).map(|ending| ending.end)
    }

    /// The ids that are free for sure when the newest `lost` volumes are gone and `counters` is what the others say.
    pub fn free(&self, counters: Counters, lost: usize) -> Counters {
        if self.last { counters } else { counters.behind_unknown(lost) }
    }
}

impl Log {
    /// The volumes that should be there, up to `known`, and are not. Of those from `looked_into` on, it is looked whether they
    /// have a database; the newest may have none, as when a crash came while it was made.
    pub fn missing(&self, looked_into: u32, known: u32) -> Result<Vec<u32>, Error> {
        let (numbers, given_up) = (self.numbers(), self.given_up());
        let newest = numbers.last().copied().unwrap_or(0);
        let mut missing = Vec::new();
        for number in (1..=newest.max(known)).filter(|number| given_up.binary_search(number).is_err()) {
            let made = number < newest || number <= known;
            let there = match numbers.binary_search(&number) {
                Err(_) => false,
                Ok(_) => number < looked_into || !made || self.volume(number)?.has_database()?,
            };
            if !there {
                missing.push(number);
            }
        }
        Ok(missing)
    }

    /// Notes for all later starts that volume `number` is lost.
    pub fn note_lost(&self, number: u32) -> Result<(), Error> {
        let text = format!(
            "Volume {number} was lost, and `rbackup rebuild --without-volume {number}` went on without it. If its directory \
             is found, put it here as {number:08} and run `rbackup rebuild`.\n"
        );
        durable::write_whole(self.dir(), &note(number), text.as_bytes()).map_err(|e| Error::io(self.dir(), e))
    }

    /// Whether there is such a note.
    pub fn is_noted(&self, number: u32) -> bool {
        self.dir().join(note(number)).exists()
    }

    /// Forgets the notes about volumes that are back.
    pub fn welcome(&self) -> Result<(), Error> {
        for number in self.numbers() {
            if self.is_noted(number) {
                tracing::warn!(volume = number, "a lost volume is back; `rbackup rebuild` reads what only it knows");
                durable::remove(self.dir(), &note(number)).map_err(|e| Error::io(self.dir(), e))?;
            }
        }
        Ok(())
    }
}

fn note(number: u32) -> String {
    format!("{number:08}.{LOST}")
}

/// The volumes that notes in `dir` call lost; one whose database is back is not.
pub fn noted(dir: &Path, volumes: &mut BTreeMap<u32, Arc<Volume>>) -> Result<BTreeSet<u32>, Error> {
    let mut lost = BTreeSet::new();
    for entry in fs::read_dir(dir).map_err(|e| Error::io(dir, e))? {
        let name = entry.map_err(|e| Error::io(dir, e))?.file_name();
        let noted = name.to_str().and_then(|name| name.strip_suffix(LOST)?.strip_suffix('.'));
        let Some(number) = noted.and_then(volume_number) else { continue };
        let back = volumes.get(&number).map_or(Ok(false), |volume| volume.has_database())?;
        if !back {
            volumes.remove(&number);
            lost.insert(number);
        }
    }
    Ok(lost)
}

/// Volumes in a sentence.
pub fn named(volumes: &[u32]) -> String {
    match volumes {
        [one] => format!("volume {one} is"),
        several => {
            let numbers: Vec<String> = several.iter().map(u32::to_string).collect();
            format!("volumes {} are", numbers.join(", "))
        }
    }
}

/// What is typed to go on without them.
pub fn flags(volumes: &[u32]) -> String {
    volumes.iter().fold(String::new(), |mut text, number| {
        let _ = write!(text, " --without-volume {number}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::super::header::Ending;
    use super::*;

    fn mark(volume: u32, version: u64) -> Mark {
        let counters = Counters { version, ..Counters::default() };
        Mark { store: [7; 16], ending: Ending { volume, ..Ending::NOTHING }, counters }
    }

    #[test]
    fn ids_are_skipped_unless_a_stop_in_good_order_knows_the_last() {
        let clean = Clean { mark: mark(3, 40), digest: [0; 32] };
        let mut exact = Witness::of(Some(clean), None);
        exact.hear(Some(mark(3, 35)));
        assert_eq!((exact.volume, exact.counters.version), (3, 40));
        assert_eq!(exact.free(exact.counters, 1).version, 40);
        let mut behind = Witness::of(None, None);
        behind.hear(Some(mark(3, 35)));
        assert!(behind.free(behind.counters, 1).version > 35 + 150_000);
        let mut stale = Witness::of(Some(clean), None);
        stale.hear(Some(mark(4, 41)));
        assert!(stale.free(stale.counters, 1).version > 150_000, "an older note says nothing of what came later");
        let begun = Witness::of(Some(clean), Some(mark(4, 41)));
        assert_eq!((begun.volume, begun.begun_in(4), begun.begun_in(3)), (4, Some(Address::START), None));
        assert!(
            begun.free(begun.counters, 1).version > 41 + 150_000,
            "begun after that stop: nobody knows what came in it"
        );
    }

    #[test]
    fn a_sentence_names_the_volumes_and_what_to_type() {
        assert_eq!((named(&[2]), flags(&[2])), ("volume 2 is".to_owned(), " --without-volume 2".to_owned()));
        assert_eq!(named(&[2, 7]), "volumes 2, 7 are");
        assert_eq!(flags(&[2, 7]), " --without-volume 2 --without-volume 7");
    }
}
