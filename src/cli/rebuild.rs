//! `rbackup rebuild`: the catalog anew from the volumes alone, or the store without volumes that are lost for good.

use std::process::ExitCode;

use super::{Common, Failure, print};
use crate::app::{self, GivenUp, Rebuilt};

#[derive(Debug, clap::Args)]
pub struct RebuildArgs {
    #[command(flatten)]
    common: Common,
    /// Go on for good without this volume, which is lost; may be repeated. What a whole catalog knows of it is kept
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    without_volume: Vec<u32>,
}

pub fn run(args: RebuildArgs) -> Result<ExitCode, Failure> {
    let config = args.common.load(Vec::new(), false)?;
    app::log_to_stderr(config.log_level);
    let rebuilt = app::rebuild(&config, &args.without_volume)?;
    print(&as_text(&rebuilt));
    if rebuilt.damage.is_empty() && rebuilt.kept.is_none() { Ok(ExitCode::SUCCESS) } else { Err(Failure::Damage) }
}

fn as_text(rebuilt: &Rebuilt) -> String {
    let Rebuilt { versions, damage, given_up, kept } = rebuilt;
    let mut text: String = given_up.iter().map(lost).collect();
    for place in damage {
        text += &format!("damaged: {place}\n");
    }
    text += &match kept {
        None => format!("the catalog was rebuilt from the volumes: {versions} versions\n"),
        Some(kept) => format!(
            "the store goes on without: {versions} versions are listed, {kept} of them were known to the catalog alone\n"
        ),
    };
    if kept.is_some() || !damage.is_empty() {
        text += "`rbackup check` names the versions that cannot be restored\n";
    }
    text
}

fn lost(it: &GivenUp) -> String {
    let GivenUp { volumes, versions } = it;
    let which = match volumes.as_slice() {
        [one] => format!("volume {one} is lost"),
        several => format!("volumes {} to {} are lost", several[0], several[several.len() - 1]),
    };
    match versions.end.saturating_sub(versions.start) {
        0 => format!("{which}; no version id was given there\n"),
        count => format!(
            "{which}; up to {count} version ids were given there and are skipped: {} to {}\n",
            versions.start,
            versions.end - 1
        ),
    }
}
