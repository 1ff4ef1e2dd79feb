//! From a failure to the number a shell sees. The numbers are part of the contract.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::app::{self, Cause};
use crate::client;

/// Why a command ended without doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command was understood and failed.
    #[error(transparent)]
    App(#[from] app::Error),
    /// What was typed cannot be done as it was meant.
    #[error("{0}")]
    Usage(String),
    /// What was asked for is not there.
    #[error("{0}")]
    Missing(String),
    /// A file that was named could not be had.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The pump ended before its client.
    #[error(transparent)]
    Pump(#[from] client::Error),
    /// Damage was found and has been printed.
    #[error("damage was found")]
    Damage,
}

impl Failure {
    /// A failure about a named file.
    pub fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    /// 1 failed · 2 usage · 10 not found · 11 data directory in use or not ours · 12 may not sign in · 14 no space · 15 damage.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }

    /// The number of [`Failure::code`].
    pub fn number(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Missing(_) => 10,
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => 10,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => 14,
                _ => 1,
            },
            Self::Damage => 15,
            Self::App(error) => match error.cause() {
                Cause::Usage => 2,
                Cause::NotFound => 10,
                Cause::Directory => 11,
                Cause::SignIn => 12,
                Cause::NoSpace => 14,
                Cause::Damage => 15,
                Cause::Other => 1,
            },
            Self::Pump(client::Error::Refused { exit, .. }) => *exit,
            Self::Pump(client::Error::Held { .. }) => 11,
            Self::Pump(client::Error::Unreachable { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                12
            }
            Self::Pump(_) => 1,
        }
    }

    /// The failure and its causes in one line, each said once.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let next = error.to_string();
            if !text.ends_with(&next) {
                text = format!("{text}: {next}");
            }
            cause = error.source();
        }
        text
    }
}
