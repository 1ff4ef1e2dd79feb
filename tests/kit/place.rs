//! Where a harness puts its data: a directory of its own that goes away with it, with enough room, or a clear sentence.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory of this run, removed at its end; kept when `RBACKUP_KEEP` is set.
pub struct Place(Option<tempfile::TempDir>, PathBuf);

impl Place {
    /// On the disk: `RBACKUP_TEST_DIR`, or the system's temporary directory.
    pub fn on_disk(name: &str) -> Place {
        let parent = std::env::var_os("RBACKUP_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        Place::below(&parent, name)
    }

    /// In memory when there is such a place: for harnesses that model the disk themselves.
    pub fn in_memory(name: &str) -> Place {
        let shm = Path::new("/dev/shm");
        if shm.is_dir() { Place::below(shm, name) } else { Place::on_disk(name) }
    }

    fn below(parent: &Path, name: &str) -> Place {
        let directory = tempfile::Builder::new()
            .prefix(&format!("rbackup-{name}-"))
            .tempdir_in(parent)
            .expect("a temporary directory");
        let path = directory.path().canonicalize().expect("its real path");
        if std::env::var_os("RBACKUP_KEEP").is_some() {
            eprintln!("keeping {}", path.display());
            let _ = directory.keep();
            return Place(None, path);
        }
        Place(Some(directory), path)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.1
    }
}

/// Free bytes where `path` is.
pub fn free_bytes(path: &Path) -> u64 {
    let shown = Command::new("df").args(["-B1", "--output=avail"]).arg(path).output().expect("df runs");
    let text = String::from_utf8_lossy(&shown.stdout);
    text.lines().nth(1).and_then(|line| line.trim().parse().ok()).expect("df shows a number")
}

/// Fails with a sentence when there is less room than `bytes`.
pub fn require_free(path: &Path, bytes: u64) {
    let free = free_bytes(path);
    assert!(
        free >= bytes,
        "{} has {} MiB free and this needs {} MiB: make room, or set RBACKUP_TEST_DIR to a directory on a larger disk",
        path.display(),
        free >> 20,
        bytes >> 20
    );
}

/// Copies a directory with everything in it, sockets left out.
pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("create a directory");
    for entry in std::fs::read_dir(from).expect("read a directory") {
        let entry = entry.expect("a directory entry");
        let kind = entry.file_type().expect("its type");
        if kind.is_dir() {
            copy_tree(&entry.path(), &to.join(entry.file_name()));
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copy a file");
        }
    }
}

/// Bytes allocated on disk by everything below a directory.
pub fn allocated_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => allocated_bytes(&entry.path()),
            Ok(about) => about.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
