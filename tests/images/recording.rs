//! Runs a server under the recorder, with clients, and keeps everything needed to cut the power at any point.

use super::history::{self, Deed, Event, Placed};
use super::log::{Call, Log};
use super::tree::{self, Tree};
use crate::kit::api::{self, Failure};
use crate::kit::http::Connection;
use crate::kit::ledger::{Claim, Ledger, PASSWORD};
use crate::kit::objects::{self, Standing};
use crate::kit::random::{Content, Random, sha256_hex};
use crate::kit::server::Start;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// A ballast is part of the story, but not one of 64 MiB in every life and every image.
pub const CONFIG: &str = "[storage]\nballast_mib = 1\n";

/// Volumes of this size end many times in a life, and the catalog is written out so often that runs are merged.
const SMALL_VOLUME_KIB: &str = "768";

/// How large the volumes of a life get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volumes {
    /// As the product has them: a life ends before the first one does.
    Usual,
    /// Several in a life.
    Small,
}

/// How a recorded life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGTERM.
    Stopped,
    /// SIGKILL, with nothing under way.
    Killed,
}

/// One life of the server.
pub struct Recording {
    /// What was on the disk before it.
    pub base: Vec<(String, u64, Option<Vec<u8>>)>,
    /// What had been promised before it.
    pub before: Ledger,
    /// Every call.
    pub log: Log,
    /// Every request.
    pub placed: Vec<Placed>,
    /// What the directory was at the end.
    pub at_the_end: Tree,
}

impl Recording {
    /// How many volumes ended because they were full: the first one of a life is begun by its start.
    pub fn volumes_ended(&self) -> usize {
        let begun = |call: &Call| matches!(call, Call::Mkdir { path, .. } if path.starts_with("volumes/"));
        self.log.calls().filter(begun).count().saturating_sub(1)
    }

    /// How many runs of the catalog were merged into others, and went.
    pub fn runs_merged(&self) -> usize {
        let gone = |call: &Call| matches!(call, Call::Remove { path } if is_run(path));
        self.log.calls().filter(gone).count()
    }
}

/// Whether it is the directory of a run of the catalog, under whatever name.
fn is_run(path: &str) -> bool {
    path.strip_prefix("catalog/run-").is_some_and(|name| !name.contains('/'))
}

/// Builds the recorder; it needs a C compiler.
pub fn build_shim(place: &Path) -> PathBuf {
    let shim = place.join("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images/shim.c");
    let built = Command::new("gcc")
        .args(["-O2", "-Wall", "-shared", "-fPIC", "-o"])
        .arg(&shim)
        .args([source, "-lpthread"])
        .status();
    assert!(built.is_ok_and(|status| status.success()), "gcc builds tests/images/shim.c (apt-get install gcc)");
    shim
}

/// Several lives of one directory, each ending otherwise: fresh, after a kill, after a clean stop.
pub fn lives(place: &Path, shim: &Path, name: &str, seed: u64, volumes: Volumes) -> Vec<Recording> {
    let data = place.join(name);
    std::fs::create_dir(&data).expect("a directory for the data");
    let mut ledger = Ledger::default();
    for (device, account) in [("laptop", "anna"), ("phone", "anna"), ("nas", "bert")] {
        ledger.add_device(device, account);
    }
    let mut seeds = Random::new(seed);
    let ends = [End::Killed, End::Stopped, End::Killed];
    let mut record = |end| {
        let (recording, after) = record(&data, shim, ledger.clone(), seeds.next(), (volumes, end));
        ledger = after;
        recording
    };
    ends.into_iter().map(&mut record).collect()
}

/// One life: starts, works, ends.
pub fn record(
    data: &Path,
    shim: &Path,
    before: Ledger,
    seed: u64,
    (volumes, end): (Volumes, End),
) -> (Recording, Ledger) {
    let log_path = data.with_extension("calls");
    let _ = std::fs::remove_file(&log_path);
    let base = tree::inodes(data);
    let start = Start::on(data)
        .config(CONFIG)
        .env("LD_PRELOAD", shim)
        .env("RBACKUP_RECORD_DIR", data)
        .env("RBACKUP_RECORD_LOG", &log_path);
    let start = match volumes {
        Volumes::Usual => start,
        Volumes::Small => start.env("RBACKUP_VOLUME_KIB", SMALL_VOLUME_KIB),
    };
    let server = start.serve().unwrap_or_else(|error| unreachable!("recording: {error}"));
    let events = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (device, about) in &before.devices {
            let wire = Connection::open(server.address).expect("connect");
            let registered = before.accounts.contains(&about.account);
            let random = Random::new(seed ^ device.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte)));
            let session = about.session.clone().unwrap_or_default();
            let account = about.account.clone();
            let mut client = Client {
                wire,
                device: device.clone(),
                account,
                session,
                random,
                answers: 0,
                live: Vec::new(),
                objects: Vec::new(),
                log: log_path.clone(),
                events: &events,
            };
            scope.spawn(move || client.work(registered).unwrap_or_else(|failure| unreachable!("recording: {failure}")));
        }
    });
    match end {
        End::Stopped => assert!(server.stop().expect("it stops when asked").success(), "SIGTERM is a clean stop"),
        End::Killed => server.kill(),
    }
    let log = Log::read(&log_path);
    assert!(log.len() > 0, "the recorder saw nothing: is the server a static binary?");
    let placed = history::place(&events.into_inner().expect("no client panicked"), &log);
    let after = history::ledger_at(&before, &placed, usize::MAX, |event| event.answered);
    assert!(after.complaints.is_empty(), "{:?}", after.complaints);
    (Recording { base, before, log, placed, at_the_end: Tree::read(data) }, after)
}

/// One call of each kind, and what is left of it is there to be seen.
const PROGRAMS: &str = "set -e
    mkdir kept gone
    printf 'some bytes' >kept/file
    printf 'more bytes' >kept/before
    printf 'other bytes' >gone/file
    ln kept/file kept/link
    truncate -s 5 kept/file
    fallocate -l 9000 kept/room
    mv kept/before kept/after
    rm gone/file
    rmdir gone";

/// What a shell and the programs of every Debian do below `data`, which is made.
pub fn record_programs(data: &Path, shim: &Path) -> Recording {
    std::fs::create_dir(data).expect("a directory for the programs");
    let (base, log_path) = (tree::inodes(data), data.with_extension("calls"));
    let mut shell = Command::new("sh");
    shell.args(["-c", PROGRAMS]).current_dir(data);
    shell.env("LD_PRELOAD", shim).env("RBACKUP_RECORD_DIR", data).env("RBACKUP_RECORD_LOG", &log_path);
    assert!(shell.status().is_ok_and(|status| status.success()), "sh, coreutils and util-linux do their work");
    let log = Log::read(&log_path);
    Recording { base, before: Ledger::default(), log, placed: Vec::new(), at_the_end: Tree::read(data) }
}

struct Client<'a> {
    wire: Connection,
    device: String,
    account: String,
    session: String,
    random: Random,
    answers: usize,
    live: Vec<(u64, String)>,
    objects: Vec<String>,
    log: PathBuf,
    events: &'a Mutex<Vec<Event>>,
}

impl Client<'_> {
    fn work(&mut self, registered: bool) -> Result<(), Failure> {
        if !registered {
            let account = self.account.clone();
            self.asking(|client| {
                api::register(&mut client.wire, &account, PASSWORD).map(|_| Some(Deed::Register(account.clone())))
            })?;
        }
        if self.session.is_empty() {
            self.login()?;
        }
        for _ in 0..25 + self.random.below(15) {
            match self.random.below(100) {
                0..3 => self.login()?,
                3..14 => self.remove()?,
                14..30 => self.put_object()?,
                30..38 => self.remove_object()?,
                _ => self.upload()?,
            }
        }
        Ok(())
    }

    /// Notes where in the log a request began, and which answer was its.
    fn asking(&mut self, ask: impl FnOnce(&mut Self) -> Result<Option<Deed>, Failure>) -> Result<(), Failure> {
        let sent_bytes = std::fs::metadata(&self.log).map_or(0, |about| about.len());
        let deed = ask(self)?;
        let nth = self.answers;
        self.answers += 1;
        if let Some(deed) = deed {
            let event = Event { sent_bytes, port: self.wire.local_port, nth, deed };
            self.events.lock().expect("no client panicked").push(event);
        }
        Ok(())
    }

    fn login(&mut self) -> Result<(), Failure> {
        self.asking(|client| {
            let (session, _) = api::login(&mut client.wire, &client.account, PASSWORD, &client.device)?;
            client.session.clone_from(&session);
            Ok(Some(Deed::Login { device: client.device.clone(), session }))
        })
    }

    fn upload(&mut self) -> Result<(), Failure> {
        let most = *self.random.pick(&[1, 600, 600, 5_000, 5_000, 40_000, 300_000]);
        let most = if self.random.chance(3) { 1_500_000 } else { most };
        let size = self.random.below(most) as usize;
        // Few seeds: the same content comes again, and is then known.
        let content = Content { seed: self.random.below(12), size, text: self.random.chance(20), inserted: Vec::new() };
        let bytes = content.bytes();
        let path = format!("/home/{}", self.random.below(15));
        self.asking(|client| {
            let claim = Claim {
                file: (client.device.clone(), path.clone()),
                size: bytes.len() as u64,
                hash: sha256_hex(&bytes),
            };
            let answer = api::upload(&mut client.wire, &client.session, &path, None, &bytes)?;
            client.live.push((answer.version, path));
            Ok(Some(Deed::Upload { claim, answer }))
        })
    }

    fn put_object(&mut self) -> Result<(), Failure> {
        let kind = if self.random.chance(30) { "locks" } else { "data" };
        let most = *self.random.pick(&[1, 300, 5_000, 40_000, 300_000, 1_500_000]);
        let mut body = vec![0; self.random.below(most) as usize + 8];
        self.random.fill(&mut body);
        let object = objects::named(kind, &body);
        self.asking(|client| {
            objects::put(&mut client.wire, &client.account, &object, &body)?;
            client.objects.push(object.clone());
            Ok(Some(Deed::Object { account: client.account.clone(), object, standing: Standing::There }))
        })
    }

    fn remove_object(&mut self) -> Result<(), Failure> {
        if self.objects.is_empty() {
            return Ok(());
        }
        let object = self.objects.swap_remove(self.random.below(self.objects.len() as u64) as usize);
        self.asking(|client| {
            objects::remove(&mut client.wire, &client.account, &object)?;
            Ok(Some(Deed::Object { account: client.account.clone(), object, standing: Standing::Gone }))
        })
    }

    fn remove(&mut self) -> Result<(), Failure> {
        if self.live.is_empty() {
            return Ok(());
        }
        let (version, _) = self.live.swap_remove(self.random.below(self.live.len() as u64) as usize);
        self.asking(|client| {
            api::remove_version(&mut client.wire, &client.session, version)?;
            Ok(Some(Deed::Remove(vec![version])))
        })
    }
}
