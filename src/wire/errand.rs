//! What commands for the machine's owner ask of the process that has the data directory, and what it says to them.
//!
//! An errand goes over the data directory's socket in place of a preamble, in the same form; any number of sayings come back, the
//! last of which is [`Said::Done`] or [`Said::Refused`]. Where nobody serves the data directory the command opens the store and runs
//! the same errand itself.
//!
//! Promises: both ways say the same; a field that is missing or unknown refuses the errand; a secret goes as [`Hidden`], which no log
//! shows. Never: goes over anything but that socket, whose other end the kernel has told to be root's or the server's own user's.

use serde::{Deserialize, Serialize};

use super::admin::{AccountErrand, AccountJson, Hidden, InviteJson, UsageJson};
use super::audit::{AuditErrand, AuditJson, AuditReportJson};
use super::repo::RepoJson;

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Errand {
    /// Say every repository of an account, or of the local realm.
    ListRepos {
        /// Whose.
        account: Option<String>,
    },
    /// Say one.
    ShowRepo {
        /// Whose.
        account: Option<String>,
        /// Its name.
        repo: String,
    },
    /// Remove one, and say what it was.
    RemoveRepo {
        /// Whose.
        account: Option<String>,
        /// Its name.
        repo: String,
    },
    /// Take over a directory of another server.
    ImportRepo {
        /// Whose it becomes.
        account: Option<String>,
        /// The name it gets.
        repo: String,
        /// The directory, absolute; whoever runs the errand reads it.
        dir: String,
    },
    /// Something with accounts or invitations.
    Account(AccountErrand),
    /// Something with the audit log.
    Audit(AuditErrand),
    /// End as soon as nobody is served: for a holder, to which a server is to succeed.
    Leave {},
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Said {
    /// A repository.
    Repo(RepoJson),
    /// A file that was not taken over.
    LeftOut {
        /// Which.
        file: String,
        /// Why.
        why: String,
    },
    /// What was taken over.
    Took {
        /// Objects.
        objects: u64,
        /// Their bytes.
        bytes: u64,
        /// Files that were left out.
        left_out: u64,
    },
    /// An account.
    Account(AccountJson),
    /// What an account uses and may.
    Usage(UsageJson),
    /// An invitation that waits.
    Invite(InviteJson),
    /// An invitation that was made.
    Invited {
        /// What is presented to register.
        code: Hidden,
        /// The invitation.
        invite: InviteJson,
    },
    /// What an account's key opens.
    Content {
        /// Files that are listed.
        files: u64,
        /// Their versions.
        versions: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// What ended with a change.
    Ended {
        /// Sessions.
        sessions: usize,
        /// Tokens.
        tokens: usize,
    },
    /// An entry of the audit log.
    Audit(AuditJson),
    /// What a look at the audit log came to.
    AuditReport(AuditReportJson),
    /// A new recovery code.
    RecoveryCode {
        /// What opens the account when its password is lost.
        code: Hidden,
    },
    /// All is done and said.
    Done,
    /// It was not done.
    Refused {
        /// The exit code of the command.
        exit: u8,
        /// Why.
        sentence: String,
    },
}

#[cfg(test)]
mod tests {
    use super::super::preamble::{self, Opening, Unusable};
    use super::*;

    #[test]
    fn an_errand_is_told_from_a_preamble() {
        let errand = Errand::ShowRepo { account: None, repo: "a".to_owned() };
        let said = super::super::json(&errand);
        assert_eq!(preamble::opening(&said), Ok(Opening::Errand(errand)));
        for text in [
            r#"{"show_repo":{"account":null}}"#,
            r#"{"show_repo":{"repo":"a","account":null,"more":1}}"#,
            r#"{"shout":{}}"#,
            r#"{"leave":{},"show_repo":{"repo":"a"}}"#,
        ] {
            assert_eq!(preamble::opening(text.as_bytes()), Err(Unusable::Malformed), "{text}");
        }
    }
}
