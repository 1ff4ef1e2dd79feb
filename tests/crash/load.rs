//! Clients that do what people do, and enter into the ledger what they were told.
//!
//! One thread per device, each over one kept-alive connection. A request is entered as under way before its first byte
//! is sent, and as acknowledged only when its whole answer is read: so the ledger never promises more than was promised.
#![allow(dead_code, reason = "each harness is its own crate and uses a part of the load")]

use crate::kit::api::{self, Failure};
use crate::kit::http::Connection;
use crate::kit::ledger::{Claim, Ledger, PASSWORD};
use crate::kit::objects::{self, Standing};
use crate::kit::random::{Content, Random, sha256_hex};
use crate::kit::server::Server;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes uploaded in one life before only small files follow.
const BYTES_PER_LIFE: u64 = 24 << 20;

/// Two accounts, four devices.
pub fn people() -> Ledger {
    let mut ledger = Ledger::default();
    for (device, account) in [("laptop", "anna"), ("phone", "anna"), ("nas", "anna"), ("büro pc", "bert")] {
        ledger.add_device(device, account);
    }
    ledger
}

/// What one life's clients do.
#[derive(Clone)]
pub struct Plan {
    seed: u64,
    bytes: u64,
    disk_may_fail: bool,
}

impl Plan {
    /// Everything.
    pub fn new(seed: u64) -> Plan {
        Plan { seed, bytes: BYTES_PER_LIFE, disk_may_fail: false }
    }

    /// Little data: stays within one volume.
    pub fn sure(seed: u64) -> Plan {
        Plan { seed, bytes: 4 << 20, disk_may_fail: false }
    }

    /// The disk fails under them: a client that is told so with 503 or 507 ends, and what it asked for may be there or not.
    pub fn until_the_disk_fails(self) -> Plan {
        Plan { disk_may_fail: true, ..self }
    }

    /// The same with other choices.
    pub fn next(&self) -> Plan {
        Plan { seed: self.seed.wrapping_add(1), ..self.clone() }
    }
}

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    ledger: Mutex<Ledger>,
    stop: AtomicBool,
    bytes_left: AtomicU64,
    disk_may_fail: bool,
}

struct Client {
    shared: Arc<Shared>,
    device: String,
    account: String,
    session: String,
    wire: Connection,
    random: Random,
    sent: Vec<Content>,
    /// restic's objects of this client that are there.
    objects: Vec<String>,
}

impl Load {
    /// Starts one thread per device of the ledger.
    pub fn start(address: SocketAddr, ledger: Ledger, plan: &Plan) -> Load {
        let devices: Vec<(String, String)> =
            ledger.devices.iter().map(|(name, device)| (name.clone(), device.account.clone())).collect();
        let stop = AtomicBool::new(false);
        let (ledger, bytes_left) = (Mutex::new(ledger), AtomicU64::new(plan.bytes));
        let shared = Arc::new(Shared { address, ledger, stop, bytes_left, disk_may_fail: plan.disk_may_fail });
        let mut seeds = Random::new(plan.seed);
        let start = |(device, account): (String, String)| {
            let (shared, random) = (shared.clone(), Random::new(seeds.next()));
            std::thread::spawn(move || live(shared, device, account, random))
        };
        let clients = devices.into_iter().map(start).collect();
        Load { shared, clients }
    }

    /// Waits until all have lost their connection, and gives the ledger back.
    pub fn join(self) -> Ledger {
        for client in self.clients {
            client.join().expect("a client panicked");
        }
        let shared = Arc::into_inner(self.shared).expect("the clients are gone");
        shared.ledger.into_inner().expect("no client panicked")
    }

    /// The ledger as it is at this moment: what is in it was acknowledged before.
    pub fn ledger_now(&self) -> Ledger {
        self.shared.ledger().clone()
    }

    /// Tells all to stop after what they are doing, waits for it, and gives the ledger back.
    pub fn stop_and_join(self) -> Ledger {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.join()
    }
}

/// Runs the clients for a time on a server that nobody kills; nothing is under way afterwards.
pub fn run_for(server: &Server, ledger: &mut Ledger, plan: &Plan, time: Duration) {
    let load = Load::start(server.address, std::mem::take(ledger), plan);
    std::thread::sleep(time);
    *ledger = load.stop_and_join();
    assert!(ledger.in_flight.is_empty(), "a client lost its connection");
    assert!(ledger.complaints.is_empty(), "{:?}", ledger.complaints);
}

fn live(shared: Arc<Shared>, device: String, account: String, random: Random) {
    let Ok(wire) = Connection::open(shared.address) else { return };
    let session = shared.ledger().devices[&device].session.clone().unwrap_or_default();
    let mut client = Client { shared, device, account, session, wire, random, sent: Vec::new(), objects: Vec::new() };
    let mut done = client.arrive();
    while done.is_ok() && !client.shared.stop.load(Ordering::Relaxed) {
        done = client.act();
    }
    if let Err(Failure::Refused(status, body)) = done
        && !(client.shared.disk_may_fail && [503, 507].contains(&status))
    {
        let complaint = format!("{} was refused with {status}: {body}", client.device);
        client.shared.ledger().complaints.push(complaint);
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no client panicked")
    }

    fn take_bytes(&self, wanted: u64) -> bool {
        self.bytes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(wanted)).is_ok()
    }
}

impl Client {
    fn arrive(&mut self) -> Result<(), Failure> {
        if !self.shared.ledger().accounts.contains(&self.account) {
            api::register(&mut self.wire, &self.account, PASSWORD)?;
            self.shared.ledger().accounts.insert(self.account.clone());
        }
        if self.session.is_empty() { self.login() } else { Ok(()) }
    }

    fn act(&mut self) -> Result<(), Failure> {
        match self.random.below(100) {
            0..2 => self.login(),
            2..9 => self.remove_version(),
            9..11 => self.remove_file(),
            11..18 => self.read_back(),
            18..30 => self.put_object(),
            30..36 => self.remove_object(),
            _ => self.upload(),
        }
    }

    /// A login on a device that is signed in revokes the old session at once.
    fn login(&mut self) -> Result<(), Failure> {
        self.own(|device| device.unsure = true);
        let (session, _) = api::login(&mut self.wire, &self.account, PASSWORD, &self.device)?;
        self.own(|device| (device.unsure, device.session) = (false, Some(session.clone())));
        let old = std::mem::replace(&mut self.session, session);
        if old.is_empty() {
            return Ok(());
        }
        match api::devices(&mut self.wire, &old) {
            Err(Failure::Refused(401, _)) => Ok(()),
            Err(failure) => Err(failure),
            Ok(_) => Err(Failure::Refused(200, "a session replaced by a login is still accepted".into())),
        }
    }

    fn upload(&mut self) -> Result<(), Failure> {
        let content = self.choose_content();
        let bytes = content.bytes();
        let path = self.choose_path();
        let (size, hash) = (bytes.len() as u64, sha256_hex(&bytes));
        let claim = Claim { file: (self.device.clone(), path.clone()), size, hash };
        let floor = {
            let mut ledger = self.shared.ledger();
            ledger.sending(claim.clone());
            ledger.highest()
        };
        let declared = self.random.chance(50).then_some(claim.hash.as_str());
        let answer = api::upload(&mut self.wire, &self.session, &path, declared, &bytes)?;
        self.shared.ledger().acknowledged(&claim, &answer, floor);
        self.sent.push(content);
        Ok(())
    }

    fn remove_version(&mut self) -> Result<(), Failure> {
        let Some(version) = self.choose_live() else { return Ok(()) };
        self.shared.ledger().removing(&[version]);
        api::remove_version(&mut self.wire, &self.session, version)?;
        self.shared.ledger().removed(&[version]);
        Ok(())
    }

    fn remove_file(&mut self) -> Result<(), Failure> {
        let Some(version) = self.choose_live() else { return Ok(()) };
        let (file, versions) = self.shared.ledger().file_of(version);
        self.shared.ledger().removing(&versions);
        api::remove_file(&mut self.wire, &self.session, file)?;
        self.shared.ledger().removed(&versions);
        Ok(())
    }

    /// As restic does it: a pack or a lock, under the name its content has.
    fn put_object(&mut self) -> Result<(), Failure> {
        let kind = if self.random.chance(30) { "locks" } else { "data" };
        let most = *self.random.pick(&[200, 20_000, 200_000, 2_500_000]);
        let size = if self.shared.take_bytes(most) { self.random.below(most) } else { self.random.below(500) };
        let mut body = vec![0; size as usize + 8];
        self.random.fill(&mut body);
        let object = objects::named(kind, &body);
        self.shared.ledger().objects.enter(&self.account, &object, Standing::Unsure);
        objects::put(&mut self.wire, &self.account, &object, &body)?;
        self.shared.ledger().objects.enter(&self.account, &object, Standing::There);
        self.objects.push(object);
        Ok(())
    }

    fn remove_object(&mut self) -> Result<(), Failure> {
        if self.objects.is_empty() {
            return Ok(());
        }
        let object = self.objects.swap_remove(self.random.below(self.objects.len() as u64) as usize);
        self.shared.ledger().objects.enter(&self.account, &object, Standing::Unsure);
        objects::remove(&mut self.wire, &self.account, &object)?;
        self.shared.ledger().objects.enter(&self.account, &object, Standing::Gone);
        Ok(())
    }

    fn read_back(&mut self) -> Result<(), Failure> {
        let Some(version) = self.choose_live() else { return Ok(()) };
        let expected = {
            let ledger = self.shared.ledger();
            (ledger.versions[&version].size, ledger.versions[&version].hash.clone())
        };
        let got = api::download(&mut self.wire, &self.session, version)?;
        if got == expected {
            return Ok(());
        }
        Err(Failure::Refused(200, format!("version {version} is {got:?} and should be {expected:?}")))
    }

    fn choose_live(&mut self) -> Option<u64> {
        let live = self.shared.ledger().live_of(&self.device);
        if live.is_empty() { None } else { Some(*self.random.pick(&live)) }
    }

    fn choose_path(&mut self) -> String {
        let folder = *self.random.pick(&["docs", "bilder/größe", "a+b %41", "C:\\Users\\Ann"]);
        format!("/{folder}/{}.dat", self.random.below(60))
    }

    /// Mostly small, sometimes large, sometimes known, sometimes known with an insertion in front.
    fn choose_content(&mut self) -> Content {
        if !self.sent.is_empty() && self.random.chance(15) {
            let mut again = self.random.pick(&self.sent).clone();
            if self.shared.take_bytes(again.size as u64) {
                if self.random.chance(50) {
                    again.inserted = vec![7; 1 + self.random.below(3000) as usize];
                }
                return again;
            }
        }
        let most = match self.random.below(100) {
            0..5 => 1,
            5..60 => 4 << 10,
            60..88 => 64 << 10,
            88..96 => 1 << 20,
            _ => 6 << 20,
        };
        let mut size = self.random.below(most);
        if !self.shared.take_bytes(size) {
            size = self.random.below(2000);
        }
        Content { seed: self.random.next(), size: size as usize, text: self.random.chance(30), inserted: Vec::new() }
    }

    fn own(&self, change: impl FnOnce(&mut crate::kit::ledger::Device)) {
        change(self.shared.ledger().devices.get_mut(&self.device).expect("our device"));
    }
}
