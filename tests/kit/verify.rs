//! Holds a running server against the ledger: sessions, listings, and the bytes themselves.
//!
//! It reports everything that is wrong, not the first thing, and it changes nothing on the server but this: a device
//! whose login was under way in a crash is signed in again.

use super::api::{self, Failure, Listed};
use super::http::Connection;
use super::ledger::{Fate, Ledger, PASSWORD};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Which versions are downloaded.
pub enum Sample {
    /// Every live one.
    All,
    /// These, where they are live; whatever surfaced in the crash is always added.
    These(Vec<u64>),
}

/// What a verification looked at.
#[derive(Debug, Default)]
pub struct Verified {
    /// Versions listed.
    pub listed: usize,
    /// Versions downloaded.
    pub downloaded: usize,
    /// Their bytes.
    pub bytes: u64,
    /// restic's objects that were read.
    pub objects: usize,
}

/// Everything, against a server that listens; the ledger's open questions are settled by what is found.
pub fn verify(address: SocketAddr, ledger: &mut Ledger, sample: &Sample) -> Result<Verified, Vec<String>> {
    let mut wire = Connection::open(address).map_err(|error| vec![format!("connect: {error}")])?;
    let mut wrong = Vec::new();
    let sessions = check_sessions(&mut wire, ledger, &mut wrong);
    let listed = list_all(&mut wire, ledger, &sessions, &mut wrong);
    let before = ledger.versions.clone();
    wrong.extend(ledger.settle(&listed));
    let wanted: Vec<u64> = match sample {
        Sample::All => ledger.versions.keys().copied().collect(),
        Sample::These(ids) => {
            let surfaced = ledger.versions.keys().filter(|id| !before.contains_key(id));
            surfaced.chain(ids).copied().collect()
        }
    };
    let mut seen = Verified { listed: listed.len(), ..Verified::default() };
    for id in wanted {
        let Some(version) = ledger.versions.get(&id) else { continue };
        let Some(session) = sessions.get(&ledger.devices[&version.file.0].account) else { continue };
        let got = api::download(&mut wire, session, id);
        if matches!(got, Err(Failure::Cut(_))) {
            match Connection::open(address) {
                Ok(again) => wire = again,
                Err(error) => {
                    wrong.push(format!("version {id}: connection lost and not to be had again: {error}"));
                    return Err(wrong);
                }
            }
        }
        let expected = (version.size, version.hash.clone());
        match (version.fate, got) {
            (Fate::Live, Ok(got)) if got == expected => {
                seen.downloaded += 1;
                seen.bytes += got.0;
            }
            (Fate::Removed, Err(Failure::Refused(404, _))) => {}
            (fate, got) => wrong.push(format!("version {id} ({fate:?}, {} bytes) downloads as {got:?}", version.size)),
        }
    }
    for account in ledger.accounts.clone() {
        wrong.extend(ledger.objects.verify(&mut wire, &account));
    }
    seen.objects = ledger.objects.there();
    if wrong.is_empty() { Ok(seen) } else { Err(wrong) }
}

/// Every acknowledged session must still be accepted. Gives one live session per account.
fn check_sessions(wire: &mut Connection, ledger: &mut Ledger, wrong: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut live: BTreeMap<String, String> = BTreeMap::new();
    let accounts = ledger.accounts.clone();
    for (name, device) in ledger.devices.iter_mut().filter(|(_, device)| accounts.contains(&device.account)) {
        let accepted = device.session.as_ref().map(|session| api::devices(wire, session));
        match accepted {
            Some(Ok(devices)) if !devices.contains(name) => {
                wrong.push(format!("{name} signed in and is not a device: {devices:?}"))
            }
            Some(Ok(_)) => {}
            Some(Err(Failure::Refused(401, _))) if device.unsure => device.session = None,
            Some(Err(failure)) => {
                wrong.push(format!("the session of {name} is not accepted: {failure}"));
                continue;
            }
            None => {}
        }
        if device.session.is_none() && (device.unsure || !live.contains_key(&device.account)) {
            match api::login(wire, &device.account, PASSWORD, name) {
                Ok((session, _)) => device.session = Some(session),
                Err(failure) => wrong.push(format!("{name} cannot sign in: {failure}")),
            }
        }
        device.unsure = false;
        if let Some(session) = &device.session {
            live.insert(device.account.clone(), session.clone());
        }
    }
    live
}

fn list_all(
    wire: &mut Connection,
    ledger: &Ledger,
    sessions: &BTreeMap<String, String>,
    wrong: &mut Vec<String>,
) -> Vec<Listed> {
    let mut all = Vec::new();
    for (account, session) in sessions {
        match api::list(wire, session) {
            Ok(listed) => {
                let foreign =
                    |one: &&Listed| ledger.devices.get(&one.device).is_none_or(|device| device.account != *account);
                wrong.extend(listed.iter().filter(foreign).map(|one| format!("{account} is shown {one:?}")));
                all.extend(listed);
            }
            Err(failure) => wrong.push(format!("{account} cannot list: {failure}")),
        }
    }
    all
}
