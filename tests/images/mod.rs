//! The parts of the crash-image harness, in the order in which they work.
pub mod cut;
pub mod disk;
pub mod history;
pub mod log;
pub mod recording;
pub mod tearing;
pub mod tree;
pub mod trial;
