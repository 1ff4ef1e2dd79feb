//! A file that gets its name when it is whole.
//!
//! Promise: a file under the wanted name is complete and synced, and nothing that lay there is overwritten; until then the
//! bytes lie in `NAME.partial`, for the owner's eyes only, which goes when the work fails. What a kill left is taken over, if it
//! is plainly ours and nobody is writing it.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

/// A file on its way.
pub struct Partial {
    /// Where to write.
    pub file: File,
    path: PathBuf,
    target: PathBuf,
    finished: bool,
}

impl Partial {
    /// Begins `target`, of which every kind begins with `magic`.
    pub fn begin(target: &Path, magic: &[u8]) -> io::Result<Self> {
        if target.symlink_metadata().is_ok() {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "it is there already and is not overwritten"));
        }
        let mut path = target.as_os_str().to_owned();
        path.push(".partial");
        let path = PathBuf::from(path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(&path)?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) || !is_ours(&mut file, magic)? {
            let reason = format!("{} is in the way: it is being written, or is no unfinished export", path.display());
            return Err(io::Error::new(ErrorKind::AlreadyExists, reason));
        }
        file.set_len(0)?;
        file.rewind()?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(Self { file, path, target: target.to_owned(), finished: false })
    }

    /// Syncs the file and gives it its name.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        rename_new(&self.path, &self.target)?;
        self.finished = true;
        match File::open(folder(&self.target)).and_then(|it| it.sync_all()) {
            // Some file systems sync no directories.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The directory a file lies in.
pub fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether a file was begun by us: it is empty, or begins as ours do.
fn is_ours(file: &mut File, magic: &[u8]) -> io::Result<bool> {
    let mut begin = Vec::with_capacity(magic.len());
    file.take(magic.len() as u64).read_to_end(&mut begin)?;
    Ok(file.metadata()?.is_file() && magic.starts_with(&begin))
}

/// Renames unless something has the name already.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems and old systems cannot do both at once.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if to.symlink_metadata().is_err() => fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const MAGIC: &[u8] = b"magic";

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_not_before() {
        let home = tempfile::tempdir().expect("a directory");
        let target = home.path().join("file");
        let mut partial = Partial::begin(&target, MAGIC).expect("begun");
        partial.file.write_all(b"magic and more").expect("written");
        assert!(!target.exists());
        assert!(Partial::begin(&target, MAGIC).is_err(), "somebody is writing it");
        partial.finish().expect("finished");
        assert_eq!(fs::read(&target).expect("read"), b"magic and more");
        assert_eq!(fs::metadata(&target).expect("look").permissions().mode() & 0o777, 0o600);
        assert_eq!(names(home.path()), ["file"]);
        assert!(Partial::begin(&target, MAGIC).is_err(), "nothing is overwritten");
        assert_eq!(names(home.path()), ["file"]);
    }

    #[test]
    fn what_fails_leaves_nothing_and_what_a_kill_left_is_taken_over() {
        let home = tempfile::tempdir().expect("a directory");
        let (target, left) = (home.path().join("file"), home.path().join("file.partial"));
        drop(Partial::begin(&target, MAGIC).expect("begun"));
        assert_eq!(names(home.path()), [""; 0]);
        fs::write(&left, b"magic and a half").expect("what a kill left");
        let partial = Partial::begin(&target, MAGIC).expect("taken over");
        partial.finish().expect("finished");
        assert_eq!(fs::read(&target).expect("read"), b"");
        fs::write(&left, b"somebody's own").expect("another file");
        fs::remove_file(&target).expect("removed");
        assert!(Partial::begin(&target, MAGIC).is_err());
        assert_eq!(fs::read(&left).expect("read"), b"somebody's own");
    }

    #[test]
    fn a_name_that_was_taken_meanwhile_is_not_overwritten() {
        let home = tempfile::tempdir().expect("a directory");
        let target = home.path().join("file");
        let partial = Partial::begin(&target, MAGIC).expect("begun");
        fs::write(&target, b"the other one").expect("written");
        assert!(partial.finish().is_err());
        assert_eq!(fs::read(&target).expect("read"), b"the other one");
        assert_eq!(names(home.path()), ["file"]);
    }

    fn names(dir: &Path) -> Vec<String> {
        let held = fs::read_dir(dir).expect("read the directory").flatten();
        let mut names: Vec<String> = held.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}
