//! `rbackup rebuild`: the catalog anew from the volumes alone.

use std::process::ExitCode;

use super::{Common, Failure, print};
use crate::app;

#[derive(Debug, clap::Args)]
pub struct RebuildArgs {
    #[command(flatten)]
    common: Common,
}

pub fn run(args: RebuildArgs) -> Result<ExitCode, Failure> {
    let config = args.common.load(Vec::new(), false)?;
    app::log_to_stderr(config.log_level);
    let versions = app::rebuild(&config)?;
    print(&format!("the catalog was rebuilt from the volumes: {versions} versions\n"));
    Ok(ExitCode::SUCCESS)
}
