//! A place with a data directory, files to back up, and the program. Whatever was started for it ends with it.

use super::restic::Restic;
use crate::kit::place::Place;
use crate::kit::random::Random;
use crate::kit::server::{Server, Start, program};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A holder ends five seconds after its last connection; two cores may be busy.
const FREE_WITHIN: Duration = Duration::from_secs(40);

/// Where a test happens.
pub struct Site {
    place: Place,
}

impl Site {
    /// An empty place.
    pub fn new(name: &str) -> Self {
        Self { place: Place::on_disk(name) }
    }

    /// The data directory, which nobody has made yet.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A path beside it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Everything that processes of this place must know.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("RBACKUP_STATE_DIR", self.path("data.state")),
            ("RBACKUP_DATA", self.data()),
            ("RBACKUP_HOLDER_LOG", self.path("holder.log")),
            ("HOME", self.path("home")),
        ]
    }

    /// The program, with nothing of the caller's environment.
    pub fn program(&self) -> Command {
        self.program_as("rbackup")
    }

    /// The program under another name.
    pub fn program_as(&self, name: &str) -> Command {
        let link = self.path(name);
        if !link.exists() {
            std::os::unix::fs::symlink(program(), &link).expect("link to the program");
        }
        let mut command = Command::new(link);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("RBACKUP_") || name.starts_with("RCLONE_") {
                command.env_remove(&*name);
            }
        }
        command.envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// restic over stdio on a REMOTE of this place, with these flags for the pump.
    pub fn over_stdio(&self, remote: &str, flags: &str) -> Restic {
        self.program();
        let words = format!("{} serve restic --stdio {flags}", self.path("rbackup").display());
        Restic::new(
            self,
            &format!("rclone:{remote}"),
            &["-o", &format!("rclone.program={}", words.trim()), "-o", "rclone.args=--b2-hard-delete"],
        )
    }

    /// restic over HTTP.
    pub fn over_http(&self, url: &str) -> Restic {
        Restic::new(self, &format!("rest:{url}"), &[])
    }

    /// `rbackup serve` on the data directory.
    pub fn serve(&self) -> Server {
        Start::on(&self.data()).serve().unwrap_or_else(|why| panic!("{why}"))
    }

    /// Files of `mib` MiB together that nothing compresses, and some small ones.
    pub fn tree(&self, name: &str, mib: usize) -> PathBuf {
        let tree = self.path(name);
        std::fs::create_dir_all(tree.join("small")).expect("make the tree");
        let mut random = Random::new(name.len() as u64 * 7919 + mib as u64);
        let mut bytes = vec![0; 1 << 20];
        for n in 0..mib {
            random.fill(&mut bytes);
            std::fs::write(tree.join(format!("{n}.bin")), &bytes).expect("write a file");
        }
        for n in 0..40 {
            std::fs::write(tree.join(format!("small/{n}")), &bytes[n..n * 37 + 1]).expect("write a file");
        }
        tree
    }

    /// The process that holds the data directory for pumps, if there is one.
    pub fn holder(&self) -> Option<u32> {
        holders(&self.data()).first().copied()
    }

    /// Waits until nobody holds the data directory any more.
    pub fn wait_until_free(&self) {
        let begun = Instant::now();
        while self.holder().is_some() {
            assert!(begun.elapsed() < FREE_WITHIN, "the holder does not end without connections");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!self.data().join("rbackup.sock").exists(), "the socket went with its holder");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for pid in holders(&self.data()) {
            signal("KILL", pid);
        }
        let log = std::fs::read_to_string(self.path("holder.log")).unwrap_or_default();
        if std::thread::panicking() {
            eprintln!("the holders' log:\n{}", &log[log.len().saturating_sub(4000)..]);
        } else {
            assert!(!log.contains("panicked at"), "a holder panicked:\n{log}");
        }
    }
}

/// Processes that were started to hold this data directory.
pub fn holders(data: &Path) -> Vec<u32> {
    let wanted = format!("hold\0--data\0{}\0", data.display());
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(&wanted)
    })
    .collect()
}

/// Sends a signal by its name.
pub fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").args([format!("-{name}"), pid.to_string()]).stderr(Stdio::null()).status();
}
