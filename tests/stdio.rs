//! restic in place of rclone: over stdin and stdout with and without a server, through ssh, and `rbackup serve restic` with
//! listeners of its own under both names. Real restic (Debian's), real sshd, real curl; the numbers are those of the
//! specification's 105 cases, run against the program they were taken from.
//!
//! What is not run is not skipped: without restic or sshd a test fails and says how to get them.
//! Planted: a relay at the socket that loses the append-only flag, a banner before the first frame, a key that ssh does not force.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness stops where it finds something wrong")]

mod kit;
#[path = "stdio/mod.rs"]
mod parts;
