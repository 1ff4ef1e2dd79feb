//! The parts of the damage matrix, in the order in which they work.
pub mod image;
pub mod visitor;

pub mod oracle;
pub mod shape;

pub mod harm;
pub mod plan;

pub mod layout;
pub mod look;
pub mod naming;
pub mod panics;
pub mod trial;

pub mod crew;
pub mod table;

mod healing;
mod planted;
