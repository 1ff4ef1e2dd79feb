//! Names and numbers that cannot hold a bad value. Everyone may use this room; it uses nobody.

pub mod account;
pub mod bounds;
pub mod file;
pub mod id;
pub mod limits;
pub mod path;
pub mod quota;
pub mod random;
pub mod repo;
pub mod rights;
pub mod secret;
pub mod socket;
pub mod time;

pub use account::{DeviceName, Password, Registration, Username};
pub use file::{File, Version};
pub use id::{AccountId, ChunkId, FileId, Sha256, StorageName, VersionId};
pub use path::FilePath;
pub use quota::{Bound, Purpose, Quota};
pub use repo::{Locator, ObjectKind, ObjectName, RepoPath, Resource};
pub use rights::{Rights, Scope};
pub use secret::Secret;
pub use time::{Clock, SystemClock, Timestamp};

/// Why a value from outside was refused. The text is a sentence for people and names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct Invalid {
    /// The value's name as the caller knows it, such as `username`.
    pub what: &'static str,
    /// What is wrong with it, continuing the sentence.
    pub problem: String,
}

impl Invalid {
    /// An [`Invalid`] about `what`.
    pub fn new(what: &'static str, problem: impl Into<String>) -> Self {
        Self { what, problem: problem.into() }
    }
}
