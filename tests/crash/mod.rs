//! The parts of the kill -9 loop: who works, and what else is killed.
pub mod kills;
pub mod load;
