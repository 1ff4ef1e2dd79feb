//! What can go wrong in the cellar, with the evidence.

use std::io;
use std::path::{Path, PathBuf};

use super::gaps;
use super::place::Place;
use super::rows::RowsError;
use crate::model::ChunkId;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the data directory.
    #[error("the data directory {} is in use by another rbackup process", dir.display())]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// The directory holds something else, or a store this program cannot read.
    #[error("{} is no data directory of this rbackup: {reason}", dir.display())]
    Foreign {
        /// The data directory.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A store's own file that says what it is.
    #[error("the FORMAT file of {} {reason}; to make it again from its copy or from the volumes: rbackup check --salvage", dir.display())]
    BadFormat {
        /// The data directory.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no store to look at.
    #[error("there is no store in {}", dir.display())]
    NoStore {
        /// The data directory.
        dir: PathBuf,
    },
    /// A new store is to be made where something is already.
    #[error("{} is not an empty directory", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// A new store is to be made where nothing is.
    #[error("the directory above {} is not there", dir.display())]
    NoParent {
        /// The directory.
        dir: PathBuf,
    },
    /// What should be an export is none.
    #[error("this is no export of rbackup")]
    NotExport,
    /// An export that is not as it was written.
    #[error("the export is damaged at byte {at}: {reason}")]
    BadExport {
        /// How far it could be read.
        at: u64,
        /// What was found.
        reason: String,
    },
    /// An export in a version that came later.
    #[error("the export has version {found}, this program reads versions up to {known}")]
    NewerExport {
        /// Its version.
        found: u32,
        /// The newest this program knows.
        known: u32,
    },
    /// A stream failed.
    #[error("{doing} the export failed")]
    Stream {
        /// Reading or writing.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space is left on the disk")]
    NoSpace,
    /// The data directory is not there any more, or another one is in its place.
    #[error("the data directory is gone or was replaced")]
    Gone,
    /// A write has hung for long.
    #[error("the disk does not answer")]
    Stuck,
    /// sled's flush does not reach a real sync in this build, so nothing could be promised.
    #[error("this build cannot make data durable: sled's flush never reached fdatasync")]
    NotDurable,
    /// Whole volumes are not where they were.
    #[error(
        "{} not there, although in use before; if a disk is not mounted or a copy not complete, bring it back; \
         to go on for good without: rbackup rebuild{}",
        gaps::named(volumes),
        gaps::flags(volumes)
    )]
    Lost {
        /// Their numbers.
        volumes: Vec<u32>,
    },
    /// A volume is to be given up that is there.
    #[error("volume {volume} is not lost")]
    NotLost {
        /// Its number.
        volume: u32,
    },
    /// Bytes that were acknowledged are gone or changed.
    #[error("damaged data in volume {volume}: {reason}")]
    Damaged {
        /// The volume.
        volume: u32,
        /// What was found.
        reason: String,
    },
    /// The disk itself does not give a block; the next time it may.
    #[error("the disk cannot read block {block} of volume {volume}")]
    Unreadable {
        /// The volume.
        volume: u32,
        /// The block's number.
        block: u32,
        /// The system's answer.
        source: io::Error,
    },
    /// A frame's bytes are not those that were written.
    #[error("the frame at {place} is damaged: {reason}")]
    BadFrame {
        /// Where it lies.
        place: Place,
        /// What was found.
        reason: &'static str,
    },
    /// No frame of that id is known.
    #[error("chunk {0} is not in the store")]
    NoChunk(ChunkId),
    /// What the operation builds on was lost or replaced while it was under way; trying again will do.
    #[error("the operation was refused: {0}")]
    Refused(&'static str),
    /// The named thing exists already.
    #[error("it exists already")]
    Exists,
    /// The way an account wanted to come in by is closed.
    #[error("it is not invited")]
    NotInvited,
    /// As many invitations wait as may.
    #[error("too many invitations wait")]
    TooManyInvites,
    /// An account may keep no more.
    #[error("the account may keep {bytes_max} {what} bytes and has {bytes_used}")]
    Quota {
        /// Which bytes: `logical` or `stored`.
        what: &'static str,
        /// The most.
        bytes_max: u64,
        /// What it has.
        bytes_used: u64,
    },
    /// Who administers the server cannot be removed.
    #[error("the account administers the server")]
    Administrator,
    /// The named thing does not exist.
    #[error("it does not exist")]
    Missing,
    /// What the operation was asked with ended while it was under way.
    #[error("the session ended meanwhile")]
    SessionEnded,
    /// A generation of a session asked that has been replaced.
    #[error("the session was rotated already")]
    Replayed,
    /// The store is closing or its storage thread has ended.
    #[error("the store is closed")]
    Closed,
    /// A record or row has a form this program does not know.
    #[error("unreadable {what}: {reason}")]
    Format {
        /// Which kind of thing.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused.
    #[error("{} failed", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// sled refused.
    #[error("volume {volume} failed")]
    Sled {
        /// The volume.
        volume: u32,
        /// Its answer.
        source: sled::Error,
    },
    /// The catalog's row store refused.
    #[error("the catalog failed")]
    Rows(#[source] RowsError),
}

impl Error {
    /// Whether it is a verdict about stored bytes, rather than a failure to reach them. What a bad sector hides counts as lost.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Unreadable { .. }
            | Self::Damaged { .. }
            | Self::BadFrame { .. }
            | Self::NoChunk(_)
            | Self::Lost { .. }
            | Self::BadFormat { .. }
            | Self::Format { .. } => true,
            Self::BadExport { .. } | Self::NewerExport { .. } => true,
            Self::Sled { source, .. } => matches!(source, sled::Error::Corruption { .. }),
            _ => false,
        }
    }

    /// Whether the disk did not give what may be whole.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable { .. })
    }

    /// Whether the disk takes no writes at all.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem)
    }

    /// Wraps an operating system's error with the path it is about; a full disk keeps its own name.
    pub fn io(path: &Path, source: io::Error) -> Self {
        if is_full(&source) { Self::NoSpace } else { Self::Io { path: path.to_owned(), source } }
    }

    /// Wraps an error of a volume's database; a full disk keeps its own name.
    pub fn sled(volume: u32, source: sled::Error) -> Self {
        match &source {
            sled::Error::Io(error) if is_full(error) => Self::NoSpace,
            _ => Self::Sled { volume, source },
        }
    }

    /// An unreadable record or row.
    pub fn format(what: &'static str, reason: impl ToString) -> Self {
        Self::Format { what, reason: reason.to_string() }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A full disk keeps its own name here too.
impl From<RowsError> for Error {
    fn from(error: RowsError) -> Self {
        let full = match &error {
            RowsError::Io { source, .. } | RowsError::Sled(sled::Error::Io(source)) => is_full(source),
            _ => false,
        };
        if full { Self::NoSpace } else { Self::Rows(error) }
    }
}
