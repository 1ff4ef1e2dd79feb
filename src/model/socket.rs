//! The name of the socket by which other `rbackup` commands reach the process that holds a data directory.
//!
//! Promise: a data directory may lie as deep as the system allows, although a socket's address has room for 107 bytes.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The socket's name in the data directory.
pub const SOCKET: &str = "rbackup.sock";
/// `sun_path` has 108 bytes on Linux, the last of them NUL.
const ADDRESS_BYTES_MAX: usize = 107;

/// A path that fits into a socket's address.
#[derive(Debug)]
pub struct SocketAddress {
    path: PathBuf,
    /// Keeps the short way open.
    _dir: Option<File>,
}

impl SocketAddress {
    /// The way to `name` in `dir`, through the open directory when the path itself is too long.
    pub fn new(dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        if path.as_os_str().as_bytes().len() <= ADDRESS_BYTES_MAX {
            return Ok(Self { path, _dir: None });
        }
        let open = File::open(dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", open.as_raw_fd()));
        Ok(Self { path, _dir: Some(open) })
    }

    /// For the system's calls, while this value lives.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_deep_directory_has_a_socket_too() {
        let home = tempfile::tempdir().expect("a directory");
        for depth in [1, 12] {
            let dir = home.path().join("and-one-below/".repeat(depth));
            std::fs::create_dir_all(&dir).expect("made");
            let address = SocketAddress::new(&dir, SOCKET).expect("an address");
            let _listener = UnixListener::bind(address.path()).expect("bound");
            assert!(dir.join(SOCKET).exists());
            UnixStream::connect(SocketAddress::new(&dir, SOCKET).expect("an address").path()).expect("reached");
        }
    }
}
