//! `rbackup repo`: restic's repositories of an account, or of the local realm, for whoever owns the machine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::{Common, Failure, print, say};
use crate::app;
use crate::model::{RepoPath, Username};
use crate::service::Services;
use crate::service::restic::{Owner, RepoAccess, RepoReport, Rights, Takeover};

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
        RepoCommand::List { whose, json } => whose.serve(|services, owner| list(services, owner, json)),
        RepoCommand::Show { whose, repo, json } => whose.serve(|services, owner| show(services, owner, &repo, json)),
        RepoCommand::Remove { whose, repo, yes } => whose.serve(|services, owner| remove(services, owner, &repo, yes)),
        RepoCommand::Import { whose, dir, repo } => whose.serve(|services, owner| import(services, owner, &dir, &repo)),
    }
}

impl Whose {
    /// Opens the store for one piece of work, and closes it in good order whatever came of that.
    fn serve(self, work: impl FnOnce(&Services, &Owner) -> Result<ExitCode, Failure>) -> Result<ExitCode, Failure> {
        let config = self.common.load(Vec::new(), false)?;
        app::log_to_stderr(config.log_level);
        let services = app::opened(&config)?;
        let done = owner(&services, self.account).and_then(|owner| work(&services, &owner));
        services.close().map_err(app::Error::from)?;
        done
    }
}

fn owner(services: &Services, account: Option<String>) -> Result<Owner, Failure> {
    let Some(account) = account else { return Ok(services.local_owner()) };
    let name = Username::parse(account).map_err(|invalid| Failure::Usage(invalid.to_string()))?;
    let owner = services.owner_named(&name).map_err(app::Error::from)?;
    owner.ok_or_else(|| Failure::Missing(format!("there is no account {}", name.as_str().escape_debug())))
}

fn access(owner: &Owner, repo: &str) -> Result<RepoAccess, Failure> {
    let path = RepoPath::parse(repo).map_err(|invalid| Failure::Usage(invalid.to_string()))?;
    Ok(RepoAccess::new(owner, path, Rights::Full))
}

fn list(services: &Services, owner: &Owner, as_json: bool) -> Result<ExitCode, Failure> {
    let reports = services.repo_reports_of(owner).map_err(app::Error::from)?;
    if as_json {
        print(&format!("{}\n", json!(reports.iter().map(to_json).collect::<Vec<_>>())));
    } else {
        reports.iter().for_each(|report| print(&line(report)));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(services: &Services, owner: &Owner, repo: &str, as_json: bool) -> Result<ExitCode, Failure> {
    let report = report(services, owner, repo)?;
    print(&if as_json { format!("{}\n", to_json(&report)) } else { line(&report) });
    Ok(ExitCode::SUCCESS)
}

fn report(services: &Services, owner: &Owner, repo: &str) -> Result<RepoReport, Failure> {
    let path = access(owner, repo)?.repo().clone();
    let reports = services.repo_reports_of(owner).map_err(app::Error::from)?;
    let found = reports.into_iter().find(|report| report.repo.path == path);
    found.ok_or_else(|| Failure::Missing(format!("there is no repository {}", repo.escape_debug())))
}

fn remove(services: &Services, owner: &Owner, repo: &str, yes: bool) -> Result<ExitCode, Failure> {
    let report = report(services, owner, repo)?;
    if !yes {
        return Err(Failure::Usage(format!("this would be removed; to do it: --yes\n{}", line(&report))));
    }
    services.remove_repo(&access(owner, repo)?).map_err(app::Error::from)?;
    print(&format!("removed: {}", line(&report)));
    Ok(ExitCode::SUCCESS)
}

fn import(services: &Services, owner: &Owner, dir: &Path, repo: &str) -> Result<ExitCode, Failure> {
    let mut told = |path: &Path, error: &crate::service::Error| {
        say(&format!("left out: {}: {error}\n", path.display().to_string().escape_debug()));
    };
    let taken = services.take_over(&access(owner, repo)?, dir, &mut told).map_err(app::Error::from)?;
    let Takeover { objects, bytes, refused } = taken;
    print(&format!("took {objects} objects with {bytes} bytes over, left {refused} out\n"));
    if refused == 0 { Ok(ExitCode::SUCCESS) } else { Err(Failure::Damage) }
}

fn line(report: &RepoReport) -> String {
    let RepoReport { repo, usage, .. } = report;
    let name = if repo.path.as_str().is_empty() { "/" } else { repo.path.as_str() };
    let last = usage.last_write.map_or_else(|| "never".to_owned(), |last| last.to_string());
    format!(
        "{}: {} objects, {} bytes, {} snapshots, {} locks, last write {last}\n",
        name.escape_debug(),
        usage.objects,
        usage.bytes,
        usage.snapshots,
        usage.locks.len()
    )
}

fn to_json(report: &RepoReport) -> serde_json::Value {
    let RepoReport { repo, usage, .. } = report;
    json!({
        "name": repo.path.as_str(),
        "created": repo.created.to_string(),
        "objects": usage.objects,
        "bytes": usage.bytes,
        "snapshots": usage.snapshots,
        "last_write": usage.last_write.map(|last| last.to_string()),
        "locks": usage.locks.iter().map(|lock| lock.to_string()).collect::<Vec<_>>(),
    })
}
