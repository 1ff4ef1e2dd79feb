//! `rbackup repo`: restic's repositories of an account, or of the local realm, for whoever owns the machine. With or without a server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::{Common, Failure, errand, print, say};
use crate::wire::errand::{Errand, Said};
use crate::wire::repo::RepoJson;

#[derive(Debug, clap::Args)]
pub struct RepoArgs {
    #[command(subcommand)]
    command: RepoCommand,
}

/// Where the repositories are.
#[derive(Debug, clap::Args)]
struct Whose {
    #[command(flatten)]
    common: Common,
    /// Whose repositories; without it those of the local realm, which `rbackup serve restic` serves without an account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum RepoCommand {
    /// Name them with what is in them
    List {
        #[command(flatten)]
        whose: Whose,
        /// Print a JSON array instead of text
        #[arg(long)]
        json: bool,
    },
    /// Say what is in one
    Show {
        #[command(flatten)]
        whose: Whose,
        /// Its name, `/` for the one at the root
        repo: String,
        /// Print a JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Remove one with all that is in it; it is held like everything that is removed
    Remove {
        #[command(flatten)]
        whose: Whose,
        /// Its name
        repo: String,
        /// Do it; without this it is only said what would go
        #[arg(long)]
        yes: bool,
    },
    /// Take over the directory of a rest-server, of `rclone serve restic` or of restic itself, comparing every object with its name
    Import {
        #[command(flatten)]
        whose: Whose,
        /// The directory; it is left as it is
        dir: PathBuf,
        /// The repository to make or to go on with
        repo: String,
    },
}

pub fn run(args: RepoArgs) -> Result<ExitCode, Failure> {
    match args.command {
        RepoCommand::List { whose: Whose { common, account }, json } => {
            let repos = repos(common, Errand::ListRepos { account })?;
            if json {
                print(&format!("{}\n", json!(repos)));
            } else {
                repos.iter().for_each(|repo| print(&line(repo)));
            }
        }
        RepoCommand::Show { whose: Whose { common, account }, repo, json } => {
            for repo in repos(common, Errand::ShowRepo { account, repo })? {
                print(&if json { format!("{}\n", json!(repo)) } else { line(&repo) });
            }
        }
        RepoCommand::Remove { whose: Whose { common, account }, repo, yes: false } => {
            let lines: String = repos(common, Errand::ShowRepo { account, repo })?.iter().map(line).collect();
            return Err(Failure::Usage(format!("this would be removed; to do it: --yes\n{lines}")));
        }
        RepoCommand::Remove { whose: Whose { common, account }, repo, yes: true } => {
            let removed = repos(common, Errand::RemoveRepo { account, repo })?;
            removed.iter().for_each(|repo| print(&format!("removed: {}", line(repo))));
        }
        RepoCommand::Import { whose, dir, repo } => return import(whose, &dir, repo),
    }
    Ok(ExitCode::SUCCESS)
}

fn repos(common: Common, errand: Errand) -> Result<Vec<RepoJson>, Failure> {
    let mut repos = Vec::new();
    errand::run(common, errand, &mut |said| {
        if let Said::Repo(repo) = said {
            repos.push(repo);
        }
    })?;
    Ok(repos)
}

fn import(Whose { common, account }: Whose, dir: &Path, repo: String) -> Result<ExitCode, Failure> {
    // A server has another working directory.
    let absolute = std::path::absolute(dir).map_err(|source| Failure::file(dir, source))?;
    let dir =
        absolute.to_str().ok_or_else(|| Failure::Usage("the directory's name is not UTF-8".to_owned()))?.to_owned();
    let mut damage = false;
    errand::run(common, Errand::ImportRepo { account, repo, dir }, &mut |said| match said {
        Said::LeftOut { file, why } => say(&format!("left out: {}: {why}\n", file.escape_debug())),
        Said::Took { objects, bytes, left_out } => {
            damage = left_out > 0;
            print(&format!("took {objects} objects with {bytes} bytes over, left {left_out} out\n"));
        }
        _ => {}
    })?;
    if damage { Err(Failure::Damage) } else { Ok(ExitCode::SUCCESS) }
}

fn line(repo: &RepoJson) -> String {
    let RepoJson { name, objects, bytes, snapshots, last_write, locks, .. } = repo;
    let name = if name.is_empty() { "/" } else { name };
    let last = last_write.as_deref().unwrap_or("never");
    format!(
        "{}: {objects} objects, {bytes} bytes, {snapshots} snapshots, {} locks, last write {last}\n",
        name.escape_debug(),
        locks.len()
    )
}
