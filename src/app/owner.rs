//! Whose data directory it is. Root's command beside a stopped server would leave files that the server cannot open afterwards; so what
//! root makes while it has the store open is its owner's: that of the directory's `FORMAT`.
//!
//! Promises: root keeps its rights meanwhile, so it reads and listens where only root may, and afterwards what it makes is root's again.
//! Never: changes anything for another user, where the owner is root, or where the system does not let it keep its rights.

use std::io;
use std::path::Path;

use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitiesSecureBits, capabilities_secure_bits, set_capabilities_secure_bits};

use crate::store;

/// Lets root keep its rights while it works as somebody else. Each thread has this setting and takes it from the one that began it, so
/// it is for the first moment of the process.
pub fn keep_rights() {
    if geteuid().is_root()
        && let Ok(bits) = capabilities_secure_bits()
    {
        // A container may forbid it; then nobody is anybody else.
        let _ = set_capabilities_secure_bits(bits | CapabilitiesSecureBits::NO_SETUID_FIXUP);
    }
}

/// This process as somebody else, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct AsOwner {
    /// The group that root had.
    before: Option<libc::gid_t>,
}

impl AsOwner {
    /// Becomes the owner of `data` if this is root and that is somebody else.
    pub fn of(data: &Path) -> Self {
        let nobody = Self { before: None };
        if !geteuid().is_root() || !keeps_rights() {
            return nobody;
        }
        let Some((user, group)) = store::owner(data).filter(|(user, _)| *user != 0) else { return nobody };
        let before = getegid().as_raw();
        match become_user(user, group) {
            Ok(()) => Self { before: Some(before) },
            Err(error) => {
                tracing::warn!(%error, user, "cannot become the owner of the data directory: what is made in it now belongs to root");
                nobody
            }
        }
    }

    /// Stays so for as long as the process lasts.
    pub fn for_good(mut self) {
        if self.before.take().is_some() {
            tracing::info!(user = geteuid().as_raw(), "what root makes in the data directory belongs to its owner");
        }
    }
}

impl Drop for AsOwner {
    fn drop(&mut self) {
        let Some(group) = self.before.take() else { return };
        if let Err(error) = become_user(0, group) {
            tracing::error!(%error, "root cannot become root again");
        }
    }
}

fn keeps_rights() -> bool {
    capabilities_secure_bits().is_ok_and(|bits| bits.contains(CapabilitiesSecureBits::NO_SETUID_FIXUP))
}

/// Changes the effective user and group of all threads, or nothing.
#[allow(unsafe_code)]
fn become_user(user: libc::uid_t, group: libc::gid_t) -> io::Result<()> {
    let done = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    let before = getegid().as_raw();
    // SAFETY: takes a number. libc's function, unlike the system's call, changes every thread.
    done(unsafe { libc::setegid(group) })?;
    // SAFETY: the same.
    done(unsafe { libc::seteuid(user) }).inspect_err(|_| {
        // SAFETY: the same.
        let _ = unsafe { libc::setegid(before) };
    })
}
