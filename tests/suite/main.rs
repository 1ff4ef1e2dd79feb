//! RBackup through the border its users touch: a process, its command line, HTTP by curl. One file per capability.
//!
//! Nothing in here links against the server's rooms, but for the list of routes that `rights` must miss none of, and for the
//! wrapping of keys that `secrecy` looks for. A failing test names a sentence of the contract that is not true.

mod support;

mod account;
mod accounts;
mod attack;
mod audit;
mod bad_input;
mod broken;
mod cli;
mod cookie;
mod damage;
mod dedup;
mod download;
mod ending;
mod examples;
mod export;
mod flood;
mod headers;
mod isolation;
mod keys;
mod limits;
mod list;
mod lost_volume;
mod names;
mod old_formats;
mod one_process;
mod owner;
mod proxy;
mod quota;
mod read_only;
mod readme;
mod rebuild;
mod registration;
mod remove;
mod restart;
mod restic;
mod restore;
mod rights;
mod rotation;
mod runner;
mod secrecy;
mod service_unit;
mod session;
mod status;
mod tls;
mod token;
mod ui;
mod upload;
mod wrong_disk;
mod zip;
