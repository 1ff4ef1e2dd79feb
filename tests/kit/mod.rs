//! What the crash, image, sync, large and bench harnesses share: a server as a child process, a plain HTTP/1.1 client
//! on a socket, one call per endpoint, seeded randomness, and the ledger of what the server has promised.
//!
//! Nothing here knows how the server keeps its data: everything is seen through its command line and its HTTP API.
#![allow(dead_code, reason = "each harness is its own crate and uses a part of the kit")]

pub mod api;
pub mod http;
pub mod ledger;
pub mod mount;
pub mod objects;
pub mod place;
pub mod random;
pub mod server;
pub mod stream;
pub mod verify;
