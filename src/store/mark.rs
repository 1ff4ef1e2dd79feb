//! Up to where in the log the catalog on disk reaches.

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::header::{Counters, Ending};
use super::place::Address;
use super::records::{encode_row, parse_row};

/// A position in the log with all that is needed to go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The store it belongs to.
    pub store: [u8; 16],
    /// The position: everything before is in the catalog.
    pub ending: Ending,
    /// The next ids at that position.
    pub counters: Counters,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    store: [u8; 16],
    volume: u32,
    end: u32,
    running: [u8; 32],
    counters: [u64; 4],
}

impl Mark {
    /// The mark as it is stored.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let Counters { seq, version, file, account } = self.counters;
        let Ending { volume, end, running } = self.ending;
        encode_row(&Stored { store: self.store, volume, end: end.0, running, counters: [seq, version, file, account] })
    }

    /// Reads a stored mark.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let Stored { store, volume, end, running, counters: [seq, version, file, account] } = parse_row(bytes)?;
        let ending = Ending { volume, end: Address(end), running };
        Ok(Self { store, ending, counters: Counters { seq, version, file, account } })
    }
}
