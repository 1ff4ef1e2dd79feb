//! What a service could not do, in the service's own words. Knows no status and no header.

use std::io;
use std::path::PathBuf;

use crate::chunk::ChunkError;
use crate::model::{Invalid, ObjectName, Sha256, VersionId};
use crate::store;

/// A thing that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A file.
    File,
    /// A version of a file.
    Version,
    /// A device.
    Device,
    /// A repository of restic's.
    Repo,
    /// An object in a repository.
    Object,
    /// An account.
    Account,
    /// A session.
    Session,
    /// A token.
    Token,
    /// An invitation.
    Invite,
}

impl Thing {
    fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Version => "version",
            Self::Device => "device",
            Self::Repo => "repository",
            Self::Object => "object",
            Self::Account => "account",
            Self::Session => "session",
            Self::Token => "token",
            Self::Invite => "invitation",
        }
    }
}

/// Why a service could not do what it was asked. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value cannot be what it is given as.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such thing in this account.
    #[error("there is no such {}", .0.word())]
    NotFound(Thing),
    /// The name is taken.
    #[error("an account of that name exists already")]
    AccountExists,
    /// The first account needs what the server printed.
    #[error("the first account needs the setup code")]
    NeedSetupCode,
    /// Nobody may register.
    #[error("registration is closed")]
    RegistrationClosed,
    /// Only who was invited may register.
    #[error("an invitation is needed")]
    NotInvited,
    /// As many invitations wait as may.
    #[error("too many invitations wait")]
    TooManyInvites,
    /// Who administers the server cannot be removed.
    #[error("the account administers the server and cannot be removed; it can be disabled")]
    Administrator,
    /// Name and password do not belong together, or there is no such name: not told apart.
    #[error("the name or the password is wrong")]
    BadCredentials,
    /// The session does not exist, or it ended.
    #[error("the session is not valid; sign in again")]
    NoSession,
    /// A generation of a session was presented that had been replaced.
    #[error("the session was replaced already; sign in again")]
    Replayed {
        /// The account.
        account: u64,
    },
    /// The request names another device than what it presents is bound to.
    #[error("the session or token belongs to another device")]
    WrongDevice,
    /// What was presented may not do this.
    #[error("this session or token may not do that")]
    Forbidden,
    /// It is about a device, and none is named.
    #[error("the token is bound to no device; name one")]
    NeedDevice,
    /// The account has as many tokens as it may have.
    #[error("the account has {tokens_max} tokens already")]
    TooManyTokens {
        /// The most.
        tokens_max: usize,
    },
    /// The recovery code and the name do not belong together.
    #[error("the name or the recovery code is wrong")]
    BadRecoveryCode,
    /// The content is not what its hash promised.
    #[error("the content has SHA-256 {actual}, not {declared} as declared")]
    HashMismatch {
        /// What the client said.
        declared: Sha256,
        /// What arrived.
        actual: Sha256,
    },
    /// The content is not as long as promised.
    #[error("the content has {actual} bytes, not {declared} as declared")]
    SizeMismatch {
        /// What the client said.
        declared: u64,
        /// What arrived, or the length at which it was refused.
        actual: u64,
    },
    /// The content of an object is not what its name promises.
    #[error("the content has SHA-256 {actual}, which is not the object's name")]
    NotItsName {
        /// What arrived.
        actual: Sha256,
    },
    /// An object of that name is there and has other content.
    #[error("the object exists already with other content")]
    ObjectExists,
    /// An object is larger than any is taken.
    #[error("the object is larger than {bytes_max} bytes")]
    ObjectTooLarge {
        /// The most.
        bytes_max: u64,
    },
    /// A directory that should be a repository is none.
    #[error("{} is no repository of restic's: it needs a file config and a directory data, and links are not followed", dir.display())]
    NotRepository {
        /// The directory.
        dir: PathBuf,
    },
    /// A repository is to be taken over into one that is another.
    #[error(
        "a repository of that name is there and is another one; nothing was taken over: choose another name, or remove it"
    )]
    OtherRepo,
    /// Something in a repository's directory is neither a file nor a directory.
    #[error("it is no file, and links are not followed")]
    NotFile,
    /// A file outside of the store could not be read.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// The access may add and read, and nothing else.
    #[error("the access is append-only")]
    AppendOnly,
    /// More files than one archive takes.
    #[error("an archive takes at most {most} files")]
    TooManyFiles {
        /// The most.
        most: usize,
    },
    /// The account may keep no more.
    #[error("the account may keep {bytes_max} {what} bytes and has {bytes_used}")]
    QuotaReached {
        /// Which bytes: `logical`, as they are listed, or `stored`, as they take room.
        what: &'static str,
        /// The most.
        bytes_max: u64,
        /// What it has.
        bytes_used: u64,
    },
    /// The disk is full.
    #[error("there is no space left for new data")]
    NoSpace,
    /// Too many wait already.
    #[error("too much is waiting already; try again in a moment")]
    Busy,
    /// The storage refused.
    #[error("the storage is not available right now; try again")]
    Unavailable,
    /// What is stored is not what was stored.
    #[error("version {version} is damaged on the server's disk")]
    Damaged {
        /// The version.
        version: VersionId,
        /// What was found.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The same for an object of a repository.
    #[error("the object {object} is damaged on the server's disk")]
    DamagedObject {
        /// The object.
        object: ObjectName,
        /// What was found.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A failure that people outside can do nothing about.
    #[error("an internal failure")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoSpace => Self::NoSpace,
            store::Error::Quota { what, bytes_max, bytes_used } => Self::QuotaReached { what, bytes_max, bytes_used },
            store::Error::SessionEnded | store::Error::Replayed => Self::NoSession,
            store::Error::Exists => Self::AccountExists,
            store::Error::NotInvited => Self::NotInvited,
            store::Error::TooManyInvites => Self::TooManyInvites,
            store::Error::Administrator => Self::Administrator,
            store::Error::Refused(_) | store::Error::Closed | store::Error::Gone | store::Error::Stuck => {
                Self::Unavailable
            }
            // The disk does not do what it is asked, or the catalog is being rebuilt; either may have an end.
            error @ (store::Error::Unreadable { .. }
            | store::Error::Io { .. }
            | store::Error::Sled { .. }
            | store::Error::Rows(_)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the storage failed");
                Self::Unavailable
            }
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<ChunkError> for Error {
    fn from(error: ChunkError) -> Self {
        Self::Internal(Box::new(error))
    }
}
