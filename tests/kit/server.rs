//! A server as a child process, on a port of its own, that never outlives the harness.
//!
//! It is stopped in two ways, and the difference is what these harnesses are about: `stop` asks (SIGTERM), `kill` does
//! not (SIGKILL). Its log goes to a file beside the data directory and is shown when a start fails; what it remembers of
//! its data directory goes there too, so that no harness ever writes to the home directory.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a start may take before the harness calls it hung.
pub const START_LIMIT: Duration = Duration::from_secs(60);

/// The program under test: `RBACKUP_BIN`, or the one cargo built for this test.
pub fn program() -> PathBuf {
    std::env::var_os("RBACKUP_BIN")
        .map(PathBuf::from)
        .or_else(|| option_env!("CARGO_BIN_EXE_rbackup").map(PathBuf::from))
        .expect("RBACKUP_BIN names the server, or cargo built `rbackup` in this package")
}

/// A start in preparation.
pub struct Start {
    data: PathBuf,
    state: PathBuf,
    log: PathBuf,
    wrapper: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    configured: bool,
}

/// A server that has been spawned and has not yet said that it listens.
pub struct Starting {
    child: Child,
    wrapped: bool,
    first_line: mpsc::Receiver<String>,
    log: PathBuf,
    log_bytes_before: u64,
}

/// A server that did not come to listen.
#[derive(Debug)]
pub struct Ended {
    /// How it ended; `None` when it was still at it and had to be killed.
    pub status: Option<ExitStatus>,
    /// The end of its log.
    pub log_end: String,
}

/// A server that listens.
pub struct Server {
    child: Child,
    pid: u32,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its first line on stdout.
    pub first_line: String,
}

impl Start {
    /// `rbackup serve --listen 127.0.0.1:0 --data DATA`.
    pub fn on(data: &Path) -> Start {
        let (data, state, log) = (data.to_owned(), data.with_extension("state"), data.with_extension("log"));
        Start { data, state, log, wrapper: Vec::new(), environment: Vec::new(), configured: false }
    }

    /// Where it remembers the data directories it knows; beside the data directory unless told otherwise.
    pub fn state(mut self, directory: &Path) -> Start {
        self.state = directory.to_owned();
        self
    }

    /// Where its log goes: for a data directory whose disk is to fail.
    pub fn log_to(mut self, file: &Path) -> Start {
        self.log = file.to_owned();
        self
    }

    /// Runs it under another program (strace, a shell that joins a cgroup).
    pub fn under<S: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = S>) -> Start {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// Adds to the server's environment.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Start {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Adds several.
    pub fn envs<V: Into<OsString>>(self, more: impl IntoIterator<Item = (&'static str, V)>) -> Start {
        more.into_iter().fold(self, |start, (name, value)| start.env(name, value))
    }

    /// Gives it a configuration file, which lies beside the data directory.
    pub fn config(mut self, text: &str) -> Start {
        std::fs::write(self.data.with_extension("toml"), text).expect("write the configuration");
        self.configured = true;
        self
    }

    /// The process, its words and its surroundings; what it says on stderr goes to its log.
    fn process(&self, words: &[&str]) -> Command {
        let log = OpenOptions::new().create(true).append(true).open(self.log()).expect("open the server's log");
        let mut all = self.wrapper.clone();
        all.push(program().into());
        let mut command = Command::new(&all[0]);
        command.args(&all[1..]).args(words).arg("--data").arg(&self.data);
        if self.configured {
            command.arg("--config").arg(self.data.with_extension("toml"));
        }
        command.env("RBACKUP_STATE_DIR", &self.state).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        command
    }

    /// Where everything that it says on stderr is kept.
    pub fn log(&self) -> PathBuf {
        self.log.clone()
    }

    /// Starts the process without waiting for it.
    pub fn spawn(self) -> Starting {
        let log = self.log();
        let log_bytes_before = log.metadata().map_or(0, |about| about.len());
        let mut command = self.process(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.spawn().unwrap_or_else(|error| unreachable!("{command:?} does not start: {error}"));
        let stdout = child.stdout.take().expect("a piped stdout");
        let (say, first_line) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = say.send(line);
            }
        });
        Starting { child, wrapped: !self.wrapper.is_empty(), first_line, log, log_bytes_before }
    }

    /// Runs another command on the data directory and kills it after `time`: its exit when it was faster.
    pub fn run_for(self, words: &[&str], time: Duration) -> Option<ExitStatus> {
        let mut child = self.process(words).stdout(Stdio::null()).spawn().expect("the program starts");
        let begun = Instant::now();
        let mut ended = None;
        while ended.is_none() && begun.elapsed() < time {
            std::thread::sleep(time.saturating_sub(begun.elapsed()).min(Duration::from_millis(1)));
            ended = child.try_wait().ok().flatten();
        }
        let _ = child.kill();
        let _ = child.wait();
        ended
    }

    /// Starts it and waits until it listens; the error carries the end of its log.
    pub fn serve(self) -> Result<Server, String> {
        self.spawn().wait(START_LIMIT)
    }
}

impl Starting {
    /// Waits for the first line.
    pub fn wait(self, limit: Duration) -> Result<Server, String> {
        self.outcome(limit).map_err(|Ended { status, log_end }| {
            let how = status.map_or_else(|| format!("nothing within {limit:?}"), |status| status.to_string());
            format!("no first line, {how}; its log ends:\n{log_end}")
        })
    }

    /// Waits for the first line or for its end, whichever comes first.
    pub fn outcome(mut self, limit: Duration) -> Result<Server, Ended> {
        match self.first_line.recv_timeout(limit).ok().map(|line| (listen_address(&line), line)) {
            Some((Ok(address), first_line)) => {
                let pid = if self.wrapped { inner_pid(self.child.id()) } else { self.child.id() };
                Ok(Server { child: self.child, pid, address, first_line })
            }
            Some((Err(unclear), _)) => {
                self.end();
                Err(Ended { status: None, log_end: unclear })
            }
            None => {
                let status = self.wait_for_end();
                self.end();
                Err(Ended { status, log_end: tail(&self.log) })
            }
        }
    }

    /// Its stdout is closed, or it said nothing for too long: a process that ends does so soon.
    fn wait_for_end(&mut self) -> Option<ExitStatus> {
        let patience = Instant::now() + Duration::from_secs(2);
        while Instant::now() < patience {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }

    /// For a start that must be refused: its exit code and what it said. An error when it listens or hangs.
    pub fn refused(mut self, limit: Duration) -> Result<(i32, String), String> {
        let patience = Instant::now() + limit;
        while Instant::now() < patience {
            if let Ok(line) = self.first_line.try_recv() {
                self.end();
                return Err(format!("it started: {line}"));
            }
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                let said = std::fs::read(&self.log).unwrap_or_default();
                let said = said.get(self.log_bytes_before as usize..).unwrap_or_default();
                let said = String::from_utf8_lossy(said).into_owned();
                return status.code().map(|code| (code, said)).ok_or_else(|| format!("it ended with {status}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.end();
        Err(format!("it neither started nor ended within {limit:?}"))
    }

    /// Kills it wherever it is.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if self.wrapped {
            signal("KILL", inner_pid(self.child.id()));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// The server's own process id, also when it runs under another program.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// kill -9, and waits until it is gone (dropping it does that).
    pub fn kill(self) {}

    /// Has it ended by itself?
    pub fn died(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGTERM, without waiting for anything.
    pub fn ask_to_stop(&self) {
        signal("TERM", self.pid);
    }

    /// SIGTERM, and the exit status.
    pub fn stop(self) -> Result<ExitStatus, String> {
        self.ask_to_stop();
        self.ended()
    }

    /// Waits until it has ended: its exit status.
    pub fn ended(mut self) -> Result<ExitStatus, String> {
        let patience = Instant::now() + Duration::from_secs(60);
        while Instant::now() < patience {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err("it did not end within 60 s of SIGTERM".into())
    }

    /// A number in kB from `/proc/PID/status`, in bytes.
    pub fn memory_bytes(&self, field: &str) -> u64 {
        proc_field(&format!("/proc/{}/status", self.pid), field) * 1024
    }

    /// Starts the peak (`VmHWM`) anew.
    pub fn reset_peak(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5");
    }

    /// A number from `/proc/PID/io`.
    pub fn io_bytes(&self, field: &str) -> u64 {
        proc_field(&format!("/proc/{}/io", self.pid), field)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            if self.pid != self.child.id() {
                signal("KILL", self.pid);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs another command of the program on a data directory: exit code and everything it said.
pub fn command(data: &Path, words: &[&str]) -> (Option<i32>, String) {
    command_in(data, words, &[])
}

/// The same with more in its environment.
pub fn command_in(data: &Path, words: &[&str], environment: &[(&str, &Path)]) -> (Option<i32>, String) {
    let ran = Command::new(program())
        .args(words)
        .arg("--data")
        .arg(data)
        .env("RBACKUP_STATE_DIR", data.with_extension("state"))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    (ran.status.code(), said)
}

/// The last lines of a file.
pub fn tail(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn listen_address(line: &str) -> Result<SocketAddr, String> {
    let url = line.split_once("listening on ").and_then(|(_, rest)| rest.split_whitespace().next());
    let host = url.map(|url| url.trim_start_matches("http://").trim_end_matches('/'));
    host.and_then(|host| host.parse().ok()).ok_or_else(|| format!("the first line names no address: {line:?}"))
}

fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").args([format!("-{name}"), pid.to_string()]).stderr(Stdio::null()).status();
}

/// The one child of a wrapper, or the wrapper itself when it became the program by exec.
fn inner_pid(outer: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).unwrap_or_default();
    children.split_whitespace().next().and_then(|pid| pid.parse().ok()).unwrap_or(outer)
}

fn proc_field(path: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
