//! restic's repositories in the store: what is recorded of them, how their rows lie in the catalog, what is decided about them.
//!
//! Promises: a repository has a number that is never given twice, so one that is removed and made again begins empty; an object
//! and its removal are one record each, and an object that is removed has no row among those that are listed. Never: an object
//! that is there gets another content.

mod catalog;
mod operation;
mod records;

pub(super) use self::catalog::HasRoot;
pub use self::catalog::{ObjectEntry, Objects, RepoEntry};
pub use self::operation::RepoOperation;
pub(super) use self::operation::decide;
pub use self::records::{ObjectAdded, ObjectRemoved, ObjectRow, RepoCreated, RepoRemoved, RepoRow};
