//! Four devices that upload as fast as they can until they are refused.

use super::site::Site;
use crate::kit::api::{self, Failure};
use crate::kit::http::Connection;
use crate::kit::ledger::{Claim, Ledger};
use crate::kit::mount::Mount;
use crate::kit::random::{Content, Random, sha256_hex};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What each of them sends.
#[derive(Clone, Copy)]
pub struct Flood {
    /// Bytes of a file, at most.
    pub bytes: u64,
    /// Bytes of a path: long ones make the catalog grow.
    pub path_bytes: usize,
    /// Uploads of all together.
    pub most: u64,
    /// On a failing disk what was refused may be there or not; on a full one it must not.
    pub refused_may_appear: bool,
}

/// How it ended.
#[derive(Default)]
pub struct Flooded {
    /// Acknowledged uploads.
    pub stored: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What ended each device that was refused.
    pub refusals: Vec<(u16, String)>,
}

struct Shared<'a> {
    flood: Flood,
    address: SocketAddr,
    ledger: Mutex<&'a mut Ledger>,
    left: AtomicU64,
    so_far: Mutex<Flooded>,
}

impl Flood {
    /// Runs it to its end: all uploads done, or every device refused.
    pub fn run(self, site: &mut Site) -> Result<Flooded, String> {
        self.run_while(site, |_| ())
    }

    /// The same, with something else going on meanwhile.
    pub fn run_while(self, site: &mut Site, meanwhile: impl FnOnce(&Mount)) -> Result<Flooded, String> {
        let (address, mut seeds) = (site.server().address, site.random.clone());
        site.random.next();
        let signed_in: Vec<(String, String)> = site
            .ledger
            .devices
            .iter()
            .filter_map(|(name, device)| Some((name.clone(), device.session.clone()?)))
            .collect();
        let Site { disk, ledger, .. } = site;
        let shared = Shared {
            flood: self,
            address,
            ledger: Mutex::new(ledger),
            left: AtomicU64::new(self.most),
            so_far: Mutex::default(),
        };
        let lost: Vec<String> = std::thread::scope(|scope| {
            let shared = &shared;
            let one = |(device, session): (String, String)| {
                let random = Random::new(seeds.next());
                scope.spawn(move || shared.send(&device, &session, random))
            };
            let all: Vec<_> = signed_in.into_iter().take(4).map(one).collect();
            meanwhile(disk);
            all.into_iter().filter_map(|one| one.join().expect("a device panicked").err()).collect()
        });
        let flooded = shared.so_far.into_inner().expect("no device panicked");
        if lost.is_empty() { Ok(flooded) } else { Err(lost.join("; ")) }
    }
}

impl Shared<'_> {
    fn send(&self, device: &str, session: &str, mut random: Random) -> Result<(), String> {
        let take = |left: u64| left.checked_sub(1);
        let mut wire = Connection::open(self.address).map_err(|error| format!("{device}: connect: {error}"))?;
        while self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            let size = 1 + random.below(self.flood.bytes) as usize;
            let bytes = Content { seed: random.next(), size, text: false, inserted: Vec::new() }.bytes();
            match self.upload(&mut wire, device, session, &path(&mut random, self.flood.path_bytes), &bytes) {
                Ok(()) => {}
                Err(Failure::Refused(status, body)) => {
                    self.so_far.lock().expect("no device panicked").refusals.push((status, body));
                    return Ok(());
                }
                Err(Failure::Cut(error)) => return Err(format!("{device}: an upload got no answer: {error}")),
            }
        }
        Ok(())
    }

    fn upload(
        &self,
        wire: &mut Connection,
        device: &str,
        session: &str,
        path: &str,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let claim =
            Claim { file: (device.to_owned(), path.to_owned()), size: bytes.len() as u64, hash: sha256_hex(bytes) };
        let floor = {
            let mut ledger = self.ledger.lock().expect("no device panicked");
            ledger.sending(claim.clone());
            ledger.highest()
        };
        let answer = api::upload(wire, session, path, None, bytes);
        let mut ledger = self.ledger.lock().expect("no device panicked");
        match &answer {
            Ok(listed) => {
                ledger.acknowledged(&claim, listed, floor);
                let mut so_far = self.so_far.lock().expect("no device panicked");
                (so_far.stored, so_far.bytes) = (so_far.stored + 1, so_far.bytes + claim.size);
            }
            Err(Failure::Refused(..)) if !self.flood.refused_may_appear => ledger.no_longer_sending(&claim),
            Err(_) => {}
        }
        answer.map(drop)
    }
}

/// A path that neither compresses nor repeats.
fn path(random: &mut Random, bytes: usize) -> String {
    let mut path = String::with_capacity(bytes + 16);
    while path.len() < bytes {
        path += &format!("/{:015x}", random.next() >> 4);
    }
    path.truncate(bytes);
    path
}
