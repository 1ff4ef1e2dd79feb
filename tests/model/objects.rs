//! restic's objects in the model: three owners, two of them accounts and one the local realm, who give their repositories and their
//! objects the same names. Beside the store a plain map of what each must find.

use bytes::Bytes;
use rbackup::model::{ObjectKind, ObjectName, RepoPath, Rights, Username};
use rbackup::service::restic::{ObjectIntake, Owner, Proof, RepoAccess};
use rbackup::service::{Error, Services};
use sha2::Digest;
use std::collections::BTreeMap;

/// Ann, Bert or the local realm.
pub type Whose = usize;

/// What may be done with objects.
#[derive(Debug, Clone)]
pub enum ObjectStep {
    /// A whole upload.
    Put { whose: Whose, repo: u8, kind: u8, content: u16, length: u32 },
    /// Other bytes under the name of these, while the right ones come and win.
    PutFalsely { whose: Whose, repo: u8, content: u16, length: u32 },
    /// An upload that is given up.
    Cut { whose: Whose, repo: u8, content: u16, length: u32 },
    /// One of the objects there are.
    Remove { whose: Whose, nth: usize },
    /// One that append-only access may not remove, unless it is a lock.
    RemoveAppendOnly { whose: Whose, nth: usize },
    /// A repository with all that is in it.
    Drop { whose: Whose, repo: u8 },
}

/// Whose, which repository, which object.
type Key = (Whose, u8, ObjectName);

/// What must be there, and nothing else.
#[derive(Default)]
pub struct Objects(pub BTreeMap<Key, Vec<u8>>);

impl Objects {
    /// Does one step to the store and to the map.
    pub fn step(&mut self, services: &Services, step: &ObjectStep) {
        match *step {
            ObjectStep::Put { whose, repo, kind, content, length } => {
                let body = bytes(content, length);
                let name = named(kind, &body);
                let put = send(begin(services, whose, repo, name, &body), &body);
                self.expect((whose, repo, name), body, put);
            }
            ObjectStep::PutFalsely { whose, repo, content, length } => {
                let (body, other) = (bytes(content, length), bytes(content + 1000, length));
                let name = named(ObjectKind::Data.byte(), &body);
                let falsely = begin(services, whose, repo, name, &other);
                let put = send(begin(services, whose, repo, name, &body), &body);
                self.expect((whose, repo, name), body, put);
                if length > 0 {
                    let refused = send(falsely, &other);
                    assert!(matches!(refused, Err(Error::ObjectExists)), "false bytes were taken: {refused:?}");
                }
            }
            ObjectStep::Cut { whose, repo, content, length } => {
                let body = bytes(content + 2000, length);
                let mut intake = begin(services, whose, repo, named(1, &body), &body).expect("begun");
                intake.push(Bytes::copy_from_slice(&body[..body.len() / 2])).expect("taken");
            }
            ObjectStep::Remove { whose, nth } => {
                let Some((repo, name)) = self.nth(whose, nth) else { return };
                for _ in 0..2 {
                    services.remove_object(&access(services, whose, repo, Rights::FULL), name).expect("removed");
                }
                self.0.remove(&(whose, repo, name));
            }
            ObjectStep::RemoveAppendOnly { whose, nth } => {
                let Some((repo, name)) = self.nth(whose, nth) else { return };
                let removed = services.remove_object(&access(services, whose, repo, Rights::APPEND_ONLY), name);
                assert_eq!(removed.is_ok(), name.kind() == ObjectKind::Locks, "{name}: {removed:?}");
                if removed.is_ok() {
                    self.0.remove(&(whose, repo, name));
                }
            }
            ObjectStep::Drop { whose, repo } => {
                let had = self.0.keys().any(|(of, at, _)| (*of, *at) == (whose, repo));
                let dropped = services.remove_repo(&access(services, whose, repo, Rights::FULL));
                assert!(dropped.is_ok() || !had, "{dropped:?}");
                self.0.retain(|(of, at, _), _| (*of, *at) != (whose, repo));
            }
        }
    }

    fn expect(&mut self, key: Key, body: Vec<u8>, put: Result<(), Error>) {
        match self.0.get(&key) {
            Some(known) if *known != body => assert!(matches!(put, Err(Error::ObjectExists)), "{put:?}"),
            _ => {
                put.expect("taken");
                self.0.insert(key, body);
            }
        }
    }

    fn nth(&self, whose: Whose, nth: usize) -> Option<(u8, ObjectName)> {
        let own: Vec<_> = self.0.keys().filter(|(of, ..)| *of == whose).collect();
        own.get(nth % own.len().max(1)).map(|(_, repo, name)| (*repo, *name))
    }

    /// Everybody finds what is theirs, byte by byte, and nothing else.
    pub fn compare(&self, services: &Services) {
        let mut found = BTreeMap::new();
        for whose in 0..3 {
            for repo in 0..3 {
                let access = access(services, whose, repo, Rights::FULL);
                for kind in ObjectKind::ALL {
                    for entry in services.list_objects(&access, kind).expect("listed") {
                        let (name, size) = entry.expect("an entry");
                        let object = services.open_object(&access, name).expect("there");
                        assert_eq!(object.size(), size, "{name}");
                        let body: Vec<u8> = object.read(0..size).flat_map(|piece| piece.expect("readable")).collect();
                        found.insert((whose, repo, name), body);
                    }
                }
            }
        }
        let names = |map: &BTreeMap<Key, Vec<u8>>| map.keys().copied().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&self.0), "the objects that are found");
        assert!(found == self.0, "an object has other bytes");
    }
}

fn access(services: &Services, whose: Whose, repo: u8, rights: Rights) -> RepoAccess {
    let named = |name: &str| {
        let name = Username::parse(name.to_owned()).expect("fine");
        services.owner_named(&name).expect("asked").expect("an account")
    };
    let owner: Owner = match whose {
        0 => named("ann"),
        1 => named("bert"),
        _ => services.local_owner(),
    };
    let path = ["", "photos", "photos/old"][usize::from(repo) % 3];
    RepoAccess::new(&owner, RepoPath::parse(path).expect("fine"), rights)
}

fn named(kind: u8, body: &[u8]) -> ObjectName {
    ObjectName::new(ObjectKind::from_byte(kind).expect("a kind"), sha2::Sha256::digest(body).into())
}

fn begin(services: &Services, whose: Whose, repo: u8, name: ObjectName, body: &[u8]) -> Result<ObjectIntake, Error> {
    let length = body.len().is_multiple_of(2).then_some(body.len() as u64);
    services.receive_object(&access(services, whose, repo, Rights::APPEND_ONLY), name, length, Proof::Name)
}

fn send(intake: Result<ObjectIntake, Error>, body: &[u8]) -> Result<(), Error> {
    let mut intake = intake?;
    for piece in body.chunks(70_000) {
        intake.push(Bytes::copy_from_slice(piece))?;
    }
    intake.finish()
}

/// Some contents begin alike, so that parts are shared between objects.
fn bytes(seed: u16, length: u32) -> Vec<u8> {
    let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    let mut bytes = vec![0; length as usize];
    reader.fill(&mut bytes);
    bytes
}
