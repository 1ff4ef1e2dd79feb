//! One fault on trial: a server on a copy of a prepared store meets it, and is held against what it said.
//!
//! It may refuse (503, or 507 when the disk is full), and it may end; then it must say why. It may not panic outside of
//! sled, hang, fall to a signal, or answer anything else. Whatever it acknowledged, before and after, is looked for in
//! the store once a server without a fault has opened it, and `rbackup check` must find nothing.

use super::client::{Client, Told};
use super::fault::{Class, Control, Errno, Fault, Seen};
use super::operation::{Kind, Mode, Operation};
use super::prepared::{Base, NEWCOMER, Prepared, start_on};
use super::witness;
use crate::kit::place;
use crate::kit::server::{self, Ended, Server};
use crate::kit::verify::{Sample, verify};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// After a single fault, or once a full disk has room again, uploads must work within this time.
const PATIENCE: Duration = Duration::from_secs(6);
/// A start or a command that takes so long hangs.
const LIMIT: Duration = Duration::from_secs(40);

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What the server does.
    pub operation: Operation,
    /// How calls fail; for the report.
    pub mode: Mode,
    /// What fails.
    pub fault: Fault,
    /// Ends it one way or the other, and makes the contents.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the library saw.
    pub seen: Seen,
    /// Whether something was refused: a request, a start, a command.
    pub refused: bool,
    /// Whether the server ended by itself while it served.
    pub ended: bool,
    /// Panics that sled threw and the store caught.
    pub sled_panics: usize,
    /// Writes to a volume after a sync of it failed.
    pub late_writes: usize,
    /// What may not be.
    pub wrong: Vec<String>,
    /// What the library logged.
    pub faults: Vec<String>,
}

struct Trial {
    case: Case,
    data: PathBuf,
    control: Control,
    client: Client,
    outcome: Outcome,
}

/// Tries a case in a directory of its own, which goes away unless something was wrong and `RBACKUP_KEEP` is set.
pub fn run(prepared: &Prepared, case: Case, number: u64) -> Outcome {
    let home = prepared.place.path().join(format!("trial-{number}"));
    std::fs::create_dir(&home).expect("a directory for the trial");
    let data = home.join("data");
    let Base { data: base, ledger } = case.operation.base(prepared);
    if let Some(base) = base {
        place::copy_tree(base, &data);
    }
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let client = Client::new(nowhere, ledger.clone(), case.seed);
    let control = Control::new(&data, &prepared.library);
    let mut trial = Trial { case, data, control, client, outcome: Outcome::default() };
    if let Some(server) = trial.meet() {
        trial.afterwards(server);
    }
    trial.control.disarm();
    trial.testify();
    trial.recover();
    if trial.outcome.wrong.is_empty() || std::env::var_os("RBACKUP_KEEP").is_none() {
        let _ = std::fs::remove_dir_all(&home);
    }
    trial.outcome
}

impl Trial {
    /// Meets the fault; a server that lives is given back.
    fn meet(&mut self) -> Option<Server> {
        match self.case.operation.kind() {
            Kind::Start => {
                self.control.arm(self.case.fault);
                self.start_under_fault()
            }
            Kind::Request => {
                let mut server = self.start()?;
                self.control.wait_for_quiet();
                if self.case.operation.follows_a_failure() {
                    self.give_up_the_volume(&mut server)?;
                }
                self.control.arm(self.case.fault);
                let told = self.case.operation.ask(&mut self.client);
                let cut_is_fair = self.case.operation == Operation::Download && self.case.mode == Mode::Read;
                let alive = self.judge("the request", &told, &mut server, cut_is_fair);
                alive.then_some(server)
            }
            Kind::Stop => {
                let mut server = self.start()?;
                let told = self.client.upload(70_000);
                self.judge("an upload before the fault", &told, &mut server, false);
                self.control.wait_for_quiet();
                self.control.arm(self.case.fault);
                self.stop(server);
                None
            }
            Kind::Command(word) => {
                self.control.arm(self.case.fault);
                let start = start_on(&self.data).envs(self.control.environment());
                let status = start.run_for(&[word], LIMIT);
                self.note_seen();
                match status {
                    Some(status) => self.end_is_fair(word, status, &self.log_end()),
                    None => self.wrong(format!("{word} hangs: {}", self.log_end())),
                }
                None
            }
        }
    }

    /// An upload whose sync fails: nothing more may go to the volume it went to.
    fn give_up_the_volume(&mut self, server: &mut Server) -> Option<()> {
        self.control.arm(Fault { class: Class::Syncs, nth: 1, sticky: true, ..Fault::NONE });
        let told = self.client.upload(700);
        self.control.wait_for_quiet();
        if !matches!(told, Told::Refused(503, _)) {
            self.wrong(format!("an upload whose sync failed: {told:?}"));
        }
        (self.outcome.wrong.is_empty() && !server.died()).then_some(())
    }

    /// A start that the fault does not meet.
    fn start(&mut self) -> Option<Server> {
        let start = start_on(&self.data).envs(self.control.environment()).envs(self.case.operation.environment());
        match start.serve() {
            Ok(server) => {
                self.client.move_to(server.address);
                Some(server)
            }
            Err(error) => {
                self.wrong(format!("a start before the fault: {error}"));
                None
            }
        }
    }

    fn start_under_fault(&mut self) -> Option<Server> {
        match start_on(&self.data).envs(self.control.environment()).spawn().outcome(LIMIT) {
            Ok(server) => {
                self.client.move_to(server.address);
                Some(server)
            }
            Err(Ended { status: Some(status), log_end }) => {
                self.note_seen();
                self.end_is_fair("the start", status, &log_end);
                None
            }
            Err(Ended { status: None, log_end }) => {
                self.note_seen();
                self.wrong(format!("the start hangs; its log ends:\n{log_end}"));
                None
            }
        }
    }

    /// What a server that lived through it must still do, and its end.
    fn afterwards(&mut self, mut server: Server) {
        let fault = self.case.fault;
        if !fault.sticky {
            self.note_seen();
            self.control.disarm();
            if !self.uploads_again(&mut server, "after a single fault") {
                return;
            }
            // A refusal that the acknowledgement above has overtaken must not be seen.
            let sample = Sample::These(vec![self.client.ledger.highest()]);
            if let Err(wrong) = verify(server.address, &mut self.client.ledger, &sample) {
                self.wrong(format!("in the same process: {}", wrong.join("\n")));
            }
        } else {
            self.under_a_sticky_fault(&mut server);
            self.note_seen();
            if fault.errno == Errno::Enospc || self.case.seed & 2 == 0 {
                self.control.disarm();
            }
            if fault.errno == Errno::Enospc && !self.uploads_again(&mut server, "with room again") {
                return;
            }
        }
        if server.died() {
            self.outcome.ended = true;
        } else if self.case.seed & 1 == 0 {
            server.kill();
        } else {
            self.stop(server);
        }
    }

    /// Reads must go on: the fault is one of writing.
    fn under_a_sticky_fault(&mut self, server: &mut Server) {
        let told = self.client.arrive();
        if !self.judge("arriving while everything fails", &told, server, false) || told != Told::Done {
            return;
        }
        let told = self.client.upload(900);
        if !self.judge("an upload while everything fails", &told, server, false) {
            return;
        }
        let reads = [
            self.client.list(),
            if self.case.operation == Operation::FirstStart { Told::Done } else { self.client.download() },
        ];
        for told in reads.into_iter().filter(|told| *told != Told::Done) {
            if self.judge("a read while writes fail", &told, server, false) {
                self.wrong(format!("a read while writes fail: {told:?}"));
            }
        }
    }

    /// Asks for a small upload until it is done. False when the server is gone.
    fn uploads_again(&mut self, server: &mut Server, when: &str) -> bool {
        let begun = Instant::now();
        loop {
            let mut told = self.client.arrive();
            if told == Told::Done {
                told = self.client.upload(800);
            }
            if !self.judge(&format!("an upload {when}"), &told, server, false) {
                return false;
            }
            if told == Told::Done {
                return true;
            }
            if begun.elapsed() > PATIENCE {
                self.wrong(format!("no upload worked {when} for {PATIENCE:?}: {told:?}"));
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether a request was told something fair; false when the server is gone.
    fn judge(&mut self, what: &str, told: &Told, server: &mut Server, cut_is_fair: bool) -> bool {
        let full = self.case.fault.errno == Errno::Enospc;
        match told {
            Told::Done => true,
            Told::Refused(status, _) if *status == 503 || (full && *status == 507) => {
                self.outcome.refused = true;
                true
            }
            Told::Refused(status, body) => {
                self.outcome.refused = true;
                self.wrong(format!("{what} was answered {status}: {body}"));
                true
            }
            Told::Cut(error) => {
                self.outcome.refused = true;
                // The socket goes a moment before the process does.
                std::thread::sleep(Duration::from_millis(100));
                if server.died() {
                    self.note_seen();
                    self.outcome.ended = true;
                    return false;
                }
                if !cut_is_fair {
                    self.wrong(format!("{what} was cut by a server that lives: {error}"));
                }
                true
            }
        }
    }

    /// SIGTERM. When it ends with 0, it ended in good order.
    fn stop(&mut self, server: Server) {
        let stopped = server.stop();
        self.note_seen();
        match stopped {
            Ok(status) if status.success() => self.client.nothing_surfaces(),
            Ok(status) => {
                self.end_is_fair("the stop", status, &self.log_end());
            }
            Err(error) => self.wrong(format!("SIGTERM: {error}")),
        }
    }

    /// An end that says why, with a code of its own. What cannot be read is damage; a write that is not answered is none.
    fn end_is_fair(&mut self, what: &str, status: ExitStatus, said: &str) {
        if status.success() {
            return;
        }
        self.outcome.refused = true;
        let Case { operation, fault, .. } = self.case;
        let fair: &[i32] = match (fault.errno, fault.class) {
            (Errno::Eio, Class::Reads) => &[1, 15],
            (Errno::Eio, _) => &[1],
            // What a stop still had to write was refused long before it.
            (Errno::Enospc, _) if operation.kind() == Kind::Stop || fault.sticky => &[1, 14],
            (Errno::Enospc, _) => &[14],
        };
        if let Some(signal) = status.signal() {
            self.wrong(format!("{what} fell to signal {signal}: {said}"));
        } else if !status.code().is_some_and(|code| fair.contains(&code)) {
            self.wrong(format!("{what} ended with {status}, not {fair:?}: {said}"));
        } else if said.trim().is_empty() {
            self.wrong(format!("{what} ended with {status} and said nothing"));
        }
    }

    fn note_seen(&mut self) {
        self.outcome.seen = self.control.seen();
    }

    /// What log and library have to say.
    fn testify(&mut self) {
        let log = std::fs::read(self.data.with_extension("log")).unwrap_or_default();
        let panics = witness::panics(&String::from_utf8_lossy(&log));
        self.outcome.sled_panics = panics.of_sled;
        self.outcome.faults = self.control.said("fault");
        self.outcome.late_writes =
            self.control.said("late: ").into_iter().filter(|line| line.contains(" volumes/")).count();
        panics.others.into_iter().for_each(|line| self.wrong(line));
    }

    /// A server without the fault, on the same directory: it starts, has everything, takes more, stops; nothing is damaged.
    fn recover(&mut self) {
        let server = match start_on(&self.data).serve() {
            Ok(server) => server,
            Err(error) => return self.wrong(format!("the start without the fault: {error}")),
        };
        if let Err(wrong) = verify(server.address, &mut self.client.ledger, &Sample::All) {
            self.wrong(format!("afterwards: {}", wrong.join("\n")));
        }
        self.client.move_to(server.address);
        let newcomer_is_next =
            self.case.operation == Operation::Register && !self.client.ledger.accounts.contains(NEWCOMER);
        let mut told = vec![self.client.arrive(), self.client.upload(500)];
        if newcomer_is_next {
            told.push(self.client.register(NEWCOMER));
        }
        told.into_iter()
            .filter(|told| *told != Told::Done)
            .for_each(|told| self.wrong(format!("afterwards: {told:?}")));
        match server.stop() {
            Ok(status) if status.success() => {}
            other => self.wrong(format!("the stop without the fault: {other:?}")),
        }
        match start_on(&self.data).run_for(&["check"], LIMIT) {
            Some(status) if status.success() => {}
            other => self.wrong(format!("check: {other:?}: {}", self.log_end())),
        }
    }

    fn log_end(&self) -> String {
        server::tail(&self.data.with_extension("log"))
    }

    /// Noted once: who asks again and again is told the same again and again.
    fn wrong(&mut self, what: String) {
        let what = witness::without_numbers_of_requests(&what);
        if !self.outcome.wrong.contains(&what) {
            self.outcome.wrong.push(what);
        }
    }
}
