//! Looks at an open store from outside: sessions, lists, every version's bytes, and what `check` says. It compares with the
//! oracle and judges nothing: whether an answer is acceptable depends on the damage.

use super::oracle::{Oracle, Signed, Truth};
use super::visitor::{self, chain};
use rbackup::model::VersionId;
use rbackup::service::{Caller, Error, Services};
use sha2::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// What became of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The right bytes, all of them.
    Right,
    /// Whole, and not what was stored.
    Wrong(String),
    /// An error before or after the first byte.
    Failed(String),
    /// No such version.
    NotFound,
}

/// What became of an account.
#[derive(Clone, Debug)]
pub struct Account {
    /// A session, its own or a new one.
    pub session: Option<Caller>,
    /// Why sessions were refused.
    pub sessions_refused: Vec<String>,
    /// Why nobody can sign in, and whether the answer is that there is no such account.
    pub refused: Option<(bool, String)>,
    /// Why its list ended early.
    pub list_failed: Option<String>,
}

/// A version as a list shows it.
#[derive(Debug, PartialEq, Eq)]
struct Listed<'a> {
    account: &'a str,
    device: &'a str,
    file: u64,
    path: &'a str,
    size: u64,
    sha256: &'a str,
}

impl<'a> Listed<'a> {
    fn of(truth: &'a Truth) -> Self {
        let Truth { account, device, file, path, size, sha256, .. } = truth;
        Self { account, device, file: *file, path, size: *size, sha256 }
    }
}

/// All that can be seen.
#[derive(Debug, Default)]
pub struct Look {
    /// By account.
    pub accounts: BTreeMap<String, Account>,
    /// The listed versions' ids, of all accounts.
    pub listed: BTreeSet<u64>,
    /// Every version of the oracle, the removed ones too.
    pub fates: BTreeMap<u64, Fate>,
    /// Listed and not what the oracle says.
    pub contradictions: Vec<String>,
    /// What `check` says; an error when it could not finish.
    pub check: Option<Result<Checked, String>>,
}

/// What `check` found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Damage that it describes.
    pub places: Vec<String>,
    /// Versions that it names.
    pub versions: BTreeSet<u64>,
}

impl Checked {
    /// Nothing found.
    pub fn is_clean(&self) -> bool {
        self.places.is_empty() && self.versions.is_empty()
    }
}

impl Look {
    /// Looks at everything; with `login`, every account signs in with its password too.
    pub fn at(services: &Services, oracle: &Oracle, login: bool) -> Look {
        let mut look = Look::default();
        for name in oracle.accounts() {
            let account = account(services, oracle, name, login);
            look.accounts.insert(name.to_owned(), account);
            look.list(services, oracle, name);
            look.read(services, oracle, name);
        }
        look
    }

    /// Lets `check` read everything.
    pub fn check(&mut self, services: &Services) {
        let report = services.check().map_err(|error| chain(&error));
        self.check = Some(report.map(|report| Checked {
            places: report.damaged_places,
            versions: report.damaged_versions.iter().map(|damaged| damaged.version).collect(),
        }));
    }

    /// Whether some answer was that it will do in a moment: a damaged catalog is being rebuilt.
    pub fn is_mending(&self) -> bool {
        let in_a_moment = |error: &String| error.contains("not available right now");
        let fates =
            self.fates.values().filter_map(|fate| if let Fate::Failed(error) = fate { Some(error) } else { None });
        let lists = self.accounts.values().filter_map(|account| account.list_failed.as_ref());
        let logins = self.accounts.values().filter_map(|account| account.refused.as_ref().map(|(_, error)| error));
        let sessions = self.accounts.values().flat_map(|account| &account.sessions_refused);
        let check = self.check.iter().filter_map(|check| check.as_ref().err());
        fates.chain(lists).chain(logins).chain(sessions).chain(check).any(in_a_moment)
    }

    /// The versions that were read whole and right.
    pub fn right(&self) -> BTreeSet<u64> {
        self.fates.iter().filter(|(_, fate)| **fate == Fate::Right).map(|(id, _)| *id).collect()
    }

    fn list(&mut self, services: &Services, oracle: &Oracle, name: &str) {
        let account = self.accounts.get_mut(name).expect("looked at before");
        let Some(session) = &account.session else { return };
        let files = match services.files(session, None) {
            Ok(files) => files,
            Err(error) => return account.list_failed = Some(chain(&error)),
        };
        for file in files {
            let file = match file {
                Ok(file) => file,
                Err(error) => return account.list_failed = Some(chain(&error)),
            };
            for version in &file.versions {
                let found = Listed {
                    account: name,
                    device: file.device.as_str(),
                    file: file.id.0,
                    path: &file.path.to_text(),
                    size: version.size,
                    sha256: &version.hash.to_string(),
                };
                if !self.listed.insert(version.id.0) {
                    self.contradictions.push(format!("version {} is listed twice", version.id));
                }
                match oracle.versions.get(&version.id.0) {
                    // That it was removed is a matter of its own.
                    Some(truth) if Listed::of(truth) == found => {}
                    Some(truth) => self.contradictions.push(format!("{truth:?} is listed as {found:?}")),
                    None => self.contradictions.push(format!("{found:?} is listed, was never acknowledged")),
                }
            }
        }
    }

    fn read(&mut self, services: &Services, oracle: &Oracle, name: &str) {
        let Some(session) = &self.accounts[name].session else { return };
        let own = oracle.versions.iter().filter(|(_, truth)| truth.account == name);
        self.fates.extend(own.map(|(id, truth)| (*id, fate(services, session, *id, truth))));
    }
}

/// Reads one version and compares.
pub fn fate(services: &Services, session: &Caller, id: u64, truth: &Truth) -> Fate {
    let download = match services.download(session, VersionId(id)) {
        Ok(download) => download,
        Err(Error::NotFound(_)) => return Fate::NotFound,
        Err(error) => return Fate::Failed(chain(&error)),
    };
    let size = download.size();
    if (size, download.hash().to_string()) != (truth.size, truth.sha256.clone()) {
        return Fate::Wrong(format!("{size} bytes {} announced", download.hash()));
    }
    let (mut hasher, mut read) = (sha2::Sha256::new(), 0);
    for piece in download.read(0..size) {
        match piece {
            Ok(piece) => {
                read += piece.len() as u64;
                hasher.update(&piece);
            }
            Err(error) => return Fate::Failed(chain(&error)),
        }
    }
    let sha256 = crate::kit::random::hex(&hasher.finalize());
    if (read, &sha256) == (truth.size, &truth.sha256) {
        Fate::Right
    } else {
        Fate::Wrong(format!("read {read} bytes {sha256}, stored {} bytes {}", truth.size, truth.sha256))
    }
}

fn account(services: &Services, oracle: &Oracle, name: &str, login: bool) -> Account {
    let mut account = Account { session: None, sessions_refused: Vec::new(), refused: None, list_failed: None };
    let own: Vec<&Signed> = oracle.sessions.iter().filter(|signed| signed.account == name).collect();
    for signed in &own {
        match services.session(&signed.secret) {
            Ok(session) => account.session = account.session.or(Some(session)),
            Err(error) => {
                account.sessions_refused.push(chain(&error));
                account.refused = Some((matches!(error, Error::NoSession), chain(&error)));
            }
        }
    }
    if account.session.is_some() && !login {
        account.refused = None;
        return account;
    }
    // A device of its own: the sessions of the others stay.
    let signed_in = visitor::login(services, name, "a new device").and_then(|secret| services.session(&secret));
    match signed_in {
        Ok(session) => {
            account.session = account.session.or(Some(session));
            account.refused = None;
        }
        Err(error) => account.refused = Some((matches!(error, Error::BadCredentials), chain(&error))),
    }
    account
}
