//! Whose repositories somebody may use, and the names and passwords that were verified a moment ago.
//!
//! Promises: argon2 runs once per name and password in ten minutes, and not once per request; only what was right is remembered,
//! under a hash with a key of this process; whoever's account changed since is forgotten at once. Never: keeps a password.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::random::random;
use crate::model::{AccountId, RepoPath, Rights, Secret, Username};
use crate::service::caller::lies_below;
use crate::service::{Caller, Error, Services, Standing};
use crate::store::Credential;

/// Restic asks with every request; what changes an account counts at once, so this bounds only the rest.
const REMEMBERED: Duration = Duration::from_secs(600);
/// More than a household has machines, at 80 bytes each. When it is full everything is verified anew.
const REMEMBERED_MAX: usize = 1024;

/// Somebody who may use an account's repositories: it signed in, or the machine's owner vouched for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    account: AccountId,
    rights: Rights,
    prefix: Option<Vec<u8>>,
    standing: Standing,
}

impl Owner {
    /// The account.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// What it may do to them.
    pub(super) fn rights(&self) -> Rights {
        self.rights
    }

    /// The only repository at or below which it may see any.
    pub(super) fn prefix(&self) -> Option<&[u8]> {
        self.prefix.as_deref()
    }

    /// What it rests on.
    pub(super) fn standing(&self) -> Standing {
        self.standing.clone()
    }

    /// Whether a repository exists for it.
    pub(super) fn sees(&self, repo: &RepoPath) -> bool {
        self.prefix().is_none_or(|prefix| lies_below(prefix, repo.as_str().as_bytes()))
    }

    fn full(account: u64, credential: Credential) -> Self {
        let standing = Standing { credential, until: None };
        Self { account: AccountId(account), rights: Rights::FULL, prefix: None, standing }
    }
}

/// A name and a password as somebody presented them.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account's name.
    pub name: Username,
    /// The password, of any form.
    pub password: Secret<String>,
}

/// The verified credentials.
pub(in crate::service) struct Remembered {
    /// This process's own; without one nothing is remembered.
    key: Option<[u8; 32]>,
    entries: Mutex<HashMap<[u8; 32], Entry>>,
}

#[derive(Clone, Copy)]
struct Entry {
    account: u64,
    epoch: u32,
    since: Instant,
}

impl Remembered {
    /// Nothing yet.
    pub fn fresh() -> Self {
        Self::keyed(random().ok())
    }

    fn keyed(key: Option<[u8; 32]>) -> Self {
        Self { key, entries: Mutex::default() }
    }

    /// The length stands before the name, so that no other pair has the same bytes.
    fn hash(&self, credentials: &Credentials) -> Option<[u8; 32]> {
        let name = credentials.name.folded();
        let mut hasher = blake3::Hasher::new_keyed(self.key.as_ref()?);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(credentials.password.reveal().as_bytes());
        Some(hasher.finalize().into())
    }

    fn find(&self, hash: &[u8; 32]) -> Option<Entry> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(hash).copied().filter(|entry| entry.since.elapsed() < REMEMBERED)
    }

    fn put(&self, hash: [u8; 32], entry: Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= REMEMBERED_MAX {
            entries.retain(|_, entry| entry.since.elapsed() < REMEMBERED);
        }
        if entries.len() >= REMEMBERED_MAX {
            entries.clear();
        }
        entries.insert(hash, entry);
    }
}

impl Services {
    /// The owner with these credentials, if they were verified a moment ago and the account has not changed since. Quick.
    pub fn remembered_owner(&self, credentials: &Credentials) -> Result<Option<Owner>, Error> {
        let remembered = &self.inner.remembered;
        let found = remembered.hash(credentials).and_then(|hash| remembered.find(&hash));
        let Some(entry) = found else { return Ok(None) };
        let credential = Credential::Password { account: entry.account, epoch: entry.epoch };
        let is_valid = self.inner.store.catalog().is_valid(&credential)?;
        Ok(is_valid.then_some(Owner::full(entry.account, credential)))
    }

    /// The owner with these credentials. Runs argon2 unless they are remembered, also for unknown names.
    pub fn owner(&self, credentials: &Credentials) -> Result<Owner, Error> {
        // Several requests of one client come at once; those that waited for the first need no run of their own.
        if let Some(owner) = self.remembered_owner(credentials)? {
            return Ok(owner);
        }
        let (row, _) = self.open_account(&credentials.name, &credentials.password)?;
        let (account, epoch) = (row.added.account, row.epoch);
        let entry = Entry { account, epoch, since: Instant::now() };
        if let Some(hash) = self.inner.remembered.hash(credentials) {
            self.inner.remembered.put(hash, entry);
        }
        Ok(Owner::full(account, Credential::Password { account, epoch }))
    }

    /// The owner that a caller stands for. A repository belongs to no device, so who may see only one device sees none.
    pub fn owner_of(&self, caller: &Caller) -> Result<Owner, Error> {
        if caller.bound {
            return Err(Error::Forbidden);
        }
        // A path of files begins with a slash, that of a repository does not.
        let prefix = caller.prefix.as_ref().map(|path| path.strip_prefix(b"/").unwrap_or(path).to_vec());
        Ok(Owner { account: caller.account(), rights: caller.rights, prefix, standing: caller.standing() })
    }

    /// Whether a caller belongs to the account of this name.
    pub fn is_named(&self, caller: &Caller, name: &Username) -> Result<bool, Error> {
        let row = self.inner.store.catalog().account(caller.account)?;
        Ok(row.is_some_and(|row| row.added.folded == name.folded()))
    }

    /// The owner of the account-less realm: for whoever reaches this machine's own socket or listener for it.
    pub fn local_owner(&self) -> Owner {
        Owner::full(AccountId::LOCAL.0, Credential::Word { account: AccountId::LOCAL.0 })
    }

    /// The owner of the account of that name, without a password: for whom the machine's owner vouches.
    pub fn owner_named(&self, name: &Username) -> Result<Option<Owner>, Error> {
        let account = self.inner.store.catalog().account_by_name(&name.folded())?;
        Ok(account.map(|row| {
            let account = row.added.account;
            Owner::full(account, Credential::Word { account })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(name: &str, password: &str) -> Credentials {
        let name = Username::parse(name.to_owned()).expect("a name");
        Credentials { name, password: Secret::new(password.to_owned()) }
    }

    #[test]
    fn no_other_pair_is_taken_for_one_that_was_right() {
        let remembered = Remembered::keyed(Some([7; 32]));
        let hash = |name, password| remembered.hash(&credentials(name, password)).expect("a key");
        let right = hash("ann", "secret");
        remembered.put(right, Entry { account: 1, epoch: 1, since: Instant::now() });
        assert!(remembered.find(&hash("Ann", "secret")).is_some(), "names fold");
        for (name, password) in [("ann", "Secret"), ("anns", "ecret"), ("an", "nsecret"), ("ann", "")] {
            assert!(remembered.find(&hash(name, password)).is_none(), "{name} {password}");
        }
        assert_ne!(Remembered::fresh().hash(&credentials("ann", "secret")), Some(right), "another process");
        assert_eq!(Remembered::keyed(None).hash(&credentials("ann", "secret")), None, "no key, nothing remembered");
    }

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_time() {
        let remembered = Remembered::keyed(Some([7; 32]));
        for n in 0..REMEMBERED_MAX + 10 {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.to_le_bytes());
            remembered.put(hash, Entry { account: 1, epoch: 1, since: Instant::now() });
        }
        let held = remembered.entries.lock().expect("free").len();
        assert!(held <= REMEMBERED_MAX, "{held}");
        if let Some(long_ago) = Instant::now().checked_sub(REMEMBERED) {
            remembered.put([1; 32], Entry { account: 1, epoch: 1, since: long_ago });
            assert!(remembered.find(&[1; 32]).is_none());
        }
    }
}
