//! The catalog that is set aside while another one is built. Promise: of two, the one that was whole last is the one that is kept.

use std::fs;
use std::path::Path;

use super::durable;
use super::error::Error;

/// The catalog that a rebuild set aside, until it has succeeded.
pub const OLD_CATALOG: &str = "catalog.old";
/// The catalog.
pub const CATALOG: &str = "catalog";

/// Puts the catalog aside. One that was put aside before is the better one: what came after it was never finished.
pub fn set_catalog_aside(dir: &Path) -> Result<(), Error> {
    let (catalog, old) = (dir.join(CATALOG), dir.join(OLD_CATALOG));
    let set_aside = match (catalog.exists(), old.exists()) {
        (false, _) => return Ok(()),
        (true, true) => fs::remove_dir_all(&catalog),
        (true, false) => fs::rename(&catalog, &old),
    };
    set_aside.and_then(|()| durable::sync_dir(dir)).map_err(|e| Error::io(&catalog, e))
}

/// Puts back the catalog that was set aside, if one was.
pub fn restore_catalog(dir: &Path) -> Result<(), Error> {
    let (catalog, old) = (dir.join(CATALOG), dir.join(OLD_CATALOG));
    if !old.exists() {
        return Ok(());
    }
    if catalog.exists() {
        fs::remove_dir_all(&catalog).map_err(|e| Error::io(&catalog, e))?;
    }
    fs::rename(&old, &catalog).and_then(|()| durable::sync_dir(dir)).map_err(|e| Error::io(&catalog, e))
}

/// Not worth a start: what is left of it is removed by the next one.
pub fn remove_old_catalog(dir: &Path) {
    let old = dir.join(OLD_CATALOG);
    if old.exists()
        && let Err(error) = fs::remove_dir_all(&old)
    {
        tracing::warn!(%error, "the catalog that was set aside could not be removed");
    }
}
