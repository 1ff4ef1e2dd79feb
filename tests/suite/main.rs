//! RBackup through the border its users touch: a process, its command line, HTTP by curl. One file per capability.
//!
//! Nothing in here links against the server's rooms. A failing test names a sentence of the contract that is not true.

mod support;

mod status;
mod account;
mod session;
mod upload;
mod names;
mod list;
mod download;
mod remove;
mod restart;
mod bad_input;
mod broken;
mod isolation;
mod dedup;
mod rebuild;
mod damage;
mod one_process;
mod cli;
mod examples;
