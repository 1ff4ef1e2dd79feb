//! A data directory on its way to an open store: is the disk durable, which catalog counts, how far does the log reach.
//!
//! Promise: log and catalog come to the same point, or nothing is changed but what is derived. A catalog that is damaged, or another
//! store's, is set aside and made anew; the one set aside comes back when that fails. Never: writes to a volume that is there.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::aside::{CATALOG, OLD_CATALOG, set_catalog_aside};
use super::clean::Clean;
use super::durable;
use super::error::Error;
use super::format_file::Format;
use super::gaps::{Gaps, Witness};
use super::header::Counters;
use super::log::Log;
use super::mark::Mark;
use super::newest;
use super::replay::Replay;
use super::rows::Rows;
use super::shape::Shape;
use super::space::Space;
use super::usage::Stored;
use super::writer::{Tail, Writer};

/// Refuses to promise what this build cannot hold. A disk too full for the test is not refused: its files can be read, and the first
/// volume that is begun on it shows the same ([`writer::Writer::begin`]).
pub fn require_durable(dir: &Path, space: &Space) -> Result<(), Error> {
    judged(space.with_room(|| durable::self_test(dir).map_err(|e| Error::io(dir, e))))
}

fn judged(tested: Result<bool, Error>) -> Result<(), Error> {
    match tested {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::NotDurable),
        Err(Error::NoSpace) => {
            tracing::warn!("the disk is too full for the self-test");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Log and catalog brought to the same point.
pub struct Recovered {
    /// The log.
    pub log: Log,
    /// The catalog's rows.
    pub rows: Rows,
    /// The end of the log.
    pub tail: Tail,
    /// The next ids.
    pub counters: Counters,
    /// What accounts have stored.
    pub stored: Stored,
    /// Damage that was met on the way, in words.
    pub damage: Vec<String>,
    /// What the note of the newest volume said.
    pub noted: Option<Mark>,
}

/// Brings log and catalog to the same point. A catalog that turns out to be damaged on the way is made anew.
pub fn recovered(dir: &Path, format: &Format, clean: Option<Clean>, gaps: &Gaps) -> Result<Recovered, Error> {
    // What is thrown away below may know of volumes and ids that nothing else does any more.
    let (store, _) = shape_of(format)?;
    let mut witness = Witness::of(clean, newest::read(dir, store)?);
    match recover_once(dir, format, clean, &mut witness, gaps, false) {
        Err(Error::Rows(error)) if error.is_damage() => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the catalog is rebuilt from the volumes");
            if !gaps.is_look() {
                set_catalog_aside(dir)?;
            }
            recover_once(dir, format, clean, &mut witness, gaps, true)
        }
        recovered => recovered,
    }
}

/// With `anew`, the catalog on the disk is worth nothing.
fn recover_once(
    dir: &Path,
    format: &Format,
    clean: Option<Clean>,
    witness: &mut Witness,
    gaps: &Gaps,
    anew: bool,
) -> Result<Recovered, Error> {
    let (store, shape) = shape_of(format)?;
    witness.hear(mark_of_old_catalog(dir, store, shape));
    let (rows, mark) = match anew && gaps.is_look() {
        true => (Rows::in_memory(shape), None),
        false => open_catalog(dir, store, shape, gaps)?,
    };
    witness.hear(mark);
    let log = Log::at(if gaps.is_look() { dir.join("volumes") } else { directory(dir, "volumes")? }, shape)?;
    let mut replay = Replay::of(&log, &rows, store);
    replay.looking = gaps.is_look();
    let (tail, counters) = replay.run(mark, clean, witness, gaps)?;
    let newest = tail.as_ref().map_or_else(|(ending, _)| ending.volume, Writer::volume);
    let stored = replay.stored(newest)?;
    let damage = replay.damage();
    Ok(Recovered { log, rows, tail, counters, stored, damage, noted: witness.begun })
}

fn shape_of(format: &Format) -> Result<([u8; 16], Shape), Error> {
    format.id().zip(format.shape()).ok_or_else(|| Error::format("FORMAT", "impossible values"))
}

/// Opens the catalog with the mark it reaches to. One that is damaged, or another store's, is set aside:
/// it is derived, and the replay that follows builds it anew.
fn open_catalog(dir: &Path, store: [u8; 16], shape: Shape, gaps: &Gaps) -> Result<(Rows, Option<Mark>), Error> {
    let opened = match gaps.is_look() {
        true => Rows::look(&dir.join(CATALOG), shape),
        false => Rows::open(&directory(dir, CATALOG)?, shape),
    };
    let reason = match opened {
        Ok((rows, None)) => return Ok((rows, None)),
        Ok((rows, Some(mark))) => match Mark::parse(&mark) {
            Ok(mark) if mark.store == store => return Ok((rows, Some(mark))),
            _ => "it belongs to another store".to_owned(),
        },
        Err(error) if !error.is_damage() => return Err(error.into()),
        Err(error) => error.to_string(),
    };
    tracing::warn!(reason, "the catalog is rebuilt from the volumes");
    if gaps.is_look() {
        return Ok((Rows::in_memory(shape), None));
    }
    set_catalog_aside(dir)?;
    Ok((Rows::open(&directory(dir, CATALOG)?, shape)?.0, None))
}

/// What the catalog that a rebuild set aside knows of the log, if there is one that reads.
fn mark_of_old_catalog(dir: &Path, store: [u8; 16], shape: Shape) -> Option<Mark> {
    let (_, mark) = Rows::look(&dir.join(OLD_CATALOG), shape).ok()?;
    Mark::parse(&mark?).ok().filter(|mark| mark.store == store)
}

pub fn directory(dir: &Path, name: &str) -> Result<PathBuf, Error> {
    let path = dir.join(name);
    if !path.exists() {
        let made = fs::DirBuilder::new().mode(0o700).create(&path).and_then(|()| durable::sync_dir(dir));
        made.map_err(|e| Error::io(&path, e))?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Planted: a build whose syncs are not ours.
    #[test]
    fn a_build_that_syncs_nothing_is_refused_and_a_full_disk_is_not() {
        assert!(matches!(judged(Ok(false)), Err(Error::NotDurable)));
        assert!(judged(Ok(true)).is_ok() && judged(Err(Error::NoSpace)).is_ok());
        assert!(matches!(judged(Err(Error::Gone)), Err(Error::Gone)));
    }
}
