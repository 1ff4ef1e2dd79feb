//! restic's repositories as JSON. Promises: nothing of their content, which the server does not know.

use serde::{Deserialize, Serialize};

/// A repository with what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoJson {
    /// Its name below `/restic/`; empty for the one at the root.
    pub name: String,
    /// When it was made, UTC without a zone.
    pub created: String,
    /// Objects of all kinds.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Snapshots among them.
    pub snapshots: u64,
    /// When the newest object arrived, locks not counted.
    pub last_write: Option<String>,
    /// Who works on it, or did not end in good order.
    pub locks: Vec<LockJson>,
}

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockJson {
    /// When it was made.
    pub created: String,
    /// How long ago.
    pub age_s: u64,
}
