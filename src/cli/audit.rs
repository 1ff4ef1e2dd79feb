//! `rbackup audit`: who did what, and whether the log of it is the one that was written. With or without a server.

use std::process::ExitCode;

use serde_json::json;

use super::table::table;
use super::{Common, Failure, errand, print, say};
use crate::wire::audit::{AuditErrand, AuditJson, AuditReportJson};
use crate::wire::errand::{Errand, Said};

/// Entries that are shown unless told otherwise.
const SHOWN: usize = 50;

#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AuditCommand {
    /// Show its newest entries, the newest first
    Show {
        #[command(flatten)]
        common: Common,
        /// How many at most
        #[arg(long, default_value_t = SHOWN)]
        limit: usize,
        /// Of this account alone
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Print a JSON array instead of text
        #[arg(long)]
        json: bool,
    },
    /// Read all of it, the log and the catalog, and say whether an entry was changed, taken out or put elsewhere (then exit code 15)
    Verify {
        #[command(flatten)]
        common: Common,
        /// A hash that an earlier `verify` or `export` printed, and that has to be in it: a log that was made anew has it not
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        /// Print a JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Print every entry, the oldest first, as a JSON object on a line of its own
    Export {
        #[command(flatten)]
        common: Common,
    },
}

pub fn run(args: AuditArgs) -> Result<ExitCode, Failure> {
    match args.command {
        AuditCommand::Show { common, limit, account, json } => {
            let mut entries = Vec::new();
            ask(common, AuditErrand::Show { limit, account }, &mut |said| {
                if let Said::Audit(entry) = said {
                    entries.push(entry);
                }
            })?;
            print(&if json { format!("{}\n", json!(entries)) } else { as_table(&entries) });
        }
        AuditCommand::Export { common } => {
            ask(common, AuditErrand::Export {}, &mut |said| {
                if let Said::Audit(entry) = said {
                    print(&format!("{}\n", json!(entry)));
                }
            })?;
        }
        AuditCommand::Verify { common, head, json } => return verify(common, head, json),
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(common: Common, wanted: AuditErrand, hear: &mut dyn FnMut(Said)) -> Result<(), Failure> {
    errand::run(common, Errand::Audit(wanted), hear)
}

fn verify(common: Common, known: Option<String>, json: bool) -> Result<ExitCode, Failure> {
    let mut report = None;
    ask(common, AuditErrand::Verify { known }, &mut |said| {
        if let Said::AuditReport(found) = said {
            report = Some(found);
        }
    })?;
    let Some(AuditReportJson { entries, head, problems, .. }) = &report else { return Ok(ExitCode::FAILURE) };
    if json {
        print(&format!("{}\n", json!(report)));
    } else {
        problems.iter().for_each(|problem| say(&format!("{problem}\n")));
        let head = head.as_deref().unwrap_or("none yet");
        let word = if problems.is_empty() { "all follow each other" } else { "NOT the log that was written" };
        print(&format!("{entries} entries, {word}; head {head}\n"));
    }
    if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(Failure::Damage) }
}

fn as_table(entries: &[AuditJson]) -> String {
    let rows: Vec<_> = entries
        .iter()
        .map(|it| {
            let event = if it.count == 1 { it.event.clone() } else { format!("{} ×{}", it.event, it.count) };
            let name = it.username.clone().unwrap_or_default();
            [it.number.to_string(), it.at.clone(), event, name, it.by.clone(), it.address.clone(), it.subject.clone()]
        })
        .collect();
    table(["NO", "AT", "EVENT", "ACCOUNT", "BY", "FROM", "WHAT"], &rows)
}
