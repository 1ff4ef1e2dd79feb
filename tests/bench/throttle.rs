//! A common write limit for the server and for dd, so that they are compared and not the disk's mood.
//!
//! cgroup v1 `blkio`; needs root. Without it the throttled figures are left out, and the report says so.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What both may write per second.
pub const BYTES_PER_SECOND: u64 = 200_000_000;

/// A group of processes that share the limit; removed when dropped, after its processes have ended.
pub struct Throttle(PathBuf);

impl Throttle {
    /// A limit for the disk that holds `place`; the error says why there is none.
    pub fn on(place: &Path) -> Result<Throttle, String> {
        let group = PathBuf::from(format!("/sys/fs/cgroup/blkio/rbackup-bench-{}", std::process::id()));
        let device = fs::metadata(place).map_err(|error| error.to_string())?.dev();
        let (major, minor) = (libc::major(device), libc::minor(device));
        fs::create_dir(&group).map_err(|error| format!("{}: {error}", group.display()))?;
        let throttle = Throttle(group);
        let limit = format!("{major}:{minor} {BYTES_PER_SECOND}");
        let file = throttle.0.join("blkio.throttle.write_bps_device");
        fs::write(&file, &limit).map_err(|error| format!("{} {limit:?}: {error}", file.display()))?;
        Ok(throttle)
    }

    /// The words before a command that make it run within the limit.
    pub fn wrapper(&self) -> Vec<String> {
        let join = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.0.display());
        ["sh", "-c", &join, "sh"].map(str::to_owned).to_vec()
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
