//! A server with a little data behind it, the ledger of what it promised, and clients that upload while something is held.

use crate::kit::api::{self, Failure, Listed};
use crate::kit::http::Connection;
use crate::kit::ledger::{Claim, Ledger, PASSWORD};
use crate::kit::place::Place;
use crate::kit::random::{Random, run_seed, sha256_hex};
use crate::kit::server::{Server, Start};
use crate::kit::verify::{Sample, verify};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const DEVICE: &str = "laptop";

/// One server on a place of its own; one account, one device, everything that was promised to it.
pub struct House {
    server: Option<Server>,
    /// Where everything lies.
    pub place: Place,
    /// What was promised.
    pub ledger: Ledger,
    /// The device's session.
    pub session: String,
    /// The version of a file of 2 MiB.
    pub large: u64,
    random: Random,
    config: String,
}

/// An upload that somebody waits for.
pub struct Waiting {
    claim: Claim,
    answer: JoinHandle<Result<Listed, Failure>>,
}

impl House {
    /// A fresh server with this configuration, an account, and two files.
    pub fn new(name: &str, config: &str) -> House {
        let place = Place::on_disk(name);
        let server = start(&place, config);
        let mut wire = Connection::open(server.address).expect("connect");
        api::register(&mut wire, "anna", PASSWORD).expect("register");
        let (session, _) = api::login(&mut wire, "anna", PASSWORD, DEVICE).expect("login");
        let mut ledger = Ledger::default();
        ledger.add_device(DEVICE, "anna");
        ledger.accounts.insert("anna".into());
        ledger.devices.get_mut(DEVICE).expect("our device").session = Some(session.clone());
        let random = Random::new(run_seed(name));
        let config = config.to_owned();
        let mut house = House { server: Some(server), place, ledger, session, large: 0, random, config };
        house.large = house.upload("/large", 2 << 20);
        house.upload("/small", 2000);
        house
    }

    /// The process.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("a running server")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server().address
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// Everything the servers here wrote to stderr.
    pub fn log(&self) -> String {
        std::fs::read_to_string(Start::on(&self.data()).log()).unwrap_or_default()
    }

    /// An upload that has to succeed: its version.
    pub fn upload(&mut self, path: &str, size: usize) -> u64 {
        let waiting = self.send(path, size);
        self.answered(waiting).unwrap_or_else(|failure| unreachable!("{path}: {failure}"))
    }

    /// Sends an upload of new bytes on a thread of its own.
    pub fn send(&mut self, path: &str, size: usize) -> Waiting {
        let mut bytes = vec![0; size];
        self.random.fill(&mut bytes);
        let file = (DEVICE.to_owned(), path.to_owned());
        let claim = Claim { file, size: size as u64, hash: sha256_hex(&bytes) };
        self.ledger.sending(claim.clone());
        let (address, session, path) = (self.address(), self.session.clone(), path.to_owned());
        let answer = std::thread::spawn(move || {
            let mut wire = Connection::open(address)?;
            api::upload(&mut wire, &session, &path, None, &bytes)
        });
        Waiting { claim, answer }
    }

    /// Waits for its answer and enters it into the ledger.
    pub fn answered(&mut self, waiting: Waiting) -> Result<u64, Failure> {
        let answer = waiting.answer.join().expect("an upload's thread does not panic");
        match &answer {
            Ok(listed) => self.ledger.acknowledged(&waiting.claim, listed, 0),
            Err(Failure::Refused(..)) => self.ledger.no_longer_sending(&waiting.claim),
            Err(Failure::Cut(_)) => {}
        }
        answer.map(|listed| listed.version)
    }

    /// Everything that was promised is there, and nothing else.
    pub fn verify(&mut self) -> Result<(), String> {
        verify(self.address(), &mut self.ledger, &Sample::All).map(drop).map_err(|wrong| wrong.join("\n"))
    }

    /// SIGTERM, and how it ended.
    pub fn stop(&mut self) -> Result<ExitStatus, String> {
        self.server.take().expect("a running server").stop()
    }

    /// How a server ends that has been asked to.
    pub fn ended(&mut self) -> Result<ExitStatus, String> {
        self.server.take().expect("a server that ends").ended()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.server.take().expect("a running server").kill();
    }

    /// Another server on the same data.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "the one before has ended");
        self.server = Some(start(&self.place, &self.config));
    }

    /// So many clients, each sending small files one after the other: how many were acknowledged.
    pub fn upload_for(&mut self, clients: u64, time: Duration) -> usize {
        let (address, begun) = (self.address(), Instant::now());
        let work = |number: u64| {
            let (session, mut random) = (self.session.clone(), Random::new(self.random.next()));
            std::thread::spawn(move || {
                let mut wire = Connection::open(address).expect("connect");
                let mut done = Vec::new();
                while begun.elapsed() < time {
                    let mut bytes = vec![0; 1 + random.below(4000) as usize];
                    random.fill(&mut bytes);
                    let path = format!("/many/{number}/{}", done.len() % 5);
                    let file = (DEVICE.to_owned(), path.clone());
                    let claim = Claim { file, size: bytes.len() as u64, hash: sha256_hex(&bytes) };
                    let answer = api::upload(&mut wire, &session, &path, None, &bytes);
                    done.push((claim, answer.unwrap_or_else(|failure| unreachable!("{path}: {failure}"))));
                }
                done
            })
        };
        let working: Vec<_> = (0..clients).map(work).collect();
        let done: Vec<_> = working.into_iter().flat_map(|one| one.join().expect("no client panics")).collect();
        done.iter().for_each(|(claim, answer)| self.ledger.acknowledged(claim, answer, 0));
        done.len()
    }
}

impl Waiting {
    /// Has it been answered?
    pub fn is_answered(&self) -> bool {
        self.answer.is_finished()
    }
}

fn start(place: &Place, config: &str) -> Server {
    let start = Start::on(&place.path().join("data")).config(config);
    start.serve().unwrap_or_else(|error| unreachable!("start: {error}"))
}

/// Asks for the beginning of an answer to an upload whose body is never sent: its status, if one comes in time.
pub fn upload_head(address: SocketAddr, session: &str, patience: Duration) -> Option<(u16, String)> {
    let mut wire = Connection::open(address).ok()?;
    wire.be_patient_for(patience);
    let answer =
        wire.send_from("PUT", "/upload?file_path=/never-sent", &[("RBackup-Session-Pass", session)], 1 << 30, |_| {
            Ok(())
        });
    let answer = answer.ok()?;
    Some((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
}
