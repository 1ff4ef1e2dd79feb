//! A disk that hangs or is slow: strace holds every sync of a running server, and lets go when it is told to.
//!
//! A held sync is seen from outside, in `/proc`: a thread that stands still in `fdatasync` or `fsync` under its tracer.
//! Nothing here goes by the clock: a hang ends when the harness ends it, so whatever is answered before that was
//! answered while the disk hung. A hold that held nothing is an error, never a pass.

use crate::kit::server::Server;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long strace may take to attach, and a sync to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than any test; the hold is released long before.
const FOR_EVER: &str = "600s";

/// strace, attached.
pub struct Hold {
    strace: Child,
    server: u32,
    trace: PathBuf,
}

impl Hold {
    /// Every sync that begins from now on stands still until the release.
    pub fn hang(server: &Server, place: &Path) -> Hold {
        Hold::attach(server, place, &format!("inject=fdatasync,fsync:delay_enter={FOR_EVER}"))
    }

    /// Every sync is done, and does not return until the release.
    pub fn hang_when_done(server: &Server, place: &Path) -> Hold {
        Hold::attach(server, place, &format!("inject=fdatasync,fsync:delay_exit={FOR_EVER}"))
    }

    /// Every sync takes so much longer.
    pub fn slow(server: &Server, place: &Path, by: Duration) -> Hold {
        Hold::attach(server, place, &format!("inject=fdatasync,fsync:delay_enter={}us", by.as_micros()))
    }

    /// Planted: strace watches and holds nothing.
    pub fn nothing(server: &Server, place: &Path) -> Hold {
        Hold::attach(server, place, "signal=none")
    }

    fn attach(server: &Server, place: &Path, how: &str) -> Hold {
        let trace = place.join("held");
        let _ = std::fs::remove_file(&trace);
        let mut strace = Command::new("strace")
            .args(["-f", "-p", &server.pid().to_string(), "-e", "trace=fdatasync,fsync", "-e", how, "-o"])
            .arg(&trace)
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace runs (apt-get install strace)");
        let stderr = strace.stderr.take().expect("a piped stderr");
        let (say, hear) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = say.send(line);
            }
        });
        let said = hear.recv_timeout(PATIENCE).unwrap_or_default();
        assert!(said.contains("attached"), "strace did not attach to the server: {said:?}");
        Hold { strace, server: server.pid(), trace }
    }

    /// Stands a thread of the server still in a sync?
    pub fn is_hanging(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.server)).into_iter().flatten().flatten();
        threads.into_iter().any(|thread| {
            let read = |name: &str| std::fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            let number = read("syscall").split(' ').next().and_then(|number| number.parse().ok());
            let in_sync = number == Some(libc::SYS_fdatasync) || number == Some(libc::SYS_fsync);
            in_sync && read("status").contains("State:\tt ")
        })
    }

    /// Waits until a sync hangs; an error when none does.
    pub fn wait_until_hanging(&self, patience: Duration) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            // Twice, for every traced call stops for a moment.
            if self.is_hanging() && std::iter::repeat_with(|| self.still()).take(5).all(|still| still) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("no sync hung within {patience:?}: the delay did not happen"))
    }

    fn still(&self) -> bool {
        std::thread::sleep(Duration::from_millis(20));
        self.is_hanging()
    }

    /// Lets everything go on, and says how many syncs were held.
    pub fn release(mut self) -> Result<usize, String> {
        self.end();
        let trace = std::fs::read_to_string(&self.trace).map_err(|error| format!("strace wrote no trace: {error}"))?;
        match held(&trace) {
            0 => Err(format!("strace held no sync; its trace:\n{trace}")),
            count => Ok(count),
        }
    }

    /// Waits until the server has ended by itself, hold or no hold; its parent hears of it after the release.
    pub fn wait_until_dead(&self, patience: Duration) -> Result<Duration, String> {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if self.server_is_dead() {
                return Ok(begun.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("it did not end within {patience:?}"))
    }

    fn server_is_dead(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server)).unwrap_or_default();
        status.is_empty() || status.contains("State:\tZ")
    }

    /// SIGINT: strace lets go of every thread; what it held goes on. It takes no notice of that when the server died in
    /// a sync that it held, so then it is killed.
    fn end(&mut self) {
        let how = if self.server_is_dead() { "-KILL" } else { "-INT" };
        let _ = Command::new("kill").args([how, &self.strace.id().to_string()]).stderr(Stdio::null()).status();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && matches!(self.strace.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if matches!(self.strace.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// Syncs that were held: all that began but for those that came back without a delay. `= ?` is one that died in it.
fn held(trace: &str) -> usize {
    let began = trace.lines().filter(|line| line.contains("sync(")).count();
    let back = |line: &str| line.contains("sync") && line.contains(" = ") && !line.contains(" = ?");
    let free = |line: &&str| back(line) && !line.contains("(DELAYED)");
    began.saturating_sub(trace.lines().filter(free).count())
}
