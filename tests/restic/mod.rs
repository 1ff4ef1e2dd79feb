//! The parts of the restic harness.
pub mod program;
pub mod tree;
