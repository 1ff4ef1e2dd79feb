//! `rbackup export`: everything in one stream, to a new file or to stdout.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::partial::{Partial, folder};
use super::{Common, Failure, STREAM, print, say};
use crate::app::{self, Counts, EXPORT_MAGIC};
use crate::config::Config;

/// Frames are written together up to this size; a record has some hundred bytes.
const WRITTEN_AT_ONCE_BYTES: usize = 256 << 10;

#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    common: Common,
    /// The file to make, or `-` for stdout
    #[arg(value_name = "FILE|-")]
    target: PathBuf,
}

pub fn run(args: ExportArgs) -> Result<ExitCode, Failure> {
    let config = args.common.load(Vec::new(), false)?;
    app::log_to_stderr(config.log_level);
    let counts = match args.target.as_path() {
        stdout if stdout == Path::new(STREAM) => to_stdout(&config)?,
        file => to_file(&config, file)?,
    };
    if counts.left_out == 0 { Ok(ExitCode::SUCCESS) } else { Err(Failure::Damage) }
}

fn to_stdout(config: &Config) -> Result<Counts, Failure> {
    let out = io::stdout().as_fd().try_clone_to_owned().map_err(|source| Failure::file(Path::new("stdout"), source))?;
    if out.is_terminal() {
        return Err(Failure::Usage("an export is not for terminals; send it to a file or into a pipe".to_owned()));
    }
    let counts = export(config, &mut File::from(out))?;
    say(&summary(&counts));
    Ok(counts)
}

fn to_file(config: &Config, path: &Path) -> Result<Counts, Failure> {
    refuse_inside(config, path)?;
    let mut partial = Partial::begin(path, &EXPORT_MAGIC).map_err(|source| Failure::file(path, source))?;
    let counts = export(config, &mut partial.file)?;
    partial.finish().map_err(|source| Failure::file(path, source))?;
    print(&summary(&counts));
    Ok(counts)
}

fn export(config: &Config, out: &mut File) -> Result<Counts, Failure> {
    let mut left_out = |what: &str| say(&format!("damaged and left out: {what}\n"));
    Ok(app::export(config, &mut BufWriter::with_capacity(WRITTEN_AT_ONCE_BYTES, out), &mut left_out)?)
}

fn summary(counts: &Counts) -> String {
    let Counts { chunks, records, left_out, .. } = counts;
    let mut text = format!("exported {} frames ({chunks} chunks, {records} records)\n", counts.frames());
    if *left_out > 0 {
        text += &format!("{left_out} damaged places were left out; `rbackup check` names the versions they touch\n");
    }
    text
}

/// The data directory holds what the server put there and nothing else.
fn refuse_inside(config: &Config, path: &Path) -> Result<(), Failure> {
    match (config.data.canonicalize(), folder(path).canonicalize()) {
        (Ok(data), Ok(folder)) if folder.starts_with(&data) => {
            Err(Failure::Usage(format!("{} would lie in the data directory itself", path.display())))
        }
        _ => Ok(()),
    }
}
