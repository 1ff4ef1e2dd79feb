//! Who is compared: RBackup and rclone, served in the same way, and in turns.
//!
//! A server ends with its owner, and keeps what it stores in a directory whose name tells its processes apart.

use crate::kit::server::program;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// One of the two servers.
pub struct Peer {
    /// For tables and directories.
    pub name: &'static str,
    /// What is run.
    pub program: PathBuf,
}

impl Peer {
    /// The program under test.
    pub fn ours() -> Peer {
        Peer { name: "rbackup", program: program() }
    }

    /// What it is measured against.
    pub fn rclone(program: &Path) -> Peer {
        Peer { name: "rclone", program: program.to_owned() }
    }

    /// Where this peer keeps what is backed up.
    pub fn store(&self, place: &Path, what: &str) -> PathBuf {
        place.join(format!("{}-{what}", self.name))
    }

    /// `serve restic` with more words, which neither reads nor writes anything outside of `store`'s surroundings.
    pub fn command(&self, wrapper: &[String], words: &[&str], store: &Path) -> Command {
        let mut command = match wrapper {
            [] => Command::new(&self.program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.program);
                command
            }
        };
        command.args(["serve", "restic"]).args(words).arg(store);
        command.env("RBACKUP_STATE_DIR", store.with_extension("state")).env("RCLONE_CONFIG", "/dev/null");
        command
    }

    /// Serves a directory on a port of its own, within a limit or not.
    pub fn serve(&self, wrapper: &[String], store: &Path) -> Serving {
        let mut command = self.command(wrapper, &["--addr", "127.0.0.1:0"], store);
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| unreachable!("{command:?}: {error}"));
        let stderr = child.stderr.take().expect("its stderr");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let found = lines.find_map(|line| line.split_once("127.0.0.1:").map(|(_, rest)| rest.to_owned()));
        let found = found.unwrap_or_else(|| unreachable!("{}: it did not say where it serves", self.name));
        let digits: String = found.chars().take_while(char::is_ascii_digit).collect();
        std::thread::spawn(move || lines.for_each(drop));
        let address = SocketAddr::from(([127, 0, 0, 1], digits.parse().expect("a port")));
        Serving { child, address }
    }
}

/// Pairs; who goes first changes with each.
pub fn in_turns<T>(pairs: u64, ours: impl Fn(u64) -> T, theirs: impl Fn(u64) -> T) -> Vec<(T, T)> {
    let pair = |number: u64| {
        if number.is_multiple_of(2) {
            let first = ours(number);
            (first, theirs(number))
        } else {
            let first = theirs(number);
            (ours(number), first)
        }
    };
    (0..pairs).map(pair).collect()
}

/// A server that ends with its owner.
pub struct Serving {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
