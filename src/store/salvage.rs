//! Mends what a check found: volumes that sled refuses are written anew from the blocks found in their bytes, and the places of
//! chunks that do not read back are forgotten, so that the same content is stored anew when it comes again.
//!
//! Promise: blocks keep their numbers, so every place stays right; the old directory is kept under another name, and a crash in
//! between leaves it or the new one. Never: a volume that sled opens, or one that a crash has seen, is not touched.

use std::fs;
use std::path::{Path, PathBuf};

use super::Store;
use super::catalog;
use super::check::Report;
use super::durable;
use super::error::Error;
use super::log::Log;
use super::volume::{self, Volume};

/// The name a refused volume's directory gets when it was written anew.
const OLD_SUFFIX: &str = "damaged";
/// Where volumes are written anew, below `volumes`.
const WORKSHOP: &str = "salvage";
/// sled keeps what is not flushed in memory.
const UNFLUSHED_BYTES_MAX: usize = 4 << 20;

/// What was mended.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// Volumes written anew, and where the old ones are.
    pub volumes: Vec<(u32, PathBuf)>,
    /// Chunks and manifests whose places were forgotten.
    pub chunks: u64,
}

impl Store {
    /// Mends what `report` says. Nobody may write meanwhile.
    pub fn salvage(&self, report: &Report) -> Result<Salvaged, Error> {
        let mut salvaged = Salvaged::default();
        for number in &report.refused_volumes {
            salvaged.volumes.push((*number, write_anew(&self.shared.log, *number)?));
        }
        let rows = &self.shared.rows;
        for id in &report.damaged_chunks {
            if let Some(seq) = rows.seq_of(&catalog::place_key(id))? {
                rows.apply(vec![catalog::place_forgotten(id, seq)]);
                salvaged.chunks += 1;
            }
        }
        Ok(salvaged)
    }
}

/// Brings back volumes whose salvage was cut between its two renames.
pub fn settle(volumes: &Path) -> Result<(), Error> {
    let workshop = volumes.join(WORKSHOP);
    if !workshop.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(volumes).map_err(|e| Error::io(volumes, e))? {
        let path = entry.map_err(|e| Error::io(volumes, e))?.path();
        let lost = path.extension().is_some_and(|suffix| suffix == OLD_SUFFIX) && !path.with_extension("").exists();
        if lost {
            fs::rename(&path, path.with_extension("")).map_err(|e| Error::io(&path, e))?;
        }
    }
    durable::sync_dir(volumes).and_then(|()| fs::remove_dir_all(&workshop)).map_err(|e| Error::io(&workshop, e))
}

/// Writes volume `number` anew from its blocks and returns where the old one is.
fn write_anew(log: &Log, number: u32) -> Result<PathBuf, Error> {
    let refused = log.volume(number)?;
    let blocks = refused.blocks()?;
    let workshop = log.dir().join(WORKSHOP);
    let failed = |e| Error::io(&workshop, e);
    fs::create_dir_all(&workshop).map_err(failed)?;
    let fresh = Volume::create(&workshop, number, log.shape())?;
    let mut unflushed = 0;
    for at in 0..blocks.last().map_or(0, |last| last + 1) {
        let Some(block) = blocks.get(at).map_err(failed)? else { continue };
        fresh.put(at, &block)?;
        unflushed += block.len();
        if unflushed >= UNFLUSHED_BYTES_MAX {
            fresh.flush()?;
            fresh.close();
            unflushed = 0;
        }
    }
    fresh.settle()?;
    refused.close();
    let (place, made) = (volume::directory(log.dir(), number), volume::directory(&workshop, number));
    let old = place.with_extension(OLD_SUFFIX);
    if old.exists() {
        fs::remove_dir_all(&old).map_err(failed)?;
    }
    fs::rename(&place, &old)
        .and_then(|()| fs::rename(&made, &place))
        .and_then(|()| durable::sync_dir(log.dir()))
        .and_then(|()| fs::remove_dir(&workshop))
        .map_err(failed)?;
    Ok(old)
}
