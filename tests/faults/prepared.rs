//! Small stores to start from, made once and copied for every fault.

use super::fault;
use crate::kit::api;
use crate::kit::http::Connection;
use crate::kit::ledger::{Claim, Ledger, PASSWORD};
use crate::kit::place::{self, Place};
use crate::kit::random::{Content, Random, sha256_hex};
use crate::kit::server::{Server, Start};
use std::path::{Path, PathBuf};

/// The device that asks in every trial.
pub const DEVICE: &str = "laptop";
/// An account that is registered in a trial, if at all.
pub const NEWCOMER: &str = "carl";

/// A ballast of the usual 64 MiB would be most of every trial.
const CONFIG: &str = "[storage]\nballast_mib = 1\n";

/// The server, as every trial starts it.
pub fn start_on(data: &Path) -> Start {
    Start::on(data).config(CONFIG).env("RUST_BACKTRACE", "0").env("RBACKUP_LOG", "warn")
}

/// A store as a stop or a kill left it.
#[derive(Clone)]
pub struct Base {
    /// The data directory; `None` for one that was never there.
    pub data: Option<PathBuf>,
    /// What it has promised.
    pub ledger: Ledger,
}

/// The library and the stores.
pub struct Prepared {
    /// Where everything lies.
    pub place: Place,
    /// `fault.c`, built.
    pub library: PathBuf,
    /// Nothing yet.
    pub empty: Base,
    /// After SIGTERM.
    pub stopped: Base,
    /// After SIGKILL, with changes since the last stop.
    pub killed: Base,
}

impl Prepared {
    /// Three short lives: stopped, killed, stopped. The copies carry what each left.
    pub fn new(seed: u64) -> Prepared {
        let place = Place::in_memory("faults");
        let library = fault::build_library(place.path());
        let data = place.path().join("prepared");
        let mut ledger = Ledger::default();
        for (device, account) in [(DEVICE, "anna"), ("phone", "anna"), ("nas", "bert"), ("tablet", NEWCOMER)] {
            ledger.add_device(device, account);
        }
        let empty = Base { data: None, ledger: ledger.clone() };
        let mut random = Random::new(seed);
        let server = live(&data, &mut ledger, &mut random);
        assert!(server.stop().expect("it stops when asked").success(), "SIGTERM is a clean stop");
        live(&data, &mut ledger, &mut random).kill();
        let killed = keep(&data, "killed", &ledger);
        let server = live(&data, &mut ledger, &mut random);
        assert!(server.stop().expect("it stops when asked").success(), "SIGTERM is a clean stop");
        let stopped = keep(&data, "stopped", &ledger);
        Prepared { place, library, empty, stopped, killed }
    }
}

fn keep(data: &Path, name: &str, ledger: &Ledger) -> Base {
    let kept = data.with_file_name(name);
    place::copy_tree(data, &kept);
    Base { data: Some(kept), ledger: ledger.clone() }
}

/// Registers, signs in, sends a few files, removes one.
fn live(data: &Path, ledger: &mut Ledger, random: &mut Random) -> Server {
    let server = start_on(data).serve().unwrap_or_else(|error| panic!("preparing: {error}"));
    let mut wire = Connection::open(server.address).expect("connect");
    let people: Vec<(String, String)> =
        ledger.devices.iter().map(|(name, it)| (name.clone(), it.account.clone())).collect();
    for (name, account) in people.into_iter().filter(|(_, account)| account != NEWCOMER) {
        if !ledger.accounts.contains(&account) {
            api::register(&mut wire, &account, PASSWORD).expect("register");
            ledger.accounts.insert(account.clone());
        }
        let (session, _) = api::login(&mut wire, &account, PASSWORD, &name).expect("sign in");
        ledger.devices.get_mut(&name).expect("a device of the ledger").session = Some(session.clone());
        for number in 0..3 {
            let size = [200, 9_000, 90_000][number];
            send(&mut wire, &session, (name.clone(), format!("/home/{number}")), size, ledger, random);
        }
    }
    let gone = ledger.live_of("phone")[0];
    let session = ledger.devices["phone"].session.clone().expect("it signed in");
    api::remove_version(&mut wire, &session, gone).expect("remove");
    ledger.removed(&[gone]);
    server
}

fn send(
    wire: &mut Connection,
    session: &str,
    file: (String, String),
    size: usize,
    ledger: &mut Ledger,
    random: &mut Random,
) {
    let bytes = Content { seed: random.next(), size, text: false, inserted: Vec::new() }.bytes();
    let claim = Claim { file, size: size as u64, hash: sha256_hex(&bytes) };
    let answer = api::upload(wire, session, &claim.file.1, None, &bytes).expect("upload");
    ledger.acknowledged(&claim, &answer, 0);
}
