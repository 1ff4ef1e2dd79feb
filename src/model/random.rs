//! Bytes from the operating system's generator, by the system call itself: it needs no `/dev`, so it works in an empty chroot.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Random bytes fit for keys. Waits until the system has gathered enough after its boot.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}
