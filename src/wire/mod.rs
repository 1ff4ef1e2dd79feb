//! JSON as the outside sees it. Promises: names and types of fields never change, fields are only added.
//! Never: decides anything, touches a socket, or holds a secret longer than its caller.

pub mod access;
pub mod account;
pub mod admin;
pub mod audit;
pub mod browse;
pub mod errand;
pub mod error;
pub mod fields;
pub mod file;
pub mod preamble;
pub mod repo;
pub mod restic;
pub mod status;

use serde::Serialize;

/// A value as JSON bytes. Our own shapes always serialize; should one not, the answer is `null` rather than a panic.
pub fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec())
}
