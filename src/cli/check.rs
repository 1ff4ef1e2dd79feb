//! `rbackup check`: re-reads everything and names the versions that damage touches.

use std::process::ExitCode;

use serde_json::json;

use super::{Common, Failure, print};
use crate::app;
use crate::service::{DamagedVersion, Report, Salvaged};

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    common: Common,
    /// Mend first: write volumes that sled refuses anew, forget damaged chunks so that an upload stores them again
    #[arg(long)]
    salvage: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub fn run(args: CheckArgs) -> Result<ExitCode, Failure> {
    let config = args.common.load(Vec::new(), false)?;
    app::log_to_stderr(config.log_level);
    let (salvaged, report) = match args.salvage {
        true => app::salvage(&config)?,
        false => (Salvaged::default(), app::check(&config)?),
    };
    print(&if args.json { as_json(&salvaged, &report) } else { mended(&salvaged) + &as_text(&report) });
    if report.is_clean() { Ok(ExitCode::SUCCESS) } else { Err(Failure::Damage) }
}

fn mended(salvaged: &Salvaged) -> String {
    let mut text = String::new();
    for (number, old) in &salvaged.volumes {
        let old = old.display().to_string();
        text += &format!("volume {number} was written anew; the old one can be deleted: {}\n", old.escape_debug());
    }
    if salvaged.chunks > 0 {
        text += &format!("{} damaged chunks are stored again when their content is uploaded\n", salvaged.chunks);
    }
    text
}

fn as_json(salvaged: &Salvaged, report: &Report) -> String {
    let version = |it: &DamagedVersion| {
        json!({
            "account_id": it.account.to_string(),
            "file_id": it.file,
            "file_version_id": it.version,
            "path": String::from_utf8_lossy(&it.path),
            "reason": it.reason,
        })
    };
    let report = json!({
        "volumes": report.volumes,
        "frames": report.frames,
        "chunk_frames": report.chunk_frames,
        "records": report.records,
        "versions": report.versions,
        "damaged": report.damaged_versions.iter().map(version).collect::<Vec<_>>(),
        "damaged_places": report.damaged_places,
        "salvaged_volumes": salvaged.volumes.iter().map(|(number, _)| number).collect::<Vec<_>>(),
        "forgotten_chunks": salvaged.chunks,
    });
    format!("{report}\n")
}

fn as_text(report: &Report) -> String {
    let Report { volumes, frames, chunk_frames, records, versions, .. } = report;
    let mut text = format!(
        "read {volumes} volumes with {frames} frames ({chunk_frames} chunks, {records} records) and resolved {versions} versions\n"
    );
    for place in &report.damaged_places {
        text += &format!("damaged: {place}\n");
    }
    for it in &report.damaged_versions {
        let path = String::from_utf8_lossy(&it.path);
        let shown = path.escape_debug();
        text += &format!("cannot be restored: version {} of file {} ({shown}): {}\n", it.version, it.file, it.reason);
    }
    text += if report.is_clean() { "everything is whole\n" } else { "" };
    text
}
