//! RBackup through the border its users touch: a process, its command line, HTTP by curl. One file per capability.
//!
//! Nothing in here links against the server's rooms. A failing test names a sentence of the contract that is not true.

mod support;

mod account;
mod bad_input;
mod broken;
mod cli;
mod damage;
mod dedup;
mod download;
mod examples;
mod export;
mod headers;
mod isolation;
mod list;
mod lost_volume;
mod names;
mod old_formats;
mod one_process;
mod proxy;
mod read_only;
mod rebuild;
mod remove;
mod restart;
mod restic;
mod session;
mod status;
mod tls;
mod upload;
mod wrong_disk;
