//! Looking at the store as a whole: checking all of it, counting what it has.

use super::Services;
use super::error::Error;
use crate::store::Report;

impl Services {
    /// Re-reads everything and says what is damaged. Needs no key. Nobody may write meanwhile.
    pub fn check(&self) -> Result<Report, Error> {
        Ok(self.inner.store.check()?)
    }

    /// Mends what a report says can be mended, and returns how many damaged chunks were forgotten. Nobody may write meanwhile.
    pub fn salvage(&self, report: &Report) -> Result<u64, Error> {
        Ok(self.inner.store.salvage(report)?)
    }

    /// How many versions there are in all accounts, the removed ones included.
    pub fn count_versions(&self) -> Result<u64, Error> {
        let mut versions = 0;
        for file in self.inner.store.catalog().all_files() {
            versions += file?.versions.len() as u64;
        }
        Ok(versions)
    }
}
