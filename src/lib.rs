//! RBackup: a self-hosted backup service in one binary. Start reading at `app.rs`, `service/` and `store/mod.rs`;
//! `ARCHITECTURE.md` has the plan of the house.

pub mod model;

pub mod chunk;
pub mod store;

pub mod service;
