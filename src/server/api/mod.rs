//! The routes of the contract. Every handler has three moves: parse, apply, reply.
//! Never: a loop, or a look into storage.

pub mod status;

pub mod account;
pub mod archive;
pub mod browser;

pub mod session;

pub mod token;

pub mod audit;

pub mod files;
pub mod invite;

pub mod browse;

pub mod upload;

pub mod download;

pub mod preview;
pub mod remove;
pub mod repo;
pub mod restore;

pub mod openapi;
