//! `GET /api/v1/audit`: a page of the audit log, the newest entries first.

use warp::http::StatusCode;

use crate::model::Invalid;
use crate::server::Context;
use crate::server::error::Error;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::{AuditLine, Caller};
use crate::wire::audit::{AuditJson, AuditPageJson};

/// Entries of a page when the client does not say how many it wants, and at most.
const PAGE_ENTRIES: u64 = 100;
const PAGE_ENTRIES_MAX: u64 = 1000;

/// Brings the page.
pub async fn show(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let query = request.query()?;
    let before = query.number::<u64>("before")?;
    let limit = query.number::<u64>("limit")?.unwrap_or(PAGE_ENTRIES);
    if !(1..=PAGE_ENTRIES_MAX).contains(&limit) {
        return Err(Invalid::new("limit", format!("must lie between 1 and {PAGE_ENTRIES_MAX}")).into());
    }
    let page = context.bridge.call(move || context.services.audit_for(&caller, before, limit as usize)).await?;
    let entries = page.lines.into_iter().map(json).collect();
    Ok(Reply::json(StatusCode::OK, &AuditPageJson { entries, next: page.next }))
}

/// An entry as the outside sees it.
pub fn json(line: AuditLine) -> AuditJson {
    let AuditLine { number, at, event, entry, hash } = line;
    AuditJson {
        number,
        at: at.to_string(),
        at_ms: at.0,
        event: event.map_or_else(|| format!("unknown_{}", entry.event), |event| event.name().to_owned()),
        account_id: (entry.account != 0).then(|| entry.account.to_string()),
        username: (!entry.name.is_empty()).then_some(entry.name),
        by: entry.by,
        address: entry.address,
        user_agent: entry.agent,
        subject: entry.subject,
        count: entry.count,
        hash: hex(&hash),
    }
}

/// A hash in hexadecimal digits.
pub fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
