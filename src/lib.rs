//! RBackup: a self-hosted backup service in one binary. Start reading at `app/mod.rs`, `server/mod.rs`, `service/upload.rs`
//! and `store/mod.rs`; `ARCHITECTURE.md` has the plan of the house.

pub mod model;

pub mod chunk;
pub mod store;

pub mod service;

pub mod server;
pub mod wire;

pub mod client;

pub mod app;
pub mod cli;
pub mod config;
