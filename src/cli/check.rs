//! `rbackup check`: re-reads everything and names the versions that damage touches.

use std::process::ExitCode;

use serde_json::json;

use super::{Common, Failure, print, say};
use crate::app::{self, MendedFormat, Salvaged};
use crate::service::{DamagedObject, DamagedVersion, Report};

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    common: Common,
    /// Mend too: forget damaged chunks, so that an upload of the same content stores them again, and make a damaged FORMAT again
    #[arg(long)]
    salvage: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub fn run(args: CheckArgs) -> Result<ExitCode, Failure> {
    let config = args.common.load(Vec::new(), false)?;
    app::log_to_stderr(config.log_level);
    let Salvaged { format, forgotten, report } = match args.salvage {
        true => app::salvage(&config)?,
        false => Salvaged { format: None, forgotten: 0, report: app::check(&config)? },
    };
    let mended = format.map(|format| as_sentence(&format)).unwrap_or_default();
    if args.json {
        say(&mended);
        print(&as_json(forgotten, &report));
    } else {
        print(&(mended + &to_come(forgotten) + &as_text(&report)));
    }
    if report.is_clean() { Ok(ExitCode::SUCCESS) } else { Err(Failure::Damage) }
}

fn as_sentence(format: &MendedFormat) -> String {
    let MendedFormat { volumes, from_copy } = format;
    let made = match from_copy {
        true => format!("made again from its copy, which {volumes} volumes confirm"),
        false => format!("made again from {volumes} volumes, with the chunk sizes of a new store"),
    };
    format!("FORMAT was damaged and is {made}; the damaged one is kept as FORMAT.damaged\n")
}

fn to_come(forgotten: u64) -> String {
    match forgotten {
        0 => String::new(),
        chunks => format!("{chunks} damaged chunks are stored again when their content is uploaded\n"),
    }
}

fn as_json(forgotten: u64, report: &Report) -> String {
    let version = |it: &DamagedVersion| {
        json!({
            "account_id": it.account.to_string(),
            "file_id": it.file,
            "file_version_id": it.version,
            "path": String::from_utf8_lossy(&it.path),
            "reason": it.reason,
        })
    };
    let object = |it: &DamagedObject| {
        json!({
            "account_id": it.account.to_string(),
            "repo": it.repo,
            "object": it.name.to_string(),
            "reason": it.reason,
        })
    };
    let report = json!({
        "volumes": report.volumes,
        "frames": report.frames,
        "chunk_frames": report.chunk_frames,
        "records": report.records,
        "versions": report.versions,
        "objects": report.objects,
        "damaged": report.damaged_versions.iter().map(version).collect::<Vec<_>>(),
        "damaged_objects": report.damaged_objects.iter().map(object).collect::<Vec<_>>(),
        "damaged_places": report.damaged_places,
        "lost_volumes": report.given_up,
        "forgotten_chunks": forgotten,
    });
    format!("{report}\n")
}

fn as_text(report: &Report) -> String {
    let Report { volumes, frames, chunk_frames, records, versions, objects, .. } = report;
    let mut text = format!(
        "read {volumes} volumes with {frames} frames ({chunk_frames} chunks, {records} records) and resolved {versions} versions\n"
    );
    if *objects > 0 {
        text += &format!("and {objects} objects of restic's repositories\n");
    }
    for volume in &report.given_up {
        text +=
            &format!("volume {volume} is lost, and was given up with `rbackup rebuild --without-volume {volume}`\n");
    }
    for place in &report.damaged_places {
        text += &format!("damaged: {place}\n");
    }
    for it in &report.damaged_versions {
        let path = String::from_utf8_lossy(&it.path);
        let shown = path.escape_debug();
        text += &format!("cannot be restored: version {} of file {} ({shown}): {}\n", it.version, it.file, it.reason);
    }
    for it in &report.damaged_objects {
        let repo = it.repo.as_deref().unwrap_or("(a removed repository)").escape_debug();
        text += &format!(
            "cannot be read: {} of restic's repository {repo} of account {}: {}\n",
            it.name, it.account, it.reason
        );
    }
    text += if report.is_clean() { "everything is whole\n" } else { "" };
    text
}
