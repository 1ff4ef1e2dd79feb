//! The parts of the model: what may be done, in any order, and the plain maps it is held against.
pub mod access;
pub mod objects;
pub mod steps;
pub mod world;
