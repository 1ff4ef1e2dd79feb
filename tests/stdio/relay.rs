//! Something between a pump and its server that loses a right's limit: the bug that the tests of append-only must see.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

/// Magic, version, length.
const HEAD_BYTES: usize = 14;

/// Stands at the data directory's socket until it goes.
pub struct Relay {
    socket: PathBuf,
    real: PathBuf,
}

impl Relay {
    /// Takes the place of the socket of a running server, and says something else than the pumps do.
    pub fn saying(data: &Path, instead: fn(&str) -> String) -> Self {
        let (socket, real) = (data.join("rbackup.sock"), data.join("real.sock"));
        std::fs::rename(&socket, &real).expect("a running server's socket");
        let (listener, behind) = (UnixListener::bind(&socket).expect("bind"), real.clone());
        thread::spawn(move || {
            for pump in listener.incoming().flatten() {
                let server = UnixStream::connect(&behind).expect("the real server");
                thread::spawn(move || relay(pump, server, instead));
            }
        });
        Self { socket, real }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        let _ = std::fs::rename(&self.real, &self.socket);
    }
}

fn relay(mut pump: UnixStream, mut server: UnixStream, instead: fn(&str) -> String) {
    let mut head = [0; HEAD_BYTES];
    pump.read_exact(&mut head).expect("a head");
    let length = u32::from_be_bytes(head[10..].try_into().unwrap());
    let mut body = vec![0; length as usize];
    pump.read_exact(&mut body).expect("a body");
    let body = instead(std::str::from_utf8(&body).expect("JSON"));
    head[10..].copy_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    server.write_all(&[&head[..], body.as_bytes()].concat()).expect("the server listens");
    let (mut from_server, mut to_pump) = (server.try_clone().unwrap(), pump.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_pump);
        let _ = to_pump.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut pump, &mut server);
    let _ = server.shutdown(Shutdown::Write);
}
