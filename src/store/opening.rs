//! A data directory on its way to an open store: is the disk durable, which catalog counts, how far does the log reach.
//!
//! Promise: log and catalog come to the same point, or nothing is changed but what is derived. A catalog that is damaged, or another
//! store's, is set aside and made anew; the one set aside comes back when that fails. Never: writes to a volume that is there.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::aside::set_catalog_aside;
use super::clean::Clean;
use super::durable;
use super::error::Error;
use super::format_file::Format;
use super::header::Counters;
use super::log::Log;
use super::mark::Mark;
use super::replay::Replay;
use super::rows::Rows;
use super::shape::Shape;
use super::space::Space;
use super::writer::Tail;

/// Refuses to promise what this build cannot hold. A disk too full for the test is not refused: its files can be read, and the first
/// volume that is begun on it shows the same ([`writer::Writer::begin`]).
pub fn require_durable(dir: &Path, space: &Space) -> Result<(), Error> {
    match space.with_room(|| durable::self_test(dir).map_err(|e| Error::io(dir, e))) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::NotDurable),
        Err(Error::NoSpace) => {
            tracing::warn!("the disk is too full for the self-test");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Log and catalog brought to the same point, and the end of the log.
pub type Recovered = (Log, Rows, Tail, Counters);

/// Brings log and catalog to the same point. A catalog that turns out to be damaged on the way is made anew.
pub fn recovered(dir: &Path, format: &Format, clean: Option<Clean>) -> Result<Recovered, Error> {
    // What is thrown away below may know of ids that nothing else does any more.
    let mut known = clean.map_or(Counters::default(), |clean| clean.mark.counters);
    match recover_once(dir, format, clean, &mut known) {
        Err(Error::Rows(error)) if error.is_damage() => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the catalog is rebuilt from the volumes");
            set_catalog_aside(dir)?;
            recover_once(dir, format, clean, &mut known)
        }
        recovered => recovered,
    }
}

fn recover_once(dir: &Path, format: &Format, clean: Option<Clean>, known: &mut Counters) -> Result<Recovered, Error> {
    let (Some(store), Some(shape)) = (format.id(), format.shape()) else {
        return Err(Error::format("FORMAT", "impossible values"));
    };
    let volumes = directory(dir, "volumes")?;
    let log = Log::at(volumes, shape)?;
    let (rows, mark) = open_catalog(dir, store, shape)?;
    *known = known.at_least(mark.map_or(Counters::default(), |mark| mark.counters));
    let replay = Replay { log: &log, rows: &rows, store };
    let (tail, counters) = replay.run(mark, clean, *known)?;
    Ok((log, rows, tail, counters))
}

/// Opens the catalog with the mark it reaches to. One that is damaged, or another store's, is set aside:
/// it is derived, and the replay that follows builds it anew.
fn open_catalog(dir: &Path, store: [u8; 16], shape: Shape) -> Result<(Rows, Option<Mark>), Error> {
    let at = directory(dir, "catalog")?;
    let opened = Rows::open(&at, shape);
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
    set_catalog_aside(dir)?;
    Ok((Rows::open(&directory(dir, "catalog")?, shape)?.0, None))
}

pub fn directory(dir: &Path, name: &str) -> Result<PathBuf, Error> {
    let path = dir.join(name);
    if !path.exists() {
        let made = fs::DirBuilder::new().mode(0o700).create(&path).and_then(|()| durable::sync_dir(dir));
        made.map_err(|e| Error::io(&path, e))?;
    }
    Ok(path)
}
