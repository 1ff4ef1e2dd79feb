//! Errands about accounts and invitations.
//!
//! Never: limits how often a password may be tried: whoever reaches the socket has the disk.

use super::{Refused, USAGE};
use crate::model::{Invalid, Password, Username, limits};
use crate::server::api::account::usage_json;
use crate::server::api::invite::json as invite_json;
use crate::service::{AccountSummary, BoundChange, Ended, Proof, Services, Visit};
use crate::wire::admin::{AccountErrand, AccountJson, BoundJson, Hidden, ProofJson};
use crate::wire::errand::Said;

/// Does one.
pub fn run(services: &Services, errand: AccountErrand, say: &mut dyn FnMut(Said)) -> Result<(), Refused> {
    match errand {
        AccountErrand::List {} => {
            services.accounts()?.into_iter().for_each(|account| say(Said::Account(json(account))));
        }
        AccountErrand::Show { name } => say(Said::Account(shown(services, &named(name)?)?)),
        AccountErrand::Quota { name, logical, stored } => {
            let usage = services.set_quota(&named(name)?, bound(logical), bound(stored))?;
            say(Said::Usage(usage_json(&usage)));
        }
        AccountErrand::Enable { name, enabled } => say(ended(services.set_enabled(&named(name)?, enabled)?)),
        AccountErrand::Password { name, proof, new } => {
            let proof = match proof {
                ProofJson::Password(Hidden(old)) => Proof::Password(old),
                ProofJson::RecoveryCode(Hidden(code)) => Proof::RecoveryCode(code),
            };
            say(ended(services.change_password(&named(name)?, &proof, &password(&new)?, false, &Visit::of_owner())?));
        }
        AccountErrand::Content { name } => {
            let content = services.content_of(&named(name)?)?;
            say(Said::Content { files: content.files, versions: content.versions, bytes: content.bytes });
        }
        AccountErrand::Forget { name, new } => {
            let recovered = services.forget_content(&named(name)?, &password(&new)?)?;
            say(ended(recovered.ended));
            say(Said::RecoveryCode { code: Hidden(recovered.recovery_code) });
        }
        AccountErrand::Remove { name } => {
            let name = named(name)?;
            let account = shown(services, &name)?;
            services.remove_account(&name)?;
            say(Said::Account(account));
        }
        AccountErrand::Invite { days } => {
            if !(1..=limits::INVITE_DAYS_MAX).contains(&days) {
                let invalid = Invalid::new("days", format!("must lie between 1 and {}", limits::INVITE_DAYS_MAX));
                return Err(invalid.into());
            }
            let made = services.invite_for_owner(days)?;
            let waiting = services.invites()?.into_iter().find(|invite| invite.id == made.id);
            let invite = waiting.ok_or_else(|| Refused(super::FAILED, "it was used already".to_owned()))?;
            say(Said::Invited { code: Hidden(made.code), invite: invite_json(invite) });
        }
        AccountErrand::Invites {} => {
            services.invites()?.into_iter().for_each(|invite| say(Said::Invite(invite_json(invite))));
        }
        AccountErrand::RevokeInvite { id } => services.revoke_invite(&id)?,
    }
    Ok(())
}

fn named(name: String) -> Result<Username, Refused> {
    Ok(Username::parse(name)?)
}

fn password(text: &Hidden) -> Result<Password, Refused> {
    Ok(Password::parse(text.0.reveal().clone())?)
}

fn ended(Ended { sessions, tokens }: Ended) -> Said {
    Said::Ended { sessions, tokens }
}

/// An account with what it uses.
fn shown(services: &Services, name: &Username) -> Result<AccountJson, Refused> {
    let account = services.account_summary(name)?;
    let usage = usage_json(&services.account_use(account.account)?);
    Ok(AccountJson { usage: Some(usage), ..json(account) })
}

fn bound(bound: BoundJson) -> BoundChange {
    match bound {
        BoundJson::Keep => BoundChange::Keep,
        BoundJson::Lift => BoundChange::Lift,
        BoundJson::Bytes(bytes) => BoundChange::Bytes(bytes),
    }
}

fn json(account: AccountSummary) -> AccountJson {
    AccountJson {
        account_id: account.account.to_string(),
        username: account.name,
        administrator: account.administrator,
        enabled: account.disabled.is_none(),
        disabled: account.disabled.map(|since| since.to_string()),
        created: account.added.to_string(),
        devices: account.devices,
        sessions: account.sessions,
        tokens: account.tokens,
        repos: account.repos,
        usage: None,
    }
}

impl From<Invalid> for Refused {
    fn from(invalid: Invalid) -> Self {
        Self(USAGE, invalid.to_string())
    }
}
