//! restic as people run it: a command, what it said, how it ended.

use super::site::Site;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The longest that one command of these tests may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// restic with a repository and a way to it.
#[derive(Clone)]
pub struct Restic {
    repository: String,
    options: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
    place: PathBuf,
}

/// A command that ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none after a signal.
    pub code: Option<i32>,
    /// What it said on stdout.
    pub stdout: String,
    /// What it said on stderr.
    pub stderr: String,
}

/// A command that runs. Killed when it goes.
pub struct Running {
    child: Child,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Restic {
    /// restic on a repository, with these options before every command.
    pub fn new(site: &Site, repository: &str, options: &[&str]) -> Self {
        let found = Command::new("restic").arg("version").stdout(Stdio::null()).status();
        assert!(found.is_ok_and(|status| status.success()), "restic is needed: apt-get install restic");
        std::fs::write(site.path("password"), "a password of restic's\n").expect("write the password");
        Self {
            repository: repository.to_owned(),
            options: options.iter().map(|word| (*word).to_owned()).collect(),
            environment: site.environment(),
            place: site.path(""),
        }
    }

    /// Starts a command.
    pub fn start(&self, words: &[&str]) -> Running {
        let mut command = Command::new("restic");
        command.args(["-r", &self.repository, "--no-cache"]).args(&self.options).args(words);
        command.envs(self.environment.iter().cloned()).env("RESTIC_PASSWORD_FILE", self.place.join("password"));
        command.env("TMPDIR", &self.place);
        Running::of(command.stdin(Stdio::null()))
    }

    /// Runs a command to its end.
    pub fn run(&self, words: &[&str]) -> Ended {
        self.start(words).end()
    }

    /// Runs a command that must succeed: what it said on stdout.
    #[track_caller]
    pub fn must(&self, words: &[&str]) -> String {
        let ended = self.run(words);
        assert_eq!(ended.code, Some(0), "restic {words:?}: {}{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// The ids of all snapshots.
    #[track_caller]
    pub fn snapshots(&self) -> Vec<String> {
        let listed = self.must(&["--json", "--no-lock", "snapshots"]);
        listed.split("\"short_id\":\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }

    /// Restores the newest snapshot and compares it with `tree`, byte by byte.
    #[track_caller]
    pub fn restores(&self, tree: &Path) {
        let target = self.place.join(format!("restored-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&target);
        self.must(&["restore", "latest", "--target", &target.to_string_lossy()]);
        let restored = target.join(tree.strip_prefix("/").unwrap());
        let same = Command::new("diff").arg("-r").arg(tree).arg(&restored).status().expect("diff runs");
        assert!(same.success(), "what was restored differs");
        std::fs::remove_dir_all(&target).expect("remove what was restored");
    }
}

impl Running {
    /// Starts a command and reads what it says.
    pub fn of(command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt;
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = vec![
            collect(child.stdout.take().unwrap(), Arc::clone(&stdout)),
            collect(child.stderr.take().unwrap(), Arc::clone(&stderr)),
        ];
        Self { child, stdout, stderr, readers }
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let begun = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        };
        for reader in std::mem::take(&mut self.readers) {
            let _ = reader.join();
        }
        let text = |bytes: &Mutex<Vec<u8>>| String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned();
        Ended { code, stdout: text(&self.stdout), stderr: text(&self.stderr) }
    }

    /// Waits until it has said this, or has ended.
    pub fn until(&mut self, wanted: &str) -> bool {
        let begun = Instant::now();
        while !self.said().contains(wanted) {
            if self.ended() || begun.elapsed() > PATIENCE {
                std::thread::sleep(Duration::from_millis(50));
                return self.said().contains(wanted);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Waits for a whole line with this in it, and gives what follows it there.
    pub fn line_after(&mut self, wanted: &str) -> Option<String> {
        let begun = Instant::now();
        self.until(wanted);
        loop {
            let said = self.said();
            let rest = said.split_once(wanted).and_then(|(_, rest)| rest.split_once('\n'));
            if rest.is_some() || self.ended() || begun.elapsed() > PATIENCE {
                return rest.map(|(line, _)| line.to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Everything it has said so far.
    pub fn said(&self) -> String {
        let text = |bytes: &Mutex<Vec<u8>>| String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned();
        text(&self.stdout) + &text(&self.stderr)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9 of itself alone.
    pub fn kill(mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buf = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buf) {
            into.lock().unwrap().extend_from_slice(&buf[..read]);
        }
    })
}
