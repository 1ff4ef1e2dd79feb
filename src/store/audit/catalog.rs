//! The catalog's questions about the audit log.

use super::records::{AuditRecord, Head};
use crate::store::catalog::Catalog;
use crate::store::error::Error;
use crate::store::keys;
use crate::store::records::parse_row;

impl Catalog {
    /// The newest entry's number and hash; nothing while there is none.
    pub(in crate::store) fn audit_head(&self) -> Result<Option<Head>, Error> {
        self.get(&keys::audit_head())
    }

    /// How many entries there have been.
    pub fn audited(&self) -> Result<u64, Error> {
        Ok(self.audit_head()?.map_or(0, |head| head.number))
    }

    /// The entries from a number on, up to another one and without it.
    pub fn audits(&self, from: u64, until: u64) -> impl Iterator<Item = Result<AuditRecord, Error>> {
        self.stream((keys::audit(from), keys::audit(until))).map(|row| parse_row(&row?.1.value))
    }
}
