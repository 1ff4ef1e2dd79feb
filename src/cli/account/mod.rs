//! `rbackup account`: accounts and invitations, for whoever owns the machine. With or without a server.
//!
//! Never: sets a password for an account without its old one or its recovery code, unless its content is given up.

mod asked;
mod quota;

use std::process::ExitCode;

use serde_json::json;

use self::asked::{asked, new_password};
use super::table::{list, table};
use super::{Common, Failure, errand, print, say};
use crate::model::limits;
use crate::wire::admin::{AccountErrand, AccountJson, InviteJson, ProofJson};
use crate::wire::errand::{Errand, Said};

#[derive(Debug, clap::Args)]
pub struct AccountArgs {
    #[command(subcommand)]
    command: AccountCommand,
}

/// Which account.
#[derive(Debug, clap::Args)]
struct Which {
    #[command(flatten)]
    common: Common,
    /// Its name
    name: String,
}

#[derive(Debug, clap::Subcommand)]
enum AccountCommand {
    /// Name them
    List {
        #[command(flatten)]
        common: Common,
        /// Print a JSON array instead of text
        #[arg(long)]
        json: bool,
    },
    /// Say what is known of one
    Show {
        #[command(flatten)]
        which: Which,
        /// Print a JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Set a new password; the old one and the new one are read from stdin, a line each
    Passwd {
        #[command(flatten)]
        which: Which,
        /// Read the recovery code instead of the old password
        #[arg(long, conflicts_with = "forget_content")]
        recovery_code: bool,
        /// When password and recovery code are lost: give up all content and begin with a new key
        #[arg(long)]
        forget_content: bool,
        /// Do it; without this `--forget-content` only says what would be lost
        #[arg(long, requires = "forget_content")]
        yes: bool,
    },
    /// Let nobody use an account; its sessions end
    Disable(Which),
    /// Let an account be used again
    Enable(Which),
    /// Say how much one has and may keep, or change that; what it has already stays
    Quota {
        #[command(flatten)]
        which: Which,
        /// Bytes of all versions and restic objects that are not removed: 500M, 20GiB, 1TB, or none for no bound
        #[arg(long, value_name = "SIZE")]
        logical: Option<String>,
        /// Bytes in the volumes, compressed and without repetitions; what was removed counts until it is compacted
        #[arg(long, value_name = "SIZE")]
        stored: Option<String>,
        /// Print a JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Remove one with all that is in it; it is held like everything that is removed
    Remove {
        #[command(flatten)]
        which: Which,
        /// Do it; without this it is only said what would go
        #[arg(long)]
        yes: bool,
    },
    /// Let somebody register: make an invitation, list those that wait, or take one back
    Invite(InviteArgs),
}

#[derive(Debug, clap::Args)]
struct InviteArgs {
    #[command(flatten)]
    common: Common,
    /// How long it is good
    #[arg(long, default_value_t = limits::INVITE_DAYS)]
    days: u32,
    /// List the invitations that wait
    #[arg(long, conflicts_with_all = ["days", "revoke"])]
    list: bool,
    /// Take this one back
    #[arg(long, value_name = "ID", conflicts_with = "days")]
    revoke: Option<String>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

pub fn run(args: AccountArgs) -> Result<ExitCode, Failure> {
    match args.command {
        AccountCommand::List { common, json } => {
            let accounts = accounts(common, AccountErrand::List {})?;
            print(&if json { format!("{}\n", json!(accounts)) } else { as_table(&accounts) });
        }
        AccountCommand::Show { which: Which { common, name }, json } => {
            for account in accounts(common, AccountErrand::Show { name })? {
                print(&if json { format!("{}\n", json!(account)) } else { as_list(&account) });
            }
        }
        AccountCommand::Quota { which: Which { common, name }, logical, stored, json } => {
            let (logical, stored) = (quota::bound(logical.as_deref())?, quota::bound(stored.as_deref())?);
            ask(common, AccountErrand::Quota { name, logical, stored }, &mut |said| {
                if let Said::Usage(usage) = said {
                    print(&if json { format!("{}\n", json!(usage)) } else { list(&quota::lines(&usage)) });
                }
            })?;
        }
        AccountCommand::Disable(which) => set_enabled(which, false)?,
        AccountCommand::Enable(which) => set_enabled(which, true)?,
        AccountCommand::Passwd { which, forget_content: true, yes, .. } => forget(which, yes)?,
        AccountCommand::Passwd { which, recovery_code, .. } => passwd(which, recovery_code)?,
        AccountCommand::Remove { which: Which { common, name }, yes: false } => {
            let would_go: String = accounts(common, AccountErrand::Show { name })?.iter().map(as_list).collect();
            return Err(Failure::Usage(format!("this would be removed; to do it: --yes\n{would_go}")));
        }
        AccountCommand::Remove { which: Which { common, name }, yes: true } => {
            for AccountJson { username, sessions, tokens, .. } in accounts(common, AccountErrand::Remove { name })? {
                print(&format!("{username} is removed; sessions ended: {sessions}, tokens: {tokens}\n"));
            }
        }
        AccountCommand::Invite(args) => invite(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(common: Common, wanted: AccountErrand, hear: &mut dyn FnMut(Said)) -> Result<(), Failure> {
    errand::run(common, Errand::Account(wanted), hear)
}

fn accounts(common: Common, wanted: AccountErrand) -> Result<Vec<AccountJson>, Failure> {
    let mut accounts = Vec::new();
    ask(common, wanted, &mut |said| {
        if let Said::Account(account) = said {
            accounts.push(account);
        }
    })?;
    Ok(accounts)
}

fn set_enabled(Which { common, name }: Which, enabled: bool) -> Result<(), Failure> {
    let state = if enabled { "may be used" } else { "is disabled" };
    ask(common, AccountErrand::Enable { name: name.clone(), enabled }, &mut |said| {
        if let Said::Ended { sessions, .. } = said {
            print(&format!("{} {state}; sessions ended: {sessions}\n", name.escape_debug()));
        }
    })
}

fn passwd(Which { common, name }: Which, by_code: bool) -> Result<(), Failure> {
    let proof = match by_code {
        true => ProofJson::RecoveryCode(asked("Recovery code: ")?),
        false => ProofJson::Password(asked("Old password: ")?),
    };
    let new = new_password()?;
    ask(common, AccountErrand::Password { name, proof, new }, &mut |said| {
        if let Said::Ended { sessions, .. } = said {
            print(&format!("the password is changed; sessions ended: {sessions}\n"));
        }
    })
}

fn forget(Which { common, name }: Which, yes: bool) -> Result<(), Failure> {
    ask(common.clone(), AccountErrand::Content { name: name.clone() }, &mut |said| {
        if let Said::Content { files, versions, bytes } = said {
            say(&format!(
                "this gives up {files} files with {versions} versions, {bytes} bytes in all: nobody can read them any more.\n"
            ));
        }
    })?;
    if !yes {
        say("nothing was changed; add --yes to do it\n");
        return Ok(());
    }
    ask(common, AccountErrand::Forget { name, new: new_password()? }, &mut |said| match said {
        Said::Ended { sessions, tokens } => {
            print(&format!("the content is given up; sessions ended: {sessions}, tokens: {tokens}\n"));
        }
        Said::RecoveryCode { code } => print(&format!("recovery code: {}\n", code.0.reveal())),
        _ => {}
    })
}

fn invite(InviteArgs { common, days, list, revoke, json }: InviteArgs) -> Result<(), Failure> {
    if let Some(id) = revoke {
        ask(common, AccountErrand::RevokeInvite { id }, &mut drop)?;
        print(if json { "{}\n" } else { "the invitation is taken back\n" });
        return Ok(());
    }
    let mut waiting = Vec::new();
    let wanted = if list { AccountErrand::Invites {} } else { AccountErrand::Invite { days } };
    ask(common, wanted, &mut |said| match said {
        Said::Invite(invite) => waiting.push(invite),
        Said::Invited { code, invite: InviteJson { id, expires, .. } } => {
            let code = code.0.reveal();
            print(&match json {
                true => format!("{}\n", json!({ "invite": code, "id": id, "expires": expires })),
                false => format!("{code}\ngood until {expires} UTC; to take it back: --revoke {id}\n"),
            });
        }
        _ => {}
    })?;
    if list {
        print(&if json { format!("{}\n", json!(waiting)) } else { invites(&waiting) });
    }
    Ok(())
}

fn as_table(accounts: &[AccountJson]) -> String {
    let rows: Vec<_> = accounts
        .iter()
        .map(|it| {
            let (devices, sessions, tokens) = (it.devices.to_string(), it.sessions.to_string(), it.tokens.to_string());
            [it.account_id.clone(), it.username.clone(), state(it), it.created.clone(), devices, sessions, tokens]
        })
        .collect();
    table(["ID", "NAME", "STATE", "CREATED", "DEVICES", "SESSIONS", "TOKENS"], &rows)
}

fn state(account: &AccountJson) -> String {
    let word = match (account.enabled, account.administrator) {
        (false, _) => "disabled",
        (true, true) => "administrator",
        (true, false) => "enabled",
    };
    word.to_owned()
}

fn as_list(account: &AccountJson) -> String {
    let since = account.disabled.as_ref().map(|since| format!("disabled since {since}"));
    let mut rows = vec![
        ("name", account.username.clone()),
        ("id", account.account_id.clone()),
        ("state", since.unwrap_or_else(|| state(account))),
        ("created", account.created.clone()),
        ("devices", account.devices.to_string()),
        ("sessions", account.sessions.to_string()),
        ("tokens", account.tokens.to_string()),
        ("repositories", account.repos.to_string()),
    ];
    rows.extend(account.usage.iter().flat_map(quota::lines));
    list(&rows)
}

fn invites(invites: &[InviteJson]) -> String {
    let by = |invite: &InviteJson| invite.by.clone().unwrap_or_else(|| "(this machine)".to_owned());
    let rows: Vec<_> =
        invites.iter().map(|it| [it.id.clone(), by(it), it.created.clone(), it.expires.clone()]).collect();
    table(["ID", "BY", "CREATED", "EXPIRES"], &rows)
}
