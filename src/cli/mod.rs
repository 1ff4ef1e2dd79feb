//! What the user typed; one file per command. `rbackup` alone is `rbackup serve`.

mod exit;
mod partial;

mod account;
mod audit;
mod check;
mod errand;
mod export;
mod hold;
mod import;
mod rebuild;
mod repo;
mod restic;
mod serve;
mod table;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use self::exit::Failure;
use crate::config::{Config, Overrides};

/// A self-hosted backup service in one binary: files and all their versions over HTTP.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failed, 2 usage, 10 not found, 11 data directory in use or not a store, \
                          12 sign-in refused, 14 no space left, 15 damage found.\nStart with `rbackup`, then follow what it prints.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the data directory over HTTP (the default command); `serve restic` serves restic alone, as rclone does
    Serve(serve::ServeArgs),
    /// Re-read everything that is stored and say what is damaged; needs no password
    Check(check::CheckArgs),
    /// Make the catalog anew from the volumes alone
    Rebuild(rebuild::RebuildArgs),
    /// List, change and remove accounts, and invite somebody
    Account(account::AccountArgs),
    /// Show who did what, and whether the log of it is the one that was written
    Audit(audit::AuditArgs),
    /// List, show, remove or take over restic's repositories
    Repo(repo::RepoArgs),
    /// Write everything to one file or to stdout, for another machine or format
    Export(export::ExportArgs),
    /// Make a new data directory from an export
    Import(import::ImportArgs),
    /// Hold the data directory for `serve restic --stdio`
    #[command(hide = true)]
    Hold(hold::HoldArgs),
}

/// A file name that means stdin or stdout.
const STREAM: &str = "-";

/// What every command takes.
#[derive(Debug, Clone, Args)]
struct Common {
    /// The data directory
    #[arg(long, value_name = "DIR", env = "RBACKUP_DATA")]
    data: Option<PathBuf>,
    /// The configuration file, see examples/config/rbackup.toml
    #[arg(long, value_name = "FILE", env = "RBACKUP_CONFIG")]
    config: Option<PathBuf>,
    /// What goes to stderr: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", env = "RBACKUP_LOG")]
    log: Option<String>,
}

impl Common {
    fn load(self, listen: Vec<String>, new_store: bool) -> Result<Config, Failure> {
        self.load_with(Overrides { listen, new_store, ..Overrides::default() })
    }

    /// With what one command takes besides.
    fn load_with(self, more: Overrides) -> Result<Config, Failure> {
        let Self { config, data, log: log_level } = self;
        let overrides = Overrides { config, data, log_level, ..more };
        Ok(Config::load(overrides).map_err(crate::app::Error::from)?)
    }
}

/// Runs what was typed; the first word is the program's own name.
pub fn run(words: Vec<OsString>) -> Result<ExitCode, Failure> {
    if let Some(done) = restic::run(&words) {
        return done;
    }
    let cli = Cli::parse_from(words);
    match cli.command {
        None => serve::run(cli.serve),
        Some(Command::Serve(args)) => serve::run(args),
        Some(Command::Check(args)) => check::run(args),
        Some(Command::Rebuild(args)) => rebuild::run(args),
        Some(Command::Account(args)) => account::run(args),
        Some(Command::Audit(args)) => audit::run(args),
        Some(Command::Repo(args)) => repo::run(args),
        Some(Command::Export(args)) => export::run(args),
        Some(Command::Import(args)) => import::run(args),
        Some(Command::Hold(args)) => hold::run(args),
    }
}

/// Prints to stderr, where the rest of the program speaks too.
fn say(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Prints to stdout; a reader that has gone away is no reason to fail.
fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
