//! The audit log as JSON, and as errands. Never prints a secret: entries have none.

use serde::{Deserialize, Serialize};

/// Something with the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum AuditErrand {
    /// Say its newest entries.
    Show {
        /// How many at most.
        limit: usize,
        /// Of which account; of all when it is not named.
        account: Option<String>,
    },
    /// Say all of it, the oldest first.
    Export {},
    /// Look whether it is the one that was written.
    Verify {
        /// A hash that has to be in it, as hexadecimal digits.
        known: Option<String>,
    },
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditJson {
    /// 1 for the first, then one more each time.
    pub number: u64,
    /// When, in UTC.
    pub at: String,
    /// When, in ms since 1970.
    pub at_ms: i64,
    /// What happened, in a word.
    pub event: String,
    /// Whose account it is about.
    pub account_id: Option<String>,
    /// What it was called then.
    pub username: Option<String>,
    /// Who did it.
    pub by: String,
    /// From where.
    pub address: String,
    /// With what.
    pub user_agent: String,
    /// What it was done to.
    pub subject: String,
    /// To how many, or how often.
    pub count: u64,
    /// The hash of this entry and all before it.
    pub hash: String,
}

/// A page of them, the newest first.
#[derive(Debug, Serialize)]
pub struct AuditPageJson {
    /// The entries.
    pub entries: Vec<AuditJson>,
    /// What `before` of the next page is; nothing when there is none.
    pub next: Option<u64>,
}

/// What a look at the chain came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReportJson {
    /// How many entries there are.
    pub entries: u64,
    /// The newest one's number.
    pub newest: u64,
    /// Its hash.
    pub head: Option<String>,
    /// What is wrong, as sentences.
    pub problems: Vec<String>,
}
