//! What every test stands on: a real server process in a directory of its own, and curl as its only client.
//!
//! A test that fails in here failed before it said anything about RBackup: the server did not start, did not stop, or
//! curl could not be run. `House` also holds what is true for the whole suite: no secret that a test used and no panic
//! may ever stand in the server's log.

pub mod api;
pub mod curl;
pub mod house;
pub mod noise;
pub mod openssl;
pub mod raw;

pub use api::Member;
pub use curl::Answer;
pub use house::House;
pub use noise::{noise, sha256_hex};
