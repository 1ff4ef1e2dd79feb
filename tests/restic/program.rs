//! The real restic as a user types it, with its cache and its words in a place of its own.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The account that the repository belongs to.
pub const ACCOUNT: &str = "anna";
/// restic's own password for the repository.
const SECRET: &str = "only the client knows this";

/// restic on one repository.
#[derive(Clone)]
pub struct Restic {
    repository: String,
    cache: PathBuf,
}

impl Restic {
    /// The repository `path` of [`ACCOUNT`] on a server; the cache lies in `place`.
    pub fn on(address: SocketAddr, password: &str, path: &str, place: &Path) -> Restic {
        let password: String = password.replace(' ', "%20");
        Restic {
            repository: format!("rest:http://{ACCOUNT}:{password}@{address}/restic/{path}"),
            cache: place.join("cache"),
        }
    }

    /// The same with a cache of its own, as another machine has it.
    pub fn elsewhere(&self, place: &Path) -> Restic {
        Restic { cache: place.to_owned(), ..self.clone() }
    }

    fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = Command::new("restic");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RESTIC_")) {
            command.env_remove(name);
        }
        command
            .env("RESTIC_REPOSITORY", &self.repository)
            .env("RESTIC_PASSWORD", SECRET)
            .env("RESTIC_CACHE_DIR", &self.cache);
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> Output {
        self.command(words).output().expect("restic is installed: apt-get install restic, or tests/run tools")
    }

    /// Runs it; anything but success is an error with all it said.
    pub fn must<S: AsRef<OsStr>>(&self, words: &[S]) -> Result<String, String> {
        let ran = self.run(words);
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let typed: Vec<_> = words.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        let wrong =
            || format!("restic {}: {}\n{said}{}", typed.join(" "), ran.status, String::from_utf8_lossy(&ran.stderr));
        if ran.status.success() { Ok(said) } else { Err(wrong()) }
    }

    /// Starts it.
    pub fn spawn<S: AsRef<OsStr>>(&self, words: &[S]) -> Child {
        self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("restic is installed")
    }

    /// How many snapshots there are.
    pub fn snapshots(&self) -> Result<usize, String> {
        let said = self.must(&["snapshots", "--json"])?;
        let list: serde_json::Value = serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))?;
        list.as_array().map(Vec::len).ok_or_else(|| format!("no list: {said}"))
    }

    /// Restores the newest snapshot of `tree` and compares every byte, name, mode and time of it.
    pub fn restores(&self, tree: &Path, to: &Path) -> Result<(), String> {
        let _ = std::fs::remove_dir_all(to);
        self.must(&[OsStr::new("restore"), OsStr::new("latest"), OsStr::new("--target"), to.as_os_str()])?;
        let restored = to.join(tree.strip_prefix("/").expect("an absolute path"));
        super::tree::differences(tree, &restored)
    }
}
