//! Which frames a volume should have: those its footer lists, or those that are found by reading it where nobody lists it.
//!
//! Promise: nothing behind the acknowledged end is listed, and what is missing below it is said in words. Never writes.

use super::error::Error;
use super::header::Entry;
use super::log::Log;
use super::place::Place;
use super::scan::{Until, scan};

/// The frames of one volume.
#[derive(Debug, Default)]
pub struct Listed {
    /// Every frame in order, those that describe the volume too.
    pub entries: Vec<Entry>,
    /// What could not be read on the way, in words.
    pub damaged: Vec<String>,
}

/// The frames of volume `number`; `newest` is how far it reaches when no later volume says so.
pub fn listed(log: &Log, number: u32, newest: Until) -> Result<Listed, Error> {
    let mut listed = Listed::default();
    match log.footer(number) {
        Ok(Some(footer)) => return Ok(Listed { entries: footer.entries, ..listed }),
        Ok(None) => {}
        Err(error) if error.is_damage() => {
            listed.damaged.push(format!("the footer of volume {number} does not verify"));
        }
        Err(error) => return Err(error),
    }
    let until = match log.header_behind(number) {
        Some(header) => Until::Exactly(header.before.end),
        None => newest,
    };
    let scanned = scan(log, number, until, |at, frame| {
        listed.entries.push(Entry::of(&frame.header, at));
        Ok(())
    })?;
    for (from, until) in scanned.gaps {
        let (from, until) = (Place { volume: number, address: from }, Place { volume: number, address: until });
        listed.damaged.push(format!("{from} up to {until} does not verify"));
    }
    Ok(listed)
}
