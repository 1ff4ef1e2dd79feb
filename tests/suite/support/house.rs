//! A server as a child process on a data directory of its own, that never outlives its test.
//!
//! `stop` asks (SIGTERM) and wants exit 0; `kill` does not ask. When a `House` goes, its log is read: a secret that the
//! test used, in the clear or percent-encoded, or a panic, fails the test.

use super::curl::Curl;
use super::noise::percent_encoded;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A start or a stop that takes longer hangs; wide, because two cores may be busy with the rest of the suite.
const PATIENCE: Duration = Duration::from_secs(60);
/// A shorter text may stand in a log by accident.
const SECRET_BYTES_MIN: usize = 6;

/// A data directory and, most of the time, a server on it.
pub struct House {
    place: TempDir,
    running: Option<Running>,
    secrets: Mutex<BTreeSet<String>>,
    scratch: AtomicU64,
}

/// All lines of a server's stdout so far.
type Said = Arc<Mutex<String>>;

struct Running {
    child: Child,
    first_line: String,
    said: Said,
    url: String,
}

/// The program under test, for words that open no data directory; the others are for [`House::program`].
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rbackup"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RBACKUP_") {
            command.env_remove(name);
        }
    }
    command.env("RBACKUP_STATE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/nothing-to-remember"));
    command.stdin(Stdio::null());
    command
}

impl House {
    /// A server on an empty data directory.
    pub fn start() -> Self {
        let mut house = Self::empty();
        house.open();
        house
    }

    /// A place for a data directory, and no server.
    pub fn empty() -> Self {
        Self::in_place(TempDir::with_prefix_in("suite-", env!("CARGO_TARGET_TMPDIR")))
    }

    /// The same where other users of this machine can reach it.
    pub fn reachable() -> Self {
        let house = Self::in_place(TempDir::with_prefix("rbackup-suite-"));
        std::fs::set_permissions(house.place.path(), PermissionsExt::from_mode(0o711)).expect("others may pass");
        house
    }

    fn in_place(made: std::io::Result<TempDir>) -> Self {
        let place = made.expect("a directory for the test");
        Self { place, running: None, secrets: Mutex::default(), scratch: AtomicU64::new(0) }
    }

    /// Starts a server on the data that is there.
    pub fn open(&mut self) {
        self.open_with(&[]);
    }

    /// The same with more words on its command line.
    pub fn open_with(&mut self, words: &[&str]) {
        self.open_at("127.0.0.1:0", words);
    }

    /// The same where the test says.
    pub fn open_at(&mut self, listen: &str, words: &[&str]) {
        let mut command = self.program();
        command.args(["serve", "--listen", listen, "--data"]).arg(self.data()).args(words);
        self.spawn(command);
    }

    /// The same under a program that runs it in its own place (`strace -D`).
    pub fn open_under(&mut self, wrapper: &[&str]) {
        let bare = self.program();
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(bare.get_program()).args(["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(self.data());
        for (name, value) in bare.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        self.spawn(command);
    }

    fn spawn(&mut self, mut command: Command) {
        assert!(self.running.is_none(), "the house is open already");
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).expect("open the log");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the server starts");
        let (first_line, said) = first_line(&mut child);
        let url =
            first_line.split_once(" listening on ").and_then(|(_, rest)| rest.split(' ').next()).map(str::to_owned);
        assert!(url.is_some(), "the first line names no address: {first_line:?}\n{}", self.log());
        self.running = Some(Running { child, first_line, said, url: url.unwrap_or_default() });
    }

    /// SIGTERM; it has to end with 0.
    pub fn stop(&mut self) {
        signal("TERM", self.pid());
        self.wait();
    }

    /// Waits for a server that was told to stop; it has to end with 0.
    pub fn wait(&mut self) {
        let mut running = self.running.take().expect("a server that stops");
        let code = wait(&mut running.child);
        assert_eq!(code, Some(0), "a stop ends with 0\n{}", self.log());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut running = self.running.take().expect("a server to kill");
        running.child.kill().and_then(|()| running.child.wait()).expect("a killed child ends");
    }

    /// Stop and start.
    pub fn restart(&mut self) {
        self.stop();
        self.open();
    }

    /// Another command of the program on this data directory.
    pub fn run(&self, words: &[&str]) -> Output {
        self.program().args(words).arg("--data").arg(self.data()).output().expect("the program runs")
    }

    /// The program, which remembers its data directories in [`House::state`].
    pub fn program(&self) -> Command {
        let mut command = program();
        command.env("RBACKUP_STATE_DIR", self.state()).env("RBACKUP_CLOCK_SHIFT", self.beside("clock"));
        command
    }

    /// Makes it this second of 1970's count for the servers and commands of this house, from their next start.
    pub fn set_clock(&self, second: u64) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let shift = second as i64 - now as i64;
        std::fs::write(self.beside("clock"), shift.to_string()).expect("set the clock");
    }

    /// Lets time pass for the servers and commands of this house, and for nobody else.
    pub fn advance(&self, time: Duration) {
        let path = self.beside("clock");
        let before = std::fs::read_to_string(&path).ok().and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        let after = before + time.as_secs() as i64;
        let fresh = self.beside("clock.fresh");
        std::fs::write(&fresh, after.to_string()).and_then(|()| std::fs::rename(&fresh, &path)).expect("set the clock");
    }

    /// Another command of the program on this data directory, with these lines to read.
    pub fn run_reading(&self, words: &[&str], lines: &str) -> Output {
        use std::io::Write;
        let mut command = self.program();
        command.args(words).arg("--data").arg(self.data());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut pipe = child.stdin.take().expect("a piped stdin");
        let _ = pipe.write_all(lines.as_bytes());
        drop(pipe);
        child.wait_with_output().expect("the program ends")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// Where its servers remember which data directories they know.
    pub fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    /// A path beside the data directory, for the test's own files.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// What the server printed first.
    pub fn first_line(&self) -> &str {
        &self.running.as_ref().expect("a running server").first_line
    }

    /// What it printed on stdout; waits until `wanted` is part of it.
    pub fn said(&self, wanted: &str) -> String {
        let begun = Instant::now();
        let running = self.running.as_ref().expect("a running server");
        loop {
            let said = running.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if said.contains(wanted) {
                return said;
            }
            assert!(begun.elapsed() < PATIENCE, "the server did not say {wanted:?} but:\n{said}");
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> &str {
        self.running.as_ref().expect("a running server").url.trim_end_matches('/')
    }

    /// From now on whoever asks the server goes by this address.
    pub fn meet_at(&mut self, url: String) {
        self.running.as_mut().expect("a running server").url = url;
    }

    /// The same as `host:port`.
    pub fn address(&self) -> &str {
        self.url().trim_start_matches("http://").trim_start_matches("https://")
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("a running server").child.id()
    }

    /// Everything the servers of this house wrote to stderr.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// A text that must never stand in the log.
    pub fn secret(&self, text: &str) {
        if text.len() >= SECRET_BYTES_MIN {
            self.secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned());
        }
    }

    /// Forgets every secret: for the test that plants one.
    pub fn forget_secrets(&self) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// curl to a path (with its query) of this server.
    pub fn curl(&self, path_and_query: &str) -> Curl {
        let number = self.scratch.fetch_add(1, Ordering::Relaxed);
        Curl::new(format!("{}{path_and_query}", self.url()), self.beside(&format!("curl-{number}")))
    }

    fn log_path(&self) -> PathBuf {
        self.place.path().join("stderr.log")
    }

    /// The registered secrets that stand in the log, in the clear or percent-encoded.
    pub fn leaks(&self) -> Vec<String> {
        self.leaks_in(&self.log())
    }

    /// The same for any text.
    pub fn leaks_in(&self, log: &str) -> Vec<String> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |text: &&String| log.contains(text.as_str()) || log.contains(&percent_encoded(text.as_bytes()));
        secrets.iter().filter(told).cloned().collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = (running.child.kill(), running.child.wait());
        }
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", tail(&self.log(), 40));
            return;
        }
        assert!(!self.log().contains("panicked at"), "the server panicked:\n{}", tail(&self.log(), 40));
        let leaks = self.leaks();
        assert!(leaks.is_empty(), "secrets stand in the log: {leaks:?}");
    }
}

/// Bytes that a directory takes on its disk.
pub fn disk_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let held = std::fs::symlink_metadata(path).expect("look at the data directory");
    let own = held.blocks() * 512;
    if !held.is_dir() {
        return own;
    }
    own + std::fs::read_dir(path)
        .expect("read the data directory")
        .flatten()
        .map(|entry| disk_bytes(&entry.path()))
        .sum::<u64>()
}

/// Sends a signal by its name.
pub fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().expect("a shell");
    assert!(sent.success(), "kill -{name} {pid}");
}

/// Waits for a child; `None` when a signal ended it.
pub fn wait(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("wait for the child") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    let _ = child.kill();
    assert!(begun.elapsed() < PATIENCE, "the process did not end within {PATIENCE:?}");
    None
}

/// The first line of a child's stdout, and what it will have said; it is always read, so that it never blocks on a full pipe.
fn first_line(child: &mut Child) -> (String, Said) {
    let stdout = child.stdout.take().expect("a piped stdout");
    let (say, hear) = mpsc::channel();
    let said = Said::default();
    let kept = Arc::clone(&said);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push_str(&format!("{line}\n"));
            let _ = say.send(line);
        }
    });
    (hear.recv_timeout(PATIENCE).unwrap_or_default(), said)
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
