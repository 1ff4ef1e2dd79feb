//! The parts of the fault harness, in the order to read them.
pub mod fault;
pub mod prepared;
pub mod witness;

pub mod client;
pub mod operation;
pub mod trial;

pub mod plan;
