//! `rbackup serve`: the server, until it is told to stop.

use std::process::ExitCode;

use super::{Common, Failure, print};
use crate::app;

#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    common: Common,
    /// Where to listen, IP:PORT; may be given several times [default: 127.0.0.1:3369]
    #[arg(long, value_name = "ADDRESS", env = "RBACKUP_LISTEN", value_delimiter = ',')]
    listen: Vec<String>,
    /// Start a new store, or accept another one, where one was before
    #[arg(long)]
    new_store: bool,
}

pub fn run(args: ServeArgs) -> Result<ExitCode, Failure> {
    let config = args.common.load(args.listen, args.new_store)?;
    app::log_to_stderr(config.log_level);
    app::serve(&config, &print)?;
    Ok(ExitCode::SUCCESS)
}
