//! The load of the kill -9 loop.
pub mod load;
