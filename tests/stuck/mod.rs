//! The parts of the stuck and the slow, in the order in which they are needed.
pub mod hold;
pub mod house;
pub mod others;
pub mod sockets;
