//! Builds the house from its configuration and runs it until it is told to stop.

mod clock;
mod logging;
mod owner;
mod restic;
mod reuse;
mod secured;
mod serving;
mod sizes;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::config::{self, Config};
use crate::server;
use crate::service::{self, Policy, Report, Services};
use crate::store::{self, Known, Options, Store};
pub use crate::store::{Counts, EXPORT_MAGIC, GivenUp, Imported, MendedFormat};
use crate::wire::errand::{Errand, Said};

use self::owner::AsOwner;

pub use self::logging::{log_to_stderr, log_to_stderr_up_to};
pub use self::owner::keep_rights;
pub use self::restic::{Address, Restic, SignIn, serve_restic};
pub use self::reuse::Reuse;
pub use self::serving::{hold, serve};

/// Why the house could not be built or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The data directory could not be opened.
    #[error("cannot open the data directory {}", dir.display())]
    Store {
        /// The data directory.
        dir: PathBuf,
        /// What the store says.
        source: store::Error,
    },
    /// The store could not be exported.
    #[error("cannot export")]
    Export(#[source] store::Error),
    /// No store could be made from an export.
    #[error("cannot import into {}", dir.display())]
    Import {
        /// The new data directory.
        dir: PathBuf,
        /// What the store says.
        source: store::Error,
    },
    /// An address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The data directory has no socket for other commands.
    #[error("cannot make the socket of {}", dir.display())]
    Socket {
        /// The data directory.
        dir: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file that was named cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Certificate and key cannot be used.
    #[error(transparent)]
    Tls(#[from] server::TlsError),
    /// REMOTE cannot be served.
    #[error(transparent)]
    Realm(#[from] server::NoRealm),
    /// The runtime or a signal could not be had.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// The disk hangs.
    #[error("the disk did not answer within {seconds} s; what was acknowledged is safe, and the next start finds it")]
    Stuck {
        /// How long was waited.
        seconds: u64,
    },
    /// Something failed on the way.
    #[error(transparent)]
    Service(#[from] service::Error),
}

/// What an error is about, for whoever must choose a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// What was typed or configured.
    Usage,
    /// The data directory is in use, or is no store.
    Directory,
    /// There is nothing to look at.
    NotFound,
    /// A password or a recovery code is wrong.
    SignIn,
    /// The disk is full.
    NoSpace,
    /// Acknowledged bytes are gone or changed.
    Damage,
    /// Anything else.
    Other,
}

impl Error {
    /// What it is about.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Config(_) | Self::Realm(server::NoRealm::Invalid(_)) => Cause::Usage,
            Self::Store { source, .. } | Self::Export(source) | Self::Import { source, .. } => cause_of(source),
            Self::Service(service::Error::NoSpace) => Cause::NoSpace,
            Self::Service(service::Error::NotRepository { .. } | service::Error::Invalid(_)) => Cause::Usage,
            Self::Service(service::Error::BadCredentials | service::Error::BadRecoveryCode) => Cause::SignIn,
            Self::Service(service::Error::NotFound(_)) => Cause::NotFound,
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Cause::NotFound,
            _ => Cause::Other,
        }
    }

    /// Whether another process has the data directory.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Store { source: store::Error::InUse { .. }, .. })
    }
}

fn cause_of(error: &store::Error) -> Cause {
    use store::Error as E;
    match error {
        E::InUse { .. } | E::Foreign { .. } | E::NotEmpty { .. } | E::NoParent { .. } => Cause::Directory,
        E::NoStore { .. } => Cause::NotFound,
        E::NoSpace => Cause::NoSpace,
        E::Rows(error) if error.is_damage() => Cause::Damage,
        E::NotExport | E::NotLost { .. } => Cause::Usage,
        error if error.is_damage() => Cause::Damage,
        _ => Cause::Other,
    }
}

/// Re-reads everything in the data directory, also where nothing can be written.
pub fn check(config: &Config) -> Result<Report, Error> {
    require_store(config)?;
    let _owner = AsOwner::of(&config.data);
    let services = services_of(config, open_store(config, Store::open_to_read)?);
    let report = services.check()?;
    services.close()?;
    Ok(report)
}

/// What a salvage came to.
#[derive(Debug)]
pub struct Salvaged {
    /// How a damaged `FORMAT` was made again.
    pub format: Option<MendedFormat>,
    /// Chunks that are stored again when their content comes.
    pub forgotten: u64,
    /// What is damaged still.
    pub report: Report,
}

/// Re-reads everything, mends what can be mended, and re-reads everything once more.
pub fn salvage(config: &Config) -> Result<Salvaged, Error> {
    require_store(config)?;
    let _owner = AsOwner::of(&config.data);
    let format = store::mend_format(&config.data, options(config)).map_err(|source| refused(config, source))?;
    let services = open(config)?;
    let forgotten = services.salvage(&services.check()?)?;
    let report = services.check()?;
    services.close()?;
    Ok(Salvaged { format, forgotten, report })
}

/// What a rebuild came to.
#[derive(Debug)]
pub struct Rebuilt {
    /// The versions in the catalog.
    pub versions: u64,
    /// Damage that was met, in words.
    pub damage: Vec<String>,
    /// The volumes that the store goes on without.
    pub given_up: Vec<GivenUp>,
    /// When some were given up now: the versions that only the catalog knew.
    pub kept: Option<u64>,
}

/// Makes the catalog anew from the volumes; or goes on without the volumes `lost`, which are all that are missing.
pub fn rebuild(config: &Config, lost: &[u32]) -> Result<Rebuilt, Error> {
    require_store(config)?;
    let _owner = AsOwner::of(&config.data);
    let (dir, options) = (&config.data, options(config));
    let rebuilt = match lost {
        [] => Store::rebuild(dir, options).map(|store| (store, None)),
        lost => Store::rebuild_without(dir, options, lost).map(|(store, kept)| (store, Some(kept))),
    };
    let (store, kept) = rebuilt.map_err(|source| refused(config, source))?;
    let (damage, given_up) = (store.damage().to_vec(), store.given_up_versions());
    let given_up = given_up.map_err(|source| refused(config, source))?;
    let services = services_of(config, store);
    let versions = services.count_versions()?;
    services.close()?;
    Ok(Rebuilt { versions, damage, given_up, kept })
}

/// Writes everything in the data directory to `out`; what damage made unreadable is told to `left_out`.
pub fn export(config: &Config, out: &mut dyn Write, left_out: &mut dyn FnMut(&str)) -> Result<Counts, Error> {
    require_store(config)?;
    let _owner = AsOwner::of(&config.data);
    let store = open_store(config, Store::open_to_read)?;
    let exported = store.export(out, left_out).map_err(Error::Export);
    if let Err(error) = store.close() {
        // Everything was read; the next start recovers as after a crash.
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "the data directory was not closed in good order");
    }
    exported
}

/// Makes the data directory anew from what [`export`] wrote.
pub fn import(config: &Config, input: &mut dyn Read) -> Result<Imported, Error> {
    let refused = |source| Error::Import { dir: config.data.clone(), source };
    let imported = store::import(&config.data, input, options(config)).map_err(refused)?;
    Known::at(config.known.clone()).remember(&config.data);
    Ok(imported)
}

/// Does an errand on a store that is there, and closes it in good order whatever came of that.
pub fn run_errand(config: &Config, errand: Errand, say: &mut dyn FnMut(Said)) -> Result<(), Error> {
    require_store(config)?;
    let _owner = AsOwner::of(&config.data);
    let services = open(config)?;
    server::run_errand(&services, errand, say);
    Ok(services.close()?)
}

/// Opens the data directory for a process that serves it until its end.
fn open_to_serve(config: &Config) -> Result<Services, Error> {
    let owner = AsOwner::of(&config.data);
    let services = open(config)?;
    owner.for_good();
    Ok(services)
}

/// Opens the data directory, unless it is not what it was the last time.
fn open(config: &Config) -> Result<Services, Error> {
    Ok(services_of(config, open_store(config, Store::open)?))
}

/// Opens the data directory in the way `how`, unless it is not what it was the last time.
fn open_store(config: &Config, how: fn(&Path, Options) -> Result<Store, store::Error>) -> Result<Store, Error> {
    let known = Known::at(config.known.clone());
    if !config.new_store {
        known.require(&config.data, config.data_named).map_err(|source| refused(config, source))?;
    }
    let store = how(&config.data, options(config)).map_err(|source| refused(config, source))?;
    known.remember(&config.data);
    Ok(store)
}

fn options(config: &Config) -> Options {
    Options { ballast_bytes: config.ballast_bytes, stuck: config.stuck, ..sizes::sizes() }
}

fn services_of(config: &Config, store: Store) -> Services {
    let policy = Policy {
        hold_days: config.hold_days,
        session_idle_days: config.session_idle_days,
        session_absolute_days: config.session_absolute_days,
        registration: config.registration,
    };
    Services::new(store, clock::clock(), policy)
}

/// A command that looks at a store must not make one.
fn require_store(config: &Config) -> Result<(), Error> {
    store::require(&config.data).map_err(|source| refused(config, source))
}

fn refused(config: &Config, source: store::Error) -> Error {
    Error::Store { dir: config.data.clone(), source }
}
