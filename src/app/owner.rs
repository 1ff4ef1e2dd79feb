//! Whose data directory it is. Root's command beside a stopped server would leave files that the server cannot open afterwards; so root
//! works as the owner of the directory's `FORMAT` while it has the store open.
//!
//! Promises: whatever is made in between belongs to that owner, and nothing outside is touched that the owner could not touch, such as
//! what a link in its directory points to; afterwards root is root again. Never: changes anything for another user, or where the owner
//! is root.

use std::io;
use std::path::Path;

use rustix::process::{getegid, geteuid, getgroups, getuid};

use crate::store;

/// This process as somebody else, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct AsOwner {
    before: Option<Groups>,
}

/// What root had.
#[derive(Debug)]
struct Groups {
    effective: libc::gid_t,
    others: Vec<libc::gid_t>,
}

impl AsOwner {
    /// Becomes the owner of `data` if this is root and that is somebody else; `first` is what root does itself before that.
    pub fn of<E>(data: &Path, first: impl FnOnce() -> Result<(), E>) -> Result<Self, E> {
        let nobody = Self { before: None };
        if !geteuid().is_root() {
            return Ok(nobody);
        }
        let Some((user, group)) = store::owner(data).filter(|(user, _)| *user != 0) else { return Ok(nobody) };
        first()?;
        let others = getgroups().unwrap_or_default().into_iter().map(|group| group.as_raw()).collect();
        let as_owner = Self { before: Some(Groups { effective: getegid().as_raw(), others }) };
        Ok(match become_user(user, group, &[group]) {
            Ok(()) => as_owner,
            // A container may keep root from it. What was begun is undone by the drop.
            Err(error) => {
                tracing::warn!(%error, user, "cannot become the owner of the data directory: what is made in it now belongs to root");
                nobody
            }
        })
    }

    /// Stays so for as long as the process lasts.
    pub fn for_good(mut self) {
        if self.before.take().is_some() {
            tracing::info!(user = geteuid().as_raw(), "root works as the owner of the data directory");
        }
    }
}

impl Drop for AsOwner {
    fn drop(&mut self) {
        let Some(Groups { effective, others }) = self.before.take() else { return };
        if let Err(error) = become_user(0, effective, &others) {
            tracing::error!(%error, "root cannot become root again");
        }
    }
}

/// Whether this is root that works as somebody else.
pub fn is_acting() -> bool {
    getuid().is_root() && !geteuid().is_root()
}

/// Changes the effective user and the groups of all threads.
#[allow(unsafe_code)]
fn become_user(user: libc::uid_t, group: libc::gid_t, groups: &[libc::gid_t]) -> io::Result<()> {
    let done = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // Only root may change groups, so it is root before, and last or first in turn.
    if user == 0 {
        // SAFETY: takes a number.
        done(unsafe { libc::seteuid(0) })?;
    }
    // SAFETY: reads as many numbers as the slice has. libc's functions, unlike the system's calls, change every thread.
    done(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: takes a number.
    done(unsafe { libc::setegid(group) })?;
    if user != 0 {
        // SAFETY: takes a number.
        done(unsafe { libc::seteuid(user) })?;
    }
    Ok(())
}
