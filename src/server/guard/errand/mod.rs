//! Errands: what commands for the machine's owner ask, done on the services.
//!
//! Promises: what is said is the same whether a server does it or the command itself; names are parsed before anything is done.
//! Never: asks who sends it: the door and the file system's rights have decided that.

mod account;
mod audit;

use std::path::Path;

use crate::model::{RepoPath, Rights, Username};
use crate::server::api::repo::json;
use crate::service::restic::{Owner, RepoAccess, RepoReport, Takeover};
use crate::service::{Error, Services};
use crate::wire::errand::{Errand, Said};

/// Exit codes of the commands.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NOT_FOUND: u8 = 10;
const SIGN_IN: u8 = 12;
const NO_SPACE: u8 = 14;

/// Why an errand was not done.
struct Refused(u8, String);

/// Does an errand; every word of it goes to `say`.
pub fn run(services: &Services, errand: Errand, say: &mut dyn FnMut(Said)) {
    let last = match done(services, errand, say) {
        Ok(()) => Said::Done,
        Err(Refused(exit, sentence)) => Said::Refused { exit, sentence },
    };
    say(last);
}

fn done(services: &Services, errand: Errand, say: &mut dyn FnMut(Said)) -> Result<(), Refused> {
    match errand {
        Errand::ListRepos { account } => {
            let reports = services.repo_reports_of(&owner(services, account)?)?;
            reports.iter().for_each(|report| say(Said::Repo(json(report))));
        }
        Errand::ShowRepo { account, repo } => {
            let access = access(&owner(services, account)?, &repo)?;
            say(Said::Repo(json(&report(services, &access)?)));
        }
        Errand::RemoveRepo { account, repo } => {
            let access = access(&owner(services, account)?, &repo)?;
            let report = report(services, &access)?;
            services.remove_repo(&access)?;
            say(Said::Repo(json(&report)));
        }
        Errand::ImportRepo { account, repo, dir } => {
            let access = access(&owner(services, account)?, &repo)?;
            let mut left_out = |path: &Path, why: &Error| {
                say(Said::LeftOut { file: path.display().to_string(), why: why.to_string() });
            };
            let Takeover { objects, bytes, refused } = services.take_over(&access, Path::new(&dir), &mut left_out)?;
            say(Said::Took { objects, bytes, left_out: refused });
        }
        Errand::Account(errand) => account::run(services, errand, say)?,
        Errand::Audit(errand) => audit::run(services, errand, say)?,
        Errand::Leave {} => return Err(Refused(FAILED, "only a holder can be asked to leave".to_owned())),
    }
    Ok(())
}

fn owner(services: &Services, account: Option<String>) -> Result<Owner, Refused> {
    let Some(account) = account else { return Ok(services.local_owner()) };
    let name = Username::parse(account).map_err(|invalid| Refused(USAGE, invalid.to_string()))?;
    let missing = || Refused(NOT_FOUND, format!("there is no account {}", name.as_str().escape_debug()));
    services.owner_named(&name)?.ok_or_else(missing)
}

fn access(owner: &Owner, repo: &str) -> Result<RepoAccess, Refused> {
    let path = RepoPath::parse(repo).map_err(|invalid| Refused(USAGE, invalid.to_string()))?;
    Ok(RepoAccess::new(owner, path, Rights::FULL))
}

fn report(services: &Services, access: &RepoAccess) -> Result<RepoReport, Refused> {
    let missing = || Refused(NOT_FOUND, format!("there is no repository {}", access.repo().as_str().escape_debug()));
    services.repo_report(access)?.ok_or_else(missing)
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Invalid(_) | Error::NotRepository { .. } | Error::Administrator => USAGE,
            Error::NotFound(_) => NOT_FOUND,
            Error::BadCredentials | Error::BadRecoveryCode => SIGN_IN,
            Error::NoSpace | Error::QuotaReached { .. } => NO_SPACE,
            _ => FAILED,
        };
        Self(exit, crate::server::error::chain(&error))
    }
}
