//! A store that is only looked at: its disk is read-only, or a volume of it is missing and nobody has said yet that it is lost.
//!
//! Promise: nothing on the disk is made, changed or removed; what a crash left is recovered in memory. Never: takes a change.

use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use super::gaps::Gaps;
use super::home::{Home, Watch};
use super::mark::Mark;
use super::opening::{self, Recovered};
use super::shared::Shared;
use super::space::Space;
use super::suspects::Suspects;
use super::usage::Meter;
use super::{Error, Options, Store, clean, format_file};
use crate::store::header::Ending;

impl Store {
    /// Opens the store as [`Store::open`] does if that can be, and else only to be looked at, which is said in the log. For whoever
    /// wants to read everything and write nothing.
    pub fn open_to_read(dir: &Path, options: Options) -> Result<Self, Error> {
        match Self::open(dir, options) {
            Err(error) if error.is_read_only() => {
                tracing::warn!(
                    "the disk is read-only: the store is only looked at, and not locked where that takes a write"
                );
                Self::look(dir, options)
            }
            Err(error @ Error::Lost { .. }) => {
                tracing::error!("{error}");
                Self::look(dir, options)
            }
            opened => opened,
        }
    }

    fn look(dir: &Path, options: Options) -> Result<Self, Error> {
        let lock = format_file::lock_to_look(dir)?;
        let format = format_file::read(dir)?.ok_or_else(|| Error::NoStore { dir: dir.to_owned() })?;
        let store = format.id().unwrap_or_default();
        let clean = clean::read(dir)?.filter(|clean| clean.mark.store == store);
        let recovered = opening::recovered(dir, &format, clean, &Gaps::LookPast)?;
        let Recovered { log, rows, tail, counters, stored, damage, .. } = recovered;
        let ending = tail.map_or_else(|(ending, _)| ending, |_| Ending::NOTHING);
        let space = Space::of(dir, options.ballast_bytes)?;
        let shared = Arc::new(Shared::new(
            log,
            Arc::new(rows),
            space,
            Home::at(dir),
            Watch::new(options.stuck),
            Meter::of(&stored),
            Suspects::unkept(),
        ));
        let opened = Mark { store, ending, counters };
        // Nobody is there to take a job: every change is refused.
        let (jobs, _) = channel();
        let alarm = super::alarm(jobs.clone());
        let (dir, threads) = (dir.to_owned(), Mutex::default());
        Ok(Self { dir, format, shared, jobs, opened, damage, threads, looking: true, _alarm: alarm, _lock: lock })
    }
}
