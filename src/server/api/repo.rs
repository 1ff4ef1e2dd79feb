//! `GET /api/v1/repos`: the account's restic repositories, and what is in each.

use warp::http::StatusCode;

use crate::server::Context;
use crate::server::error::Error;
use crate::server::reply::Reply;
use crate::service::Caller;
use crate::service::restic::RepoReport;
use crate::wire::repo::{LockJson, RepoJson};

/// All of them, by name.
pub async fn list(context: Context, caller: Caller) -> Result<Reply, Error> {
    let reports = context.bridge.call(move || context.services.repo_reports(&caller)).await?;
    let repos: Vec<RepoJson> = reports.iter().map(json).collect();
    Ok(Reply::json(StatusCode::OK, &repos))
}

/// A report as the outside sees it.
pub fn json(report: &RepoReport) -> RepoJson {
    let RepoReport { repo, usage, now } = report;
    let age_s = |made: i64| u64::try_from(now.0.saturating_sub(made) / 1000).unwrap_or(0);
    RepoJson {
        name: repo.path.as_str().to_owned(),
        created: repo.created.to_string(),
        objects: usage.objects,
        bytes: usage.bytes,
        snapshots: usage.snapshots,
        last_write: usage.last_write.map(|last| last.to_string()),
        locks: usage.locks.iter().map(|lock| LockJson { created: lock.to_string(), age_s: age_s(lock.0) }).collect(),
    }
}
