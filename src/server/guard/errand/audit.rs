//! Errands about the audit log.

use super::{Refused, USAGE};
use crate::model::Username;
use crate::server::api::audit::{hex, json};
use crate::service::Services;
use crate::wire::audit::{AuditErrand, AuditReportJson};
use crate::wire::errand::Said;

/// Does one.
pub fn run(services: &Services, errand: AuditErrand, say: &mut dyn FnMut(Said)) -> Result<(), Refused> {
    match errand {
        AuditErrand::Show { limit, account } => {
            let account = account.map(Username::parse).transpose()?;
            let (mut before, mut left) = (None, limit);
            while left > 0 {
                let page = services.audit(before, left, account.as_ref())?;
                left -= page.lines.len();
                page.lines.into_iter().for_each(|line| say(Said::Audit(json(line))));
                let Some(next) = page.next else { break };
                before = Some(next);
            }
        }
        AuditErrand::Export {} => services.each_audit(|line| say(Said::Audit(json(line))))?,
        AuditErrand::Verify { known } => {
            let known = known.map(|text| parse(&text).ok_or_else(|| not_a_hash(&text))).transpose()?;
            let report = services.verify_audit(known)?;
            let head = report.head.as_ref().map(hex);
            let (entries, newest, problems) = (report.entries, report.newest, report.problems);
            say(Said::AuditReport(AuditReportJson { entries, newest, head, problems }));
        }
    }
    Ok(())
}

fn not_a_hash(text: &str) -> Refused {
    Refused(USAGE, format!("{text:?} is no hash of an entry: it has 64 hexadecimal digits"))
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}
