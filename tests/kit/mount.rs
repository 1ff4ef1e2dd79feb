//! Small real disks: a tmpfs, ext4 in a file behind a loop device, or ext4 on a device that has less room than it says.
//!
//! Needs root. A [`Mount`] is unmounted and its loop device given back when it is dropped, also while a panic unwinds, and
//! its directory has a name of its own with the process in it, so runs side by side never meet; only a harness that is
//! killed leaves its disks behind. It never touches a file system that it did not
//! mount itself, and it never goes on after a command that failed: a disk that could not be had is not a passed test.

use super::place::Place;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// ext4's "go down now" (`EXT4_IOC_SHUTDOWN`, `fs/ext4/ext4.h`).
const SHUTDOWN: u32 = 0x8004_587d;
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: what the journal has not written is lost, as in a power cut.
const NO_LOG_FLUSH: u32 = 2;
/// A process that was just killed may hold its files for a moment.
const UNMOUNT_LIMIT: Duration = Duration::from_secs(10);

/// One disk, mounted at [`Mount::path`].
pub struct Mount {
    name: &'static str,
    /// A tmpfs's size and number of inodes, as `mount -o` wants them.
    options: String,
    device: Option<String>,
    /// The tmpfs in which a device lies that is to fail.
    memory: Option<PathBuf>,
    mounted: bool,
    // Last: the directory goes when nothing is mounted below it any more.
    place: Place,
}

/// What a file system has left for an ordinary user, and how large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Free bytes.
    pub bytes: u64,
    /// Free inodes.
    pub inodes: u64,
    /// All bytes.
    pub bytes_all: u64,
}

impl Mount {
    /// A tmpfs; `inodes` 0 is no limit.
    pub fn tmpfs(bytes: u64, inodes: u64) -> Mount {
        let mut made = Mount::unmounted("tmpfs");
        made.options = format!("size={bytes},nr_inodes={inodes}");
        made.mount();
        made
    }

    /// ext4 over a sparse file; `inodes` 0 leaves their number to mkfs.
    pub fn ext4(bytes: u64, inodes: u64) -> Mount {
        let mut made = Mount::unmounted("ext4");
        made.device = Some(loop_device(&made.beside().join("image"), bytes, inodes));
        made.mount();
        made
    }

    /// ext4 that believes in `bytes` and whose device fails with EIO when more than `bytes_real` have been written.
    pub fn ext4_on_a_small_device(bytes: u64, bytes_real: u64) -> Mount {
        let mut made = Mount::unmounted("ext4");
        let memory = made.beside().join("memory");
        std::fs::create_dir(&memory).expect("a mount point");
        run(["mount", "-t", "tmpfs", "-o", &format!("size={bytes_real}"), "tmpfs"], &[&memory]);
        made.memory = Some(memory.clone());
        made.device = Some(loop_device(&memory.join("image"), bytes, 0));
        made.mount();
        made
    }

    fn unmounted(name: &'static str) -> Mount {
        // The process is in the name, so that a person sees whose it is.
        let place = Place::on_disk(&format!("disk-{}", std::process::id()));
        std::fs::create_dir(place.path().join("disk")).expect("a mount point");
        Mount { name, options: String::new(), device: None, memory: None, mounted: false, place }
    }

    /// The kind of file system, for tables.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The mount point.
    pub fn path(&self) -> PathBuf {
        self.place.path().join("disk")
    }

    /// A directory on another disk, which goes away with this one.
    pub fn beside(&self) -> &Path {
        self.place.path()
    }

    /// Mounts it again. ext4 turns read-only at its first error.
    pub fn mount(&mut self) {
        assert!(!self.mounted, "it is mounted");
        let at = self.path();
        match &self.device {
            Some(device) => run(["mount", "-t", "ext4", "-o", "errors=remount-ro", device], &[&at]),
            None => run(["mount", "-t", "tmpfs", "-o", &self.options, "tmpfs"], &[&at]),
        }
        self.mounted = true;
    }

    /// Unmounts it; nobody may have anything open on it.
    pub fn unmount(&mut self) {
        self.try_unmount()
            .unwrap_or_else(|error| unreachable!("{} cannot be unmounted: {error}", self.path().display()));
    }

    fn try_unmount(&mut self) -> Result<(), String> {
        if !self.mounted {
            return Ok(());
        }
        umount(&self.path())?;
        self.mounted = false;
        Ok(())
    }

    /// `e2fsck -fy` on the unmounted disk; fails when something is left that it could not repair.
    pub fn repair(&self) {
        let ran = Command::new("e2fsck").args(["-fy", self.device()]).output().expect("e2fsck runs");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(matches!(ran.status.code(), Some(0 | 1)), "e2fsck ended with {}:\n{said}", ran.status);
    }

    /// Gives the device that was too small all the room it needs.
    pub fn enlarge_device(&self, bytes: u64) {
        let memory = self.memory.as_deref().expect("a device that was too small");
        run(["mount", "-o", &format!("remount,size={bytes}")], &[memory]);
    }

    /// The power goes: from now on every call fails, and what was not synced is lost.
    #[allow(unsafe_code, reason = "there is no safe call for this ioctl")]
    pub fn cut_power(&self) {
        let root = File::open(self.path()).expect("open the mount point");
        let flags = NO_LOG_FLUSH;
        // SAFETY: the descriptor is open, and the call reads one u32, which lives until it returns.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN as libc::Ioctl, std::ptr::from_ref(&flags)) };
        assert_eq!(result, 0, "EXT4_IOC_SHUTDOWN: {}", std::io::Error::last_os_error());
    }

    /// ext4 believes that it found an error in itself and turns read-only under everybody.
    pub fn turn_read_only(&self) {
        let device = self.device().trim_start_matches("/dev/");
        std::fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").expect("trigger_fs_error");
        let written = std::fs::write(self.path().join("probe"), "x").map_err(|error| error.kind());
        assert_eq!(written, Err(std::io::ErrorKind::ReadOnlyFilesystem), "the disk is not read-only");
    }

    /// What is left on it.
    pub fn room(&self) -> Room {
        let told = rustix::fs::statvfs(self.path()).expect("statvfs");
        Room { bytes: told.f_bavail * told.f_frsize, inodes: told.f_favail, bytes_all: told.f_blocks * told.f_frsize }
    }

    fn device(&self) -> &str {
        self.device.as_deref().expect("a tmpfs has no device")
    }
}

impl Drop for Mount {
    /// Never panics: a panic may be under way.
    fn drop(&mut self) {
        if let Err(error) = self.try_unmount() {
            eprintln!("{error}; it is unmounted as soon as nobody uses it");
            let _ = quietly(["umount", "--lazy"], &[&self.path()]);
        }
        if let Some(device) = &self.device {
            // Detached now, or by the kernel when its last user is gone.
            let _ = quietly(["losetup", "-d", device], &[]);
        }
        if let Some(memory) = &self.memory
            && let Err(error) = umount(memory)
        {
            eprintln!("{error}");
            let _ = quietly(["umount", "--lazy"], &[memory]);
        }
    }
}

fn loop_device(image: &Path, bytes: u64, inodes: u64) -> String {
    File::create(image).and_then(|file| file.set_len(bytes)).expect("a sparse image");
    // Nothing is left for the kernel to write by itself later, and root gets no more room than everybody.
    let mut words = vec!["mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
    let number = inodes.to_string();
    if inodes > 0 {
        words.extend(["-N", &number]);
    }
    run(words, &[image]);
    let shown = Command::new("losetup").args(["-f", "--show"]).arg(image).output().expect("losetup runs");
    assert!(shown.status.success(), "no loop device: {}", String::from_utf8_lossy(&shown.stderr));
    String::from_utf8_lossy(&shown.stdout).trim().to_owned()
}

fn umount(at: &Path) -> Result<(), String> {
    let patience = Instant::now() + UNMOUNT_LIMIT;
    loop {
        match quietly(["umount"], &[at]) {
            Err(error) if Instant::now() > patience => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
            Ok(()) => return Ok(()),
        }
    }
}

fn run<'a>(words: impl IntoIterator<Item = &'a str>, paths: &[&'a Path]) {
    quietly(words, paths).unwrap_or_else(|error| unreachable!("{error} (this needs root, mount and e2fsprogs)"));
}

fn quietly<'a>(words: impl IntoIterator<Item = &'a str>, paths: &[&'a Path]) -> Result<(), String> {
    let all: Vec<&OsStr> = words.into_iter().map(OsStr::new).chain(paths.iter().map(|path| path.as_os_str())).collect();
    let ran = Command::new(all[0]).args(&all[1..]).output();
    let said = match ran {
        Ok(ran) if ran.status.success() => return Ok(()),
        Ok(ran) => String::from_utf8_lossy(&ran.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(format!("{all:?} failed: {said}"))
}
