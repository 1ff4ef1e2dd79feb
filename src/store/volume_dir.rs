//! The names in a volume's directory, and the one change that is ever made to them: what a crash has seen is renamed.
//! Promise: only "not found" means that a file is missing. Never: looks into a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::durable;

/// sled's own name for its file.
pub const DB_FILE: &str = "db";
/// The name that keeps sled from ever opening what a crash has seen: its recovery could cut at the wrong place.
pub const CRASHED_FILE: &str = "db.crashed";

/// The directory of volume `number` below `volumes`.
pub fn directory(volumes: &Path, number: u32) -> PathBuf {
    volumes.join(format!("{number:08}"))
}

/// The file in `dir` that holds the blocks, if there is one.
pub fn file(dir: &Path) -> io::Result<Option<PathBuf>> {
    for name in [CRASHED_FILE, DB_FILE] {
        let path = dir.join(name);
        if path.try_exists()? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Gives the file its other name and makes that, and what the kernel had not written of it, durable.
pub fn retire(dir: &Path) -> io::Result<()> {
    let Some(found) = file(dir)? else { return Ok(()) };
    let crashed = dir.join(CRASHED_FILE);
    if found != crashed {
        fs::rename(&found, &crashed)?;
    }
    durable::sync_file(&crashed)?;
    durable::sync_dir(dir)
}
