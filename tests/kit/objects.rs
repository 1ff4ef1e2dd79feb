//! restic's objects in the ledger: what was promised of them, and the calls that promise it. An object's name is its content's
//! SHA-256, so the name alone says what must come back.

use super::api::Failure;
use super::http::Connection;
use super::ledger::PASSWORD;
use super::random::{hex, sha256_hex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The one repository of every account.
const REPO: &str = "/restic/crash/";
/// The kinds that are used: one that is held when it is removed, and the one that is not.
const KINDS: [&str; 2] = ["data", "locks"];

/// An object's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Acknowledged.
    There,
    /// Its removal was acknowledged.
    Gone,
    /// Something was under way: it is there whole, or not at all.
    Unsure,
}

/// Account and `kind/name` of every object that was ever sent.
#[derive(Clone, Debug, Default)]
pub struct Objects(BTreeMap<(String, String), Standing>);

impl Objects {
    /// Enters what is known of an object now.
    pub fn enter(&mut self, account: &str, object: &str, standing: Standing) {
        self.0.insert((account.to_owned(), object.to_owned()), standing);
    }

    /// What has changed since `before` may have happened or not.
    pub fn doubt_since(&mut self, before: &Objects) {
        for (key, standing) in &mut self.0 {
            if before.0.get(key) != Some(standing) {
                *standing = Standing::Unsure;
            }
        }
    }

    /// A lie for the harness's own proof: all that is there is said to be removed.
    pub fn call_gone(&mut self) {
        self.0.values_mut().for_each(|standing| *standing = Standing::Gone);
    }

    /// How many there are for certain.
    pub fn there(&self) -> usize {
        self.0.values().filter(|standing| **standing == Standing::There).count()
    }

    /// Holds lists and contents of an account against what was promised, and settles what was under way.
    pub fn verify(&mut self, wire: &mut Connection, account: &str) -> Vec<String> {
        if !self.0.keys().any(|(of, _)| of == account) {
            return Vec::new();
        }
        let mut wrong = Vec::new();
        let mut listed = BTreeSet::new();
        for kind in KINDS {
            match list(wire, account, kind) {
                Ok(names) => listed.extend(names),
                Err(failure) => return vec![format!("{account} cannot list {kind}: {failure}")],
            }
        }
        for object in &listed {
            let standing = self.0.get(&(account.to_owned(), object.clone()));
            match standing {
                None => wrong.push(format!("{object} is listed and was never sent")),
                Some(Standing::Gone) => wrong.push(format!("removed object {object} is back")),
                Some(_) => wrong.extend(read(wire, account, object).err()),
            }
        }
        for ((_, object), standing) in self.0.iter_mut().filter(|((of, _), _)| of == account) {
            let found = listed.contains(object);
            if *standing == Standing::There && !found {
                wrong.push(format!("acknowledged object {object} is not listed"));
            }
            *standing = if found { Standing::There } else { Standing::Gone };
        }
        wrong
    }
}

fn authorization(account: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{account}:{PASSWORD}")))
}

fn ask(wire: &mut Connection, account: &str, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let basic = authorization(account);
    let answer = wire.send(method, &format!("{REPO}{path}"), &[("Authorization", &basic)], body)?;
    if answer.status == 200 {
        return Ok(answer.body);
    }
    Err(Failure::Refused(answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
}

/// `kind/name` of an object with this content.
pub fn named(kind: &str, body: &[u8]) -> String {
    format!("{kind}/{}", sha256_hex(body))
}

/// POST.
pub fn put(wire: &mut Connection, account: &str, object: &str, body: &[u8]) -> Result<(), Failure> {
    ask(wire, account, "POST", object, body).map(drop)
}

/// DELETE.
pub fn remove(wire: &mut Connection, account: &str, object: &str) -> Result<(), Failure> {
    ask(wire, account, "DELETE", object, b"").map(drop)
}

fn list(wire: &mut Connection, account: &str, kind: &str) -> Result<Vec<String>, Failure> {
    let body = ask(wire, account, "GET", &format!("{kind}/"), b"")?;
    let names: Vec<String> = serde_json::from_slice(&body).map_err(|error| Failure::Refused(200, error.to_string()))?;
    Ok(names.into_iter().map(|name| format!("{kind}/{name}")).collect())
}

fn read(wire: &mut Connection, account: &str, object: &str) -> Result<(), String> {
    let body = ask(wire, account, "GET", object, b"").map_err(|failure| format!("{object} is listed: {failure}"))?;
    let found = hex(&Sha256::digest(&body));
    if object.ends_with(&found) { Ok(()) } else { Err(format!("{object} comes back as {found}")) }
}
