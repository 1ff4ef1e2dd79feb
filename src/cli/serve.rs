//! `rbackup serve`: the server, until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Common, Failure, errand, print};
use crate::app;
use crate::config::{Overrides, TlsWords};

#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    common: Common,
    /// Where to listen, IP:PORT; may be given several times [default: 127.0.0.1:3369]
    #[arg(long, value_name = "ADDRESS", env = "RBACKUP_LISTEN", value_delimiter = ',')]
    listen: Vec<String>,
    /// Encrypt: `auto` makes a certificate in the data directory at the first start and prints its fingerprint; `off`
    #[arg(long, value_name = "MODE", env = "RBACKUP_TLS")]
    tls: Option<String>,
    /// Encrypt with this certificate (PEM, with its chain); read again at SIGHUP, without ending a connection
    #[arg(long, value_name = "FILE", env = "RBACKUP_CERT")]
    cert: Option<PathBuf>,
    /// Its key (PEM); refused when others can read it
    #[arg(long, value_name = "FILE", env = "RBACKUP_KEY")]
    key: Option<PathBuf>,
    /// Start a new store, or accept another one, where one was before
    #[arg(long)]
    new_store: bool,
}

pub fn run(args: ServeArgs) -> Result<ExitCode, Failure> {
    let ServeArgs { common, listen, tls, cert, key, new_store } = args;
    let tls = TlsWords { tls, certificate: cert, key };
    let config = common.load_with(Overrides { listen, tls, new_store, ..Overrides::default() })?;
    app::log_to_stderr(config.log_level);
    errand::instead_of_a_holder(&config, || app::serve(&config, &print))?;
    Ok(ExitCode::SUCCESS)
}
