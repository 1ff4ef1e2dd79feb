//! Mends what a check found: the places of chunks that do not read back are forgotten, so that the same content is stored anew when
//! it comes again, under the same id, and every version that has it is whole again. Never: nothing in `volumes/` is changed.

use super::Store;
use super::catalog;
use super::check::Report;
use super::error::Error;

impl Store {
    /// Mends what `report` says, and returns how many chunks and manifests were forgotten. Nobody may write meanwhile.
    pub fn salvage(&self, report: &Report) -> Result<u64, Error> {
        let rows = &self.shared.rows;
        let mut forgotten = 0;
        for id in &report.damaged_chunks {
            if let Some(seq) = rows.seq_of(&catalog::place_key(id))? {
                rows.apply(vec![catalog::place_forgotten(id, seq)]);
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }
}
