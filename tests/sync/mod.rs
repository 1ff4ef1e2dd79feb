//! Reading strace.
pub mod trace;
