//! The parts of the full-disk harness, in the order in which they work.
pub mod foreign;
pub mod site;

pub mod flood;
pub mod probe;
pub mod restic;

pub mod failing;
pub mod stages;

pub mod table;
