//! A client that is prepared to be refused: it enters into the ledger what it was told, and remembers what it was not.
//!
//! A refused change may still be found after a kill (its frames may have reached the disk before the sync failed), but
//! never after a later acknowledgement and never after a stop in good order: [`Client::nothing_surfaces`] is called there.

use super::prepared::DEVICE;
use crate::kit::api::{self, Failure};
use crate::kit::http::Connection;
use crate::kit::ledger::{Claim, Ledger, PASSWORD};
use crate::kit::random::{Content, Random, sha256_hex};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// What a request was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Yes.
    Done,
    /// No, with a status and a body.
    Refused(u16, String),
    /// Nothing: the connection broke.
    Cut(String),
}

/// A change that was not acknowledged.
enum Open {
    Upload(Claim),
    Removal(Vec<u64>),
    Login(String),
}

/// One device at work.
pub struct Client {
    address: SocketAddr,
    wire: Option<Connection>,
    open: Vec<Open>,
    random: Random,
    /// What was promised.
    pub ledger: Ledger,
    /// Accounts whose registration was sent and not acknowledged.
    unsure: BTreeSet<String>,
    /// Those of them that a kill may have brought to light; nothing that is verified would show it.
    surfaced: BTreeSet<String>,
}

impl Client {
    /// For a server that listens.
    pub fn new(address: SocketAddr, ledger: Ledger, seed: u64) -> Client {
        let (open, random, surfaced) = (Vec::new(), Random::new(seed), BTreeSet::new());
        Client { address, wire: None, open, random, ledger, unsure: BTreeSet::new(), surfaced }
    }

    /// Uploads bytes nobody has seen.
    pub fn upload(&mut self, size: usize) -> Told {
        let bytes = Content { seed: self.random.next(), size, text: false, inserted: Vec::new() }.bytes();
        let path = format!("/fault/{}", self.random.below(4));
        let claim = Claim { file: (DEVICE.into(), path.clone()), size: size as u64, hash: sha256_hex(&bytes) };
        let (session, floor) = (self.session(), self.ledger.highest());
        self.ledger.sending(claim.clone());
        match self.ask(|wire| api::upload(wire, &session, &path, None, &bytes)) {
            Ok(answer) => {
                self.ledger.acknowledged(&claim, &answer, floor);
                self.nothing_surfaces();
                Told::Done
            }
            Err(failure) => self.not_done(Open::Upload(claim), failure),
        }
    }

    /// Removes the device's oldest version.
    pub fn remove(&mut self) -> Told {
        let (session, versions) = (self.session(), vec![self.ledger.live_of(DEVICE)[0]]);
        self.ledger.removing(&versions);
        match self.ask(|wire| api::remove_version(wire, &session, versions[0])) {
            Ok(()) => {
                self.ledger.removed(&versions);
                Told::Done
            }
            Err(failure) => self.not_done(Open::Removal(versions), failure),
        }
    }

    /// Signs the device in again.
    pub fn login(&mut self) -> Told {
        self.device(|device| device.unsure = true);
        match self.ask(|wire| api::login(wire, "anna", PASSWORD, DEVICE)) {
            Ok((session, _)) => {
                self.device(|device| (device.unsure, device.session) = (false, Some(session.clone())));
                Told::Done
            }
            Err(failure) => self.not_done(Open::Login(DEVICE.into()), failure),
        }
    }

    /// Registers an account. Being told that the name is taken is an answer only when it may have been.
    pub fn register(&mut self, name: &str) -> Told {
        match self.ask(|wire| api::register(wire, name, PASSWORD)) {
            Ok(new) if new || self.unsure.contains(name) || self.surfaced.contains(name) => {
                self.ledger.accounts.insert(name.into());
                self.unsure.remove(name);
                Told::Done
            }
            Ok(_) => Told::Refused(409, format!("{name} was never given")),
            Err(failure) => {
                self.unsure.insert(name.into());
                told(failure)
            }
        }
    }

    /// Downloads the device's first live version and compares it.
    pub fn download(&mut self) -> Told {
        let (session, version) = (self.session(), self.ledger.live_of(DEVICE)[0]);
        let expected = (self.ledger.versions[&version].size, self.ledger.versions[&version].hash.clone());
        match self.ask(|wire| api::download(wire, &session, version)) {
            Ok(got) if got == expected => Told::Done,
            Ok(got) => Told::Refused(200, format!("version {version} downloads as {got:?}, not {expected:?}")),
            Err(failure) => told(failure),
        }
    }

    /// Everything the account has.
    pub fn list(&mut self) -> Told {
        let session = self.session();
        self.ask(|wire| api::list(wire, &session)).map_or_else(told, |_| Told::Done)
    }

    /// From here on whatever was refused must not be there.
    pub fn nothing_surfaces(&mut self) {
        for open in std::mem::take(&mut self.open) {
            match open {
                Open::Upload(claim) => self.ledger.no_longer_sending(&claim),
                Open::Removal(versions) => self.ledger.kept(&versions),
                Open::Login(name) => {
                    self.ledger.devices.get_mut(&name).expect("a device of the ledger").unsure = false;
                }
            }
        }
        self.unsure.clear();
    }

    /// Goes on with the server that was started on the same data.
    pub fn move_to(&mut self, address: SocketAddr) {
        self.surfaced.extend(self.unsure.iter().cloned());
        (self.address, self.wire) = (address, None);
    }

    /// The account and the session that everything else needs, in a store that may have been made just now.
    pub fn arrive(&mut self) -> Told {
        if !self.ledger.accounts.contains("anna") {
            let registered = self.register("anna");
            if registered != Told::Done {
                return registered;
            }
        }
        if self.session().is_empty() { self.login() } else { Told::Done }
    }

    fn not_done(&mut self, open: Open, failure: Failure) -> Told {
        self.open.push(open);
        told(failure)
    }

    /// One request on the kept connection, or on a new one.
    fn ask<T>(&mut self, request: impl FnOnce(&mut Connection) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => Connection::open(self.address)?,
        };
        let answer = request(&mut wire);
        if answer.is_ok() {
            self.wire = Some(wire);
        }
        answer
    }

    fn session(&self) -> String {
        self.ledger.devices[DEVICE].session.clone().unwrap_or_default()
    }

    fn device(&mut self, change: impl FnOnce(&mut crate::kit::ledger::Device)) {
        change(self.ledger.devices.get_mut(DEVICE).expect("a device of the ledger"));
    }
}

fn told(failure: Failure) -> Told {
    match failure {
        Failure::Cut(error) => Told::Cut(error.to_string()),
        Failure::Refused(status, body) => Told::Refused(status, body),
    }
}
