//! `rbackup serve restic` with listeners, or `rest-server`: a process, where it listens, and curl to it.

use super::restic::Running;
use super::site::{Site, signal};
use crate::kit::random::sha256_hex;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// A server that listens. It is stopped, or killed when it goes.
pub struct Listening {
    running: Running,
    base: String,
    scratch: PathBuf,
    curl: Vec<String>,
}

/// What curl saw.
#[derive(Debug)]
pub struct Answer {
    /// The status; 0 without an answer.
    pub status: u16,
    /// All headers, names in lower case.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Listening {
    /// Starts the program under this name and waits for the line that says where it listens.
    pub fn start(site: &Site, name: &str, words: &[&str]) -> Self {
        Self::start_in(site, name, words, &[])
    }

    /// The same with more in its environment.
    pub fn start_in(site: &Site, name: &str, words: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut running = Running::of(site.program_as(name).args(words).envs(environment.iter().copied()));
        let phrase = if name == "rest-server" { "start server on " } else { "Serving restic REST API on " };
        let shown = running.line_after(phrase);
        let shown =
            shown.unwrap_or_else(|| panic!("{name} {words:?} does not say where it listens: {}", running.said()));
        let base = if shown.contains("://") { shown } else { format!("http://{shown}") };
        Self { running, base: base.trim_end_matches('/').to_owned(), scratch: site.path("curl"), curl: Vec::new() }
    }

    /// With these words for every curl.
    pub fn with(&self, words: &[&str]) -> Asking<'_> {
        Asking { server: self, words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    /// For a socket that is no TCP: curl goes to this URL, with these words.
    pub fn at(mut self, base: &str, words: &[&str]) -> Self {
        self.base = base.to_owned();
        self.curl = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Waits until a line of it has this in it: a server says where it listens line by line.
    #[track_caller]
    pub fn says(&mut self, wanted: &str) {
        assert!(self.running.until(wanted), "{wanted:?} is not said: {}", self.running.said());
    }

    /// Everything it has said so far.
    pub fn said(&self) -> String {
        self.running.said()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A request without credentials.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.with(&[]).ask(method, path, body)
    }

    /// POST of an object under the name that it has; gives its path.
    #[track_caller]
    pub fn put(&self, below: &str, body: &[u8]) -> String {
        let path = format!("{below}{}", name_of(body));
        assert_eq!(self.ask("POST", &path, body).status, 200, "{path}");
        path
    }

    /// SIGTERM; it must end with 0.
    pub fn stop(self) {
        signal("TERM", self.running.pid());
        let ended = self.running.end();
        assert_eq!(ended.code, Some(0), "a stop ends with 0: {}", ended.stderr);
    }
}

/// curl with words of its own.
pub struct Asking<'a> {
    server: &'a Listening,
    words: Vec<String>,
}

impl Asking<'_> {
    /// A request; the path goes as it stands.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let [head, out, sent] = scratch(&self.server.scratch);
        let mut command = Command::new("curl");
        command.args(["-q", "-sS", "-g", "--noproxy", "*", "--max-time", "60", "--path-as-is", "-D"]).arg(&head);
        command.arg("-o").arg(&out).args(&self.server.curl).args(&self.words);
        match method {
            "HEAD" => command.arg("-I"),
            _ => command.args(["-X", method]),
        };
        if !body.is_empty() {
            std::fs::write(&sent, body).expect("write what curl sends");
            command.arg("--data-binary").arg(format!("@{}", sent.display()));
        }
        let ran = command.arg(self.server.url(path)).stdin(Stdio::null()).output().expect("curl is installed");
        let head = std::fs::read_to_string(&head).unwrap_or_default().to_lowercase();
        let last = head.split("\r\n\r\n").filter(|block| block.starts_with("http/")).last().unwrap_or_default();
        let status = last.split(' ').nth(1).and_then(|code| code.trim().parse().ok()).unwrap_or(0);
        assert!(ran.status.success() || status == 0, "curl: {}", String::from_utf8_lossy(&ran.stderr));
        Answer { status, head: last.to_owned(), body: std::fs::read(&out).unwrap_or_default() }
    }
}

/// Paths that no other request has.
fn scratch(beside: &Path) -> [PathBuf; 3] {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    ["head", "out", "sent"].map(|name| beside.with_extension(format!("{number}.{name}")))
}

/// The name that restic gives to these bytes.
pub fn name_of(body: &[u8]) -> String {
    sha256_hex(body)
}
