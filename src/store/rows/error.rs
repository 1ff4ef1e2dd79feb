//! Why the row store could not answer, with the evidence in the fields; what each means for the owner is said at its variant.
//! It never carries a row's content.

use std::path::PathBuf;

/// Why the row store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// A page of a run does not verify: the catalog has to be rebuilt from the log.
    #[error("page {page} of catalog run {run} is damaged")]
    Damaged {
        /// the run's directory name
        run: String,
        /// the page's number in it
        page: u32,
    },
    /// A run as a whole cannot be used: the catalog has to be rebuilt from the log.
    #[error("catalog run {run} is unreadable: {reason}")]
    Unreadable {
        /// the run's directory name
        run: String,
        /// what was found
        reason: String,
    },
    /// The files of a run are gone: the catalog has to be rebuilt from the log, unless all of the data directory is gone.
    #[error("catalog run {run} is not there")]
    Missing {
        /// the run's directory name
        run: String,
    },
    /// Runs are missing or overlap: the catalog has to be rebuilt from the log.
    #[error("catalog run {run} does not follow checkpoint {before}")]
    Gap {
        /// the run that was found
        run: String,
        /// the checkpoint in front of it, 0 for the beginning
        before: u32,
    },
    /// A row does not fit a page; the owner is to keep rows at 64 KiB or below.
    #[error("a row of {key_bytes} + {value_bytes} bytes is too large")]
    RowTooLarge {
        /// length of its key
        key_bytes: usize,
        /// length of its value
        value_bytes: usize,
    },
    /// sled reported an I/O error.
    #[error("catalog database")]
    Sled(#[source] sled::Error),
    /// A file or directory of the catalog could not be handled.
    #[error("catalog file {}", path.display())]
    Io {
        /// the file or directory
        path: PathBuf,
        /// the system's answer
        source: std::io::Error,
    },
}

impl RowsError {
    /// Whether it is a verdict about the catalog's bytes, which a rebuild mends, rather than a failure to reach them.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Unreadable { .. } | Self::Missing { .. } | Self::Gap { .. } => true,
            Self::RowTooLarge { .. } | Self::Sled(_) | Self::Io { .. } => false,
        }
    }
}
