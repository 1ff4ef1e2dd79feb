//! `rbackup import`: a new data directory from what `rbackup export` wrote.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Common, Failure, STREAM, print, say};
use crate::app;

/// Frames are read together up to this size; a record has some hundred bytes.
const READ_AT_ONCE_BYTES: usize = 256 << 10;

#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    #[command(flatten)]
    common: Common,
    /// The export to read, or `-` for stdin
    #[arg(value_name = "FILE|-")]
    source: PathBuf,
}

pub fn run(args: ImportArgs) -> Result<ExitCode, Failure> {
    if args.common.data.is_none() {
        return Err(Failure::Usage("say where the new data directory is to be: --data DIR".to_owned()));
    }
    let config = args.common.load(Vec::new(), false)?;
    app::log_to_stderr(config.log_level);
    let input = open(&args.source)?;
    let imported = app::import(&config, &mut BufReader::with_capacity(READ_AT_ONCE_BYTES, input))?;
    let (counts, volumes, data) = (imported.counts, imported.volumes, config.data.display().to_string());
    let (frames, chunks, records) = (counts.frames(), counts.chunks, counts.records);
    print(&format!(
        "imported {frames} frames ({chunks} chunks, {records} records) into {volumes} volumes in {}\n\
         It is the same store: serve this one from now on, and the old one no more.\n",
        data.escape_debug()
    ));
    if counts.left_out > 0 {
        let places = counts.left_out;
        say(&format!(
            "{places} damaged places of the old store were left out; `rbackup check` names the versions they touch\n"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn open(source: &Path) -> Result<File, Failure> {
    if source != Path::new(STREAM) {
        return File::open(source).map_err(|error| Failure::file(source, error));
    }
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(|error| Failure::file(Path::new("stdin"), error))?;
    match input.is_terminal() {
        true => Err(Failure::Usage("an export does not come from a terminal; name a file or use a pipe".to_owned())),
        false => Ok(File::from(input)),
    }
}
