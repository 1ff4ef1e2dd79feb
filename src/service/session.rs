//! Sessions: a device's login, in generations. Each generation's secret is made from the one before, so that an answer that was
//! lost can be asked for again, and a generation that is used after it was replaced gives a thief away.
//!
//! Promises: the rules of rotation are decided on the storage thread, so two that rotate at once get the same; whoever presents a
//! generation that was replaced ends the whole family, and it is said in the log. Never: keeps a secret, or trusts a cache.

use std::sync::Arc;

use super::account::SESSION_CONTEXT;
use super::caller::{Caller, Visit, rights_of};
use super::error::Error;
use super::secrets::{SessionSecret, random};
use super::{Follow, Inner, Services};
use crate::chunk::keys::{AccountKeys, DataKey, unwrap_key, wrap_key};
use crate::model::{DeviceName, Rights, Scope, Secret, Timestamp};
use crate::store::{
    self, AccessOperation, AccountChange, BROWSER_NUMBER, Credential, Done, Generation, NewGeneration, Operation,
    SessionRow, Sessions, Tokens,
};

/// How long a generation serves requests after the next one was used first: those that were under way then.
pub(super) const GRACE_MS: i64 = 60_000;
/// When and from where a session is used is noted at most so often.
pub(super) const NOTED_EVERY_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// A generation of a browser's session that has been in use for so long is replaced with the next answer.
const BROWSER_ROTATES_AFTER_MS: i64 = DAY_MS;

/// A session as its owner sees it.
#[derive(Debug)]
pub struct SessionSummary {
    /// Names it among the account's.
    pub id: String,
    /// Its device.
    pub device: DeviceName,
    /// When the device signed in.
    pub opened: Timestamp,
    /// When it was last used, to the hour.
    pub last_used: Option<Timestamp>,
    /// When it ends if nobody uses it.
    pub expires: Option<Timestamp>,
    /// From where it was last used.
    pub address: String,
    /// With what.
    pub agent: String,
    /// How often it has rotated.
    pub generation: u32,
    /// Whether it is a browser's and no device's.
    pub is_browser: bool,
    /// Whether it is the one that asks.
    pub is_current: bool,
}

/// Some sessions of the own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichSessions {
    /// The one that asks.
    Current,
    /// The one of this id.
    One(String),
    /// All: sign out everywhere.
    All,
}

/// A session that was found, and which of its generations was presented.
struct Found {
    row: SessionRow,
    data_key: DataKey,
}

impl Services {
    /// The caller that a session's secret stands for; what is noted of its use is done before this returns.
    pub fn session(&self, presented: &str) -> Result<Caller, Error> {
        let (caller, follow) = self.caller(presented, &Visit::default());
        follow.map_or(Ok(()), |follow| self.follow(follow))?;
        caller
    }

    /// The same without changing anything: what has to follow is returned.
    pub(super) fn caller_by_session(&self, presented: &str, visit: &Visit) -> (Result<Caller, Error>, Option<Follow>) {
        let Some(secret) = SessionSecret::parse(presented) else { return (Err(Error::NoSession), None) };
        match self.inner.found(&secret, visit) {
            Ok(found) => {
                let follow = self.inner.use_of(&found.row, &secret, visit);
                (self.inner.caller_of(found, &secret, visit), follow)
            }
            Err(Error::Replayed { account }) => {
                (Err(Error::NoSession), Some(self.inner.theft(account, &secret, visit)))
            }
            Err(error) => (Err(error), None),
        }
    }

    /// Makes the next generation of a session and returns its secret; the same again as long as it was not used.
    pub fn rotate(&self, presented: &str, visit: &Visit) -> Result<Secret<String>, Error> {
        let secret = SessionSecret::parse(presented).ok_or(Error::NoSession)?;
        let rotated = self.inner.rotate(&secret, visit);
        if let Err(Error::Replayed { account }) = rotated {
            self.follow(self.inner.theft(account, &secret, visit))?;
            return Err(Error::NoSession);
        }
        rotated
    }

    /// The next generation of a browser's session, when its time has come. Nothing when it has not, when another request was quicker, or
    /// when it cannot be written: what was presented goes on then.
    pub fn renew(&self, caller: &Caller, presented: &str) -> Option<Secret<String>> {
        if !caller.renewable {
            return None;
        }
        let secret = SessionSecret::parse(presented)?;
        let found = self.inner.found(&secret, &Visit::default());
        let renewed = found.and_then(|found| self.inner.next_of(&secret, &found));
        renewed.inspect_err(|error| tracing::debug!(%error, "a browser's session was not renewed")).ok()
    }

    /// The account's sessions by device.
    pub fn sessions(&self, caller: &Caller) -> Result<Vec<SessionSummary>, Error> {
        caller.require(Scope::Admin)?;
        let catalog = self.inner.store.catalog();
        let mut sessions = Vec::new();
        for (device, row) in catalog.devices(caller.account)?.into_iter().chain(catalog.browsers(caller.account)?) {
            let Some(family) = row.session else { continue };
            let Some(row) = catalog.session(&family)?.filter(|row| self.inner.is_within_its_time(row)) else {
                continue;
            };
            sessions.push(SessionSummary {
                id: session_id(&family),
                device: DeviceName::parse(device)?,
                opened: Timestamp(row.opened),
                last_used: row.last_used.map(Timestamp),
                expires: self.inner.end_of(&row).map(Timestamp),
                address: row.address,
                agent: row.agent,
                generation: row.generation,
                is_browser: row.number == BROWSER_NUMBER,
                is_current: caller.credential == Credential::Session(family),
            });
        }
        Ok(sessions)
    }

    /// Ends sessions of the caller's account, and returns how many. A device may always end its own.
    pub fn end_sessions(&self, caller: &Caller, which: &WhichSessions) -> Result<usize, Error> {
        if *which != WhichSessions::Current {
            caller.require(Scope::Admin)?;
        }
        let sessions = match (which, &caller.credential) {
            (WhichSessions::Current, Credential::Session(family)) => Sessions::One(*family),
            (WhichSessions::Current, _) => return Err(Error::NotFound(super::Thing::Session)),
            (WhichSessions::All, _) => Sessions::All,
            (WhichSessions::One(id), _) => {
                let catalog = self.inner.store.catalog();
                let all = catalog.devices(caller.account)?.into_iter().chain(catalog.browsers(caller.account)?);
                let named = all.filter_map(|(_, row)| row.session).find(|key| session_id(key) == *id);
                Sessions::One(named.ok_or(Error::NotFound(super::Thing::Session))?)
            }
        };
        let why = if sessions == Sessions::All { "signed out everywhere" } else { "signed out" };
        let change = AccessOperation::Change {
            account: caller.account,
            change: AccountChange::default(),
            sessions,
            tokens: Tokens::None,
            at: self.inner.clock.now().0,
            why,
        };
        match self
            .inner
            .store
            .commit(Operation::access(change).by(&caller.credential).from(caller.origin(self.now())))?
        {
            Done::Ended { sessions, .. } => Ok(sessions),
            other => Err(Error::Internal(format!("signing out did {other:?}").into())),
        }
    }
}

/// What people and programs call a session: the first half of its row's key's first half, which opens nothing.
fn session_id(family: &[u8; 32]) -> String {
    family[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Inner {
    /// The living session of a secret, if the generation is one that may ask, and no other device.
    fn found(&self, secret: &SessionSecret, visit: &Visit) -> Result<Found, Error> {
        let row = self.store.catalog().session(&secret.family())?.ok_or(Error::NoSession)?;
        if !self.is_within_its_time(&row) {
            return Err(Error::NoSession);
        }
        let hash = secret.hash();
        let now = self.clock.now().0;
        let in_grace = row.used.is_none_or(|used| now.saturating_sub(used) <= GRACE_MS);
        let before = row.before.as_ref().filter(|_| in_grace);
        let presented = [Some(&row.newest), before].into_iter().flatten().find(|one| one.hash == hash);
        let wrap = &presented.ok_or(Error::Replayed { account: row.account })?.wrap;
        let data_key = unwrap_key(&secret.wrapping_key(), wrap, SESSION_CONTEXT)?;
        if visit.device.as_ref().is_some_and(|named| named != row.device.as_bytes()) {
            let (account, session) = (row.account, session_id(&secret.family()));
            tracing::warn!(account, session, address = visit.address, "audit: a session was used for another device");
            self.audit_wrong_device(account, row.device, visit);
            return Err(Error::WrongDevice);
        }
        Ok(Found { row, data_key })
    }

    fn caller_of(&self, found: Found, secret: &SessionSecret, visit: &Visit) -> Result<Caller, Error> {
        let Found { row, data_key } = found;
        let renewable = self.is_renewable(&row, &secret.hash());
        let account = self.living_account(row.account)?;
        let name = DeviceName::parse(row.device)?;
        let (device, browser, kind) = match row.number {
            BROWSER_NUMBER => (None, Some(name.clone()), "browser"),
            number => (Some((name.clone(), number)), None, "device"),
        };
        Ok(Caller {
            account: row.account,
            credential: Credential::Session(secret.family()),
            rights: Rights::FULL.and(rights_of(&account)),
            until: row.last_used.map(|_| row.opened.saturating_add(self.absolute_ms())),
            device,
            browser,
            renewable,
            origin: Arc::new(visit.origin(format!("{kind} {name}"), self.clock.now())),
            bound: false,
            prefix: None,
            keys: Arc::new(AccountKeys::derive(&data_key)),
            data_key: Arc::new(data_key),
        })
    }

    /// Whether a browser is to get the next generation: its own has been in use for long, or the next one was made and has not come.
    fn is_renewable(&self, row: &SessionRow, hash: &[u8; 32]) -> bool {
        let is_due = match row.newest.hash == *hash {
            true => row.used.is_some_and(|used| self.clock.now().0.saturating_sub(used) >= BROWSER_ROTATES_AFTER_MS),
            false => row.used.is_none(),
        };
        row.number == BROWSER_NUMBER && is_due
    }

    fn absolute_ms(&self) -> i64 {
        i64::from(self.policy.session_absolute_days) * DAY_MS
    }

    /// When a session ends by itself; nothing for one of which nothing was noted yet.
    fn end_of(&self, row: &SessionRow) -> Option<i64> {
        let idle_ms = i64::from(self.policy.session_idle_days) * DAY_MS;
        let idle = row.last_used?.saturating_add(idle_ms);
        Some(idle.min(row.opened.saturating_add(self.absolute_ms())))
    }

    pub(super) fn is_within_its_time(&self, row: &SessionRow) -> bool {
        self.end_of(row).is_none_or(|end| self.clock.now().0 <= end)
    }

    /// What has to be noted of a use. The first use of a generation has to be on the disk before it is answered.
    fn use_of(&self, row: &SessionRow, secret: &SessionSecret, visit: &Visit) -> Option<Follow> {
        let (at, hash) = (self.clock.now().0, secret.hash());
        let is_newest = row.newest.hash == hash;
        let is_first = is_newest && row.used.is_none();
        let grace_is_over = row.before.is_some() && row.used.is_some_and(|used| at.saturating_sub(used) > GRACE_MS);
        let is_due = row.last_used.is_none_or(|last| at.saturating_sub(last) >= NOTED_EVERY_MS);
        if !(is_first || is_due || is_newest && grace_is_over) {
            return None;
        }
        let operation = AccessOperation::UseSession {
            family: secret.family(),
            hash,
            at,
            grace_ms: GRACE_MS,
            address: visit.address.clone(),
            agent: visit.agent.clone(),
        };
        Follow::of(operation, secret.family(), is_first, &self.noting)
    }

    fn rotate(&self, secret: &SessionSecret, visit: &Visit) -> Result<Secret<String>, Error> {
        let found = self.found(secret, visit)?;
        // A browser's is for its cookie, which no script reads: it must not come back in a body.
        if found.row.number == BROWSER_NUMBER {
            return Err(Error::NoSession);
        }
        self.next_of(secret, &found)
    }

    /// Makes the generation behind the one that was presented, or finds the one that was made and never used.
    fn next_of(&self, secret: &SessionSecret, found: &Found) -> Result<Secret<String>, Error> {
        let account = self.living_account(found.row.account)?.added.account;
        let salt = random()?;
        let next = secret.next(&salt);
        let wrap = wrap_key(&next.wrapping_key(), &found.data_key, SESSION_CONTEXT, random()?)?;
        let operation = AccessOperation::Rotate {
            family: secret.family(),
            from: secret.hash(),
            next: NewGeneration { generation: Generation { hash: next.hash(), wrap }, salt },
            at: self.clock.now().0,
        };
        match self.store.commit(Operation::access(operation)) {
            Ok(Done::Rotated { salt }) => Ok(secret.next(&salt).text()),
            Ok(other) => Err(Error::Internal(format!("rotating did {other:?}").into())),
            Err(store::Error::Replayed) => Err(Error::Replayed { account }),
            Err(error) => Err(error.into()),
        }
    }

    /// What follows when a generation is presented that was replaced: its whole family ends.
    fn theft(&self, account: u64, secret: &SessionSecret, visit: &Visit) -> Follow {
        let session = session_id(&secret.family());
        tracing::warn!(
            account,
            session,
            address = visit.address,
            "audit: a replaced session was used again; it is revoked"
        );
        let operation = AccessOperation::Change {
            account,
            change: AccountChange::default(),
            sessions: Sessions::One(secret.family()),
            tokens: Tokens::None,
            at: self.clock.now().0,
            why: "used after it was replaced",
        };
        Follow::Must(operation, visit.origin("a replaced session", self.clock.now()))
    }
}
