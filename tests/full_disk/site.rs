//! One small disk, the server on it, and the ledger of what that server promised.
//!
//! The server's log and its memory of data directories lie on another disk, as they do in life. Nothing here judges the
//! server but the ledger: a refusal is handed back to whoever asked for it.

use super::foreign::{self, Filling};
use crate::kit::api::{self, Failure, Listed};
use crate::kit::http::Connection;
use crate::kit::ledger::{Claim, Ledger, PASSWORD};
use crate::kit::mount::Mount;
use crate::kit::place;
use crate::kit::random::{Random, sha256_hex};
use crate::kit::server::{self, START_LIMIT, Server, Start};
use crate::kit::verify::{Sample, Verified, verify};
use crate::load::{self, Plan};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The files of a whole ballast.
pub const BALLAST_FILES: usize = 16;
/// What a ballast has on a disk of these sizes.
pub const BALLAST_BYTES: u64 = 4 << 20;
/// A ballast is whole again so long after there is room: 15 s on a machine with nothing else to do; the table shows it.
pub const BALLAST_LIMIT: Duration = Duration::from_secs(60);

/// Dozens of volumes on such a disk.
const SMALL_VOLUME_KIB: &str = "1024";

/// Versions that make a loss visible.
const WORK_VERSIONS: usize = 30;

/// A disk with a server.
pub struct Site {
    // First: the server goes before its disk.
    server: Option<Server>,
    /// The disk.
    pub disk: Mount,
    /// What was promised.
    pub ledger: Ledger,
    /// Choices.
    pub random: Random,
    environment: Vec<(&'static str, PathBuf)>,
    newcomers: u64,
}

impl Site {
    /// An empty disk, no server yet.
    pub fn new(disk: Mount, seed: u64) -> Site {
        let environment = vec![("RBACKUP_STATE_DIR", disk.beside().join("state"))];
        Site { server: None, disk, ledger: load::people(), random: Random::new(seed), environment, newcomers: 0 }
    }

    /// The server's configuration file.
    pub fn configure(&mut self, text: &str) {
        let path = self.disk.beside().join("rbackup.toml");
        std::fs::write(&path, text).expect("write the configuration");
        self.environment.push(("RBACKUP_CONFIG", path));
    }

    /// Lets volumes end every second, which those of the usual size never do on such a disk.
    pub fn end_volumes_often(&mut self) {
        self.environment.push(("RBACKUP_VOLUME_KIB", SMALL_VOLUME_KIB.into()));
    }

    /// How many volumes there are.
    pub fn volumes(&self) -> usize {
        std::fs::read_dir(self.data().join("volumes")).map_or(0, |entries| entries.flatten().count())
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.disk.path().join("data")
    }

    fn start_in_preparation(&self) -> Start {
        let start = Start::on(&self.data()).log_to(&self.log());
        self.environment.iter().fold(start, |start, (name, value)| start.env(name, value))
    }

    /// Starts the server.
    pub fn start(&mut self) -> Result<(), String> {
        self.server = Some(self.start_in_preparation().serve()?);
        Ok(())
    }

    /// A start that must be refused because there is no room: exit 14 and a sentence.
    pub fn start_finds_no_room(&self) -> Result<(), String> {
        let (code, said) = self.start_in_preparation().spawn().refused(START_LIMIT)?;
        says_no_room(Some(code), &said).map_err(|wrong| format!("a start on a full disk: {wrong}"))
    }

    /// Starts on a disk that may be full. False when it was refused, and had no ballast left for it.
    pub fn start_if_there_is_ballast(&mut self) -> Result<bool, String> {
        let ended = match self.start_in_preparation().spawn().outcome(START_LIMIT) {
            Ok(server) => {
                self.server = Some(server);
                return Ok(true);
            }
            Err(ended) => ended,
        };
        let (files, bytes) = self.ballast();
        if files > 0 {
            let said = ended.log_end;
            return Err(format!("{files} files of ballast ({bytes} bytes) are left and it does not start: {said}"));
        }
        says_no_room(ended.status.and_then(|status| status.code()), &ended.log_end)?;
        Ok(false)
    }

    /// SIGTERM; anything but exit 0 is an error.
    pub fn stop(&mut self) -> Result<(), String> {
        let status = self.server.take().ok_or("no server runs")?.stop()?;
        if status.success() { Ok(()) } else { Err(format!("SIGTERM ended it with {status}")) }
    }

    /// SIGTERM, and any end will do.
    pub fn stop_somehow(&mut self) -> Result<(), String> {
        self.server.take().ok_or("no server runs")?.stop().map(drop)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// The running server.
    pub fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("a server runs")
    }

    /// Does it still run?
    pub fn runs(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| !server.died())
    }

    /// Another command of the program, on this data directory.
    pub fn command(&self, words: &[&str]) -> (Option<i32>, String) {
        let environment: Vec<_> = self.environment.iter().map(|(name, value)| (*name, value.as_path())).collect();
        server::command_in(&self.data(), words, &environment)
    }

    /// A new connection.
    pub fn wire(&mut self) -> Result<Connection, String> {
        Connection::open(self.server().address).map_err(|error| format!("connect: {error}"))
    }

    /// Everybody works on a disk that has room, until there is enough to lose: on a slow machine a moment stores nothing.
    pub fn work(&mut self) -> Result<(), String> {
        let (begun, before) = (Instant::now(), self.ledger.versions.len());
        while self.ledger.versions.len() < before + WORK_VERSIONS {
            if begun.elapsed() > START_LIMIT {
                return Err(format!("{} versions in {START_LIMIT:?}", self.ledger.versions.len() - before));
            }
            let plan = Plan::sure(self.random.next());
            let Site { server, ledger, .. } = self;
            load::run_for(server.as_ref().expect("a server runs"), ledger, &plan, Duration::from_millis(200));
        }
        Ok(())
    }

    /// What a person wants to know when something went wrong here.
    pub fn state(&self) -> String {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let loud = |line: &&str| (line.contains("ERROR") || line.contains("WARN")) && !line.contains("request refused");
        let loud: Vec<&str> = log.lines().filter(loud).collect();
        // How it began and how it ended; a full disk is complained about again and again.
        let last = loud.len().saturating_sub(8).max(16.min(loud.len()));
        let shown: Vec<&str> = loud[..16.min(loud.len())].iter().chain(&loud[last..]).copied().collect();
        let (files, bytes) = self.ballast();
        let room = self.disk.room();
        format!(
            "{room:?}, ballast {files} files, {bytes} bytes; {} complaints in the log:\n    {}",
            loud.len(),
            shown.join("\n    ")
        )
    }

    fn log(&self) -> PathBuf {
        self.disk.beside().join("server.log")
    }

    /// The whole ledger against the running server.
    pub fn verify_all(&mut self) -> Result<Verified, String> {
        let address = self.server().address;
        verify(address, &mut self.ledger, &Sample::All).map_err(|wrong| wrong.join("\n"))
    }

    /// Files and allocated bytes of the ballast.
    pub fn ballast(&self) -> (usize, u64) {
        let folder = self.data().join("ballast");
        let files = std::fs::read_dir(&folder).map_or(0, |entries| entries.flatten().count());
        (files, place::allocated_bytes(&folder))
    }

    /// Waits until the ballast is whole, counting from `since`; gives the seconds.
    pub fn ballast_is_whole(&self, since: Instant) -> Result<f64, String> {
        loop {
            let (files, bytes) = self.ballast();
            if files == BALLAST_FILES && bytes >= BALLAST_BYTES {
                return Ok(since.elapsed().as_secs_f64());
            }
            if since.elapsed() > BALLAST_LIMIT {
                return Err(format!(
                    "{BALLAST_LIMIT:?} after there was room the ballast has {files} files, {bytes} bytes"
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Fills the disk.
    pub fn fill(&self, filling: Filling) {
        foreign::fill(&self.disk, filling);
    }

    /// A device that is signed in, and its session.
    pub fn signed_in(&self) -> Option<(String, String)> {
        let mut all = self.ledger.devices.iter();
        all.find_map(|(name, device)| Some((name.clone(), device.session.clone()?)))
    }

    /// A new account with a signed-in device.
    pub fn newcomer(&mut self, wire: &mut Connection) -> Result<(), Failure> {
        self.newcomers += 1;
        let (account, device) = (format!("newcomer-{}", self.newcomers), format!("first device-{}", self.newcomers));
        api::register(wire, &account, PASSWORD)?;
        self.ledger.accounts.insert(account.clone());
        self.ledger.add_device(&device, &account);
        self.sign_in(wire, &device)
    }

    /// A login, of a new device or again.
    pub fn sign_in(&mut self, wire: &mut Connection, name: &str) -> Result<(), Failure> {
        let device = self.ledger.devices.get_mut(name).expect("a device of the ledger");
        device.unsure = true;
        let (session, _) = api::login(wire, &device.account, PASSWORD, name)?;
        (device.unsure, device.session) = (false, Some(session));
        Ok(())
    }

    /// An upload. When it is refused it is not under way any more, and must not be there.
    pub fn upload(&mut self, wire: &mut Connection, path: &str, bytes: &[u8]) -> Result<Listed, Failure> {
        let (device, session) = self.signed_in().expect("a device is signed in");
        let claim = Claim { file: (device, path.to_owned()), size: bytes.len() as u64, hash: sha256_hex(bytes) };
        let floor = self.ledger.highest();
        self.ledger.sending(claim.clone());
        let answer = api::upload(wire, &session, path, None, bytes);
        match &answer {
            Ok(listed) => self.ledger.acknowledged(&claim, listed, floor),
            Err(Failure::Refused(..)) => self.ledger.no_longer_sending(&claim),
            Err(Failure::Cut(_)) => {}
        }
        answer
    }

    /// Removes a version, or the whole file it belongs to.
    pub fn remove(&mut self, wire: &mut Connection, version: u64, whole_file: bool) -> Result<(), Failure> {
        let device = &self.ledger.versions[&version].file.0;
        let account = &self.ledger.devices[device].account;
        let signed_in =
            |(_, other): &(&String, &crate::kit::ledger::Device)| other.account == *account && other.session.is_some();
        let session = self.ledger.devices.iter().find(signed_in).and_then(|(_, other)| other.session.clone());
        let session = session.expect("the account is signed in somewhere");
        let (file, of_file) = self.ledger.file_of(version);
        let versions = if whole_file { of_file } else { vec![version] };
        self.ledger.removing(&versions);
        let answer = match whole_file {
            true => api::remove_file(wire, &session, file),
            false => api::remove_version(wire, &session, version),
        };
        match &answer {
            Ok(()) => self.ledger.removed(&versions),
            Err(Failure::Refused(..)) => self.ledger.kept(&versions),
            Err(Failure::Cut(_)) => {}
        }
        answer
    }
}

/// Exit 14, and words about the reason.
pub fn says_no_room(code: Option<i32>, said: &str) -> Result<(), String> {
    match code {
        Some(14) if said.contains("space") => Ok(()),
        Some(14) => Err(format!("exit 14 without a sentence about space: {said}")),
        _ => Err(format!("exit {code:?} instead of 14: {said}")),
    }
}
