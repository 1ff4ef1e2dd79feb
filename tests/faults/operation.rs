//! What a server is doing when the fault strikes.

use super::client::{Client, Told};
use super::fault::{Class, Errno};
use super::prepared::{Base, NEWCOMER, Prepared};

/// One thing that a server, or a command, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    FirstStart,
    StartAfterStop,
    StartAfterKill,
    SmallUpload,
    LargeUpload,
    UploadIntoNew,
    UploadAtTheEnd,
    Removal,
    Login,
    Register,
    Download,
    Stop,
    Rebuild,
    Check,
}

/// How it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The fault waits while the server starts.
    Start,
    /// The server starts well; the fault waits for one request.
    Request,
    /// The fault waits for the end.
    Stop,
    /// No server: another command of the program.
    Command(&'static str),
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 14] = [
        Operation::FirstStart,
        Operation::StartAfterStop,
        Operation::StartAfterKill,
        Operation::SmallUpload,
        Operation::LargeUpload,
        Operation::UploadIntoNew,
        Operation::UploadAtTheEnd,
        Operation::Removal,
        Operation::Login,
        Operation::Register,
        Operation::Download,
        Operation::Stop,
        Operation::Rebuild,
        Operation::Check,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Operation::FirstStart => "first start",
            Operation::StartAfterStop => "start after a stop",
            Operation::StartAfterKill => "start after a kill",
            Operation::SmallUpload => "small upload",
            Operation::LargeUpload => "3 MiB upload",
            Operation::UploadIntoNew => "upload that begins a volume",
            Operation::UploadAtTheEnd => "upload that ends a volume",
            Operation::Removal => "removal",
            Operation::Login => "login",
            Operation::Register => "register",
            Operation::Download => "download",
            Operation::Stop => "stop",
            Operation::Rebuild => "rebuild",
            Operation::Check => "check",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Operation> {
        Operation::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// How it is done.
    pub fn kind(self) -> Kind {
        match self {
            Operation::FirstStart | Operation::StartAfterStop | Operation::StartAfterKill => Kind::Start,
            Operation::Stop => Kind::Stop,
            Operation::Rebuild => Kind::Command("rebuild"),
            Operation::Check => Kind::Command("check"),
            _ => Kind::Request,
        }
    }

    /// The store it is done on. The commands get the one with more to do.
    pub fn base(self, prepared: &Prepared) -> &Base {
        match self {
            Operation::FirstStart => &prepared.empty,
            Operation::StartAfterKill | Operation::Rebuild | Operation::Check => &prepared.killed,
            _ => &prepared.stopped,
        }
    }

    /// Whether the open volume fails before it, so that the request begins the next one.
    pub fn follows_a_failure(self) -> bool {
        self == Operation::UploadIntoNew
    }

    /// What its servers are told besides: that the open volume is full already, so that the request ends it and begins the next.
    pub fn environment(self) -> Option<(&'static str, &'static str)> {
        (self == Operation::UploadAtTheEnd).then_some(("RBACKUP_VOLUME_KIB", "32"))
    }

    /// Sends the request.
    pub fn ask(self, client: &mut Client) -> Told {
        match self {
            Operation::LargeUpload => client.upload(3 << 20),
            Operation::Removal => client.remove(),
            Operation::Login => client.login(),
            Operation::Register => client.register(NEWCOMER),
            Operation::Download => client.download(),
            _ => client.upload(700),
        }
    }
}

/// How the calls of one run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// One call that changes something.
    Once,
    /// That one and all after it, until the end.
    Sticky,
    /// One sync, and what it was to make durable is lost.
    SyncLost,
    /// One read.
    Read,
}

impl Mode {
    /// All of them, with the errors they are tried with.
    pub const ALL: [(Mode, Errno); 6] = [
        (Mode::Once, Errno::Eio),
        (Mode::Sticky, Errno::Eio),
        (Mode::SyncLost, Errno::Eio),
        (Mode::Read, Errno::Eio),
        (Mode::Once, Errno::Enospc),
        (Mode::Sticky, Errno::Enospc),
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Once => "once",
            Mode::Sticky => "sticky",
            Mode::SyncLost => "lost sync",
            Mode::Read => "read",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().map(|(mode, _)| mode).find(|mode| mode.name() == name)
    }

    /// The calls it counts.
    pub fn class(self) -> Class {
        match self {
            Mode::Once | Mode::Sticky => Class::Changes,
            Mode::SyncLost => Class::Syncs,
            Mode::Read => Class::Reads,
        }
    }
}
