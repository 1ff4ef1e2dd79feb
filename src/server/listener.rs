//! Where connections come from: TCP, with and without TLS, and unix sockets.
//!
//! Promises: a socket file that nobody answers is replaced, one that somebody answers is not; ours goes when its listener goes.
//! Never: looks at a byte of a connection.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::door::Door;
use super::guard::realm::Realm;
use super::request::Peer;
use super::tls::Tls;
use crate::model::socket::{SOCKET, SocketAddress};

/// Of a data directory whose socket a group may reach.
const GROUP_MODE: u32 = 0o710;

/// A listening socket, and what is behind it.
pub struct Listener {
    source: Source,
    /// What those who come through it meet.
    pub(super) entrance: Entrance,
}

enum Source {
    Tcp(TcpListener, Option<Tls>),
    // The file goes before the socket is closed: who finds it may still be refused, who does not starts a holder.
    Unix { _file: SocketFile, listener: UnixListener },
}

/// What is behind a listener.
#[derive(Clone)]
pub(super) enum Entrance {
    /// The whole house.
    Main,
    /// Nothing but restic, of one realm.
    Restic(Arc<Realm>),
    /// What the preamble asks for.
    Door(Arc<Door>),
}

/// A connection that was just accepted.
pub(super) enum Arrival {
    Tcp(TcpStream, Option<Tls>),
    Unix(UnixStream),
}

impl Listener {
    /// The whole house over TCP.
    pub fn tcp(listener: TcpListener) -> Self {
        Self { source: Source::Tcp(listener, None), entrance: Entrance::Main }
    }

    /// A unix socket at `path`, for whoever its directory and the umask let in.
    pub fn unix(path: &Path) -> io::Result<Self> {
        let (dir, name) = (path.parent().unwrap_or(Path::new(".")), path.file_name());
        let name = name.and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let file = SocketFile::replace(dir, name)?;
        let source = Source::Unix { _file: file, listener: UnixListener::from_std(SocketFile::bind(dir, name)?)? };
        Ok(Self { source, entrance: Entrance::Main })
    }

    /// The socket of the data directory `data`. The caller holds the directory's lock, so one that is there is stale.
    pub fn door(data: &Path, door: Door) -> io::Result<Self> {
        let file = SocketFile::at(data, SOCKET)?;
        match fs::remove_file(file.0.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = SocketFile::bind(data, SOCKET)?;
        // Until it belongs to the group only its owner reaches it.
        fs::set_permissions(file.0.path(), fs::Permissions::from_mode(0o600))?;
        // A group that was named before and is not any more loses the way again.
        if door.group.is_none() && fs::metadata(data)?.permissions().mode() & 0o777 == GROUP_MODE {
            fs::set_permissions(data, fs::Permissions::from_mode(0o700))?;
        }
        if let Some(group) = door.group {
            chown(file.0.path(), None, Some(group))?;
            fs::set_permissions(file.0.path(), fs::Permissions::from_mode(0o660))?;
            // The way to the socket, and no further: everything else in there is for the owner alone.
            chown(data, None, Some(group))?;
            fs::set_permissions(data, fs::Permissions::from_mode(GROUP_MODE))?;
        }
        let source = Source::Unix { _file: file, listener: UnixListener::from_std(listener)? };
        Ok(Self { source, entrance: Entrance::Door(Arc::new(door)) })
    }

    /// The same with TLS; nothing changes for a unix socket.
    pub fn with_tls(mut self, tls: Tls) -> Self {
        if let Source::Tcp(_, held) = &mut self.source {
            *held = Some(tls);
        }
        self
    }

    /// The same for one realm's restic alone.
    pub fn serving(self, realm: Arc<Realm>) -> Self {
        Self { entrance: Entrance::Restic(realm), ..self }
    }

    pub(super) async fn accept(&self) -> io::Result<(Arrival, Peer)> {
        match &self.source {
            Source::Tcp(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                Ok((Arrival::Tcp(stream, tls.clone()), Peer::Tcp(address)))
            }
            Source::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let who = stream.peer_cred()?;
                Ok((Arrival::Unix(stream), Peer::Unix { uid: who.uid(), pid: who.pid().unwrap_or(0) }))
            }
        }
    }
}

/// A socket's file, removed when this goes.
struct SocketFile(SocketAddress);

impl SocketFile {
    fn at(dir: &Path, name: &str) -> io::Result<Self> {
        Ok(Self(SocketAddress::new(dir, name)?))
    }

    /// Removes a socket that nobody answers any more; anything else in its place is an error.
    fn replace(dir: &Path, name: &str) -> io::Result<Self> {
        let address = SocketAddress::new(dir, name)?;
        let taken = match fs::symlink_metadata(address.path()) {
            Ok(there) if there.file_type().is_socket() => {
                std::os::unix::net::UnixStream::connect(address.path()).is_ok()
            }
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self(address)),
            Err(error) => return Err(error),
        };
        if taken {
            return Err(ErrorKind::AddrInUse.into());
        }
        fs::remove_file(address.path())?;
        Ok(Self(address))
    }

    fn bind(dir: &Path, name: &str) -> io::Result<std::os::unix::net::UnixListener> {
        let listener = std::os::unix::net::UnixListener::bind(SocketAddress::new(dir, name)?.path())?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_is_answered_stays_and_a_stale_one_goes() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("http.sock");
        let first = Listener::unix(&path).expect("bound");
        assert!(Listener::unix(&path).is_err_and(|error| error.kind() == ErrorKind::AddrInUse));
        drop(first);
        assert!(!path.exists(), "it goes with its listener");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
        assert!(path.exists(), "left behind");
        drop(Listener::unix(&path).expect("replaced"));
        fs::write(&path, b"a file").expect("written");
        assert!(Listener::unix(&path).is_err());
        assert!(path.is_file(), "what is no socket stays");
    }
}
