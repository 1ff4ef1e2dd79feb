//! The whole store as one stream of verified frames, and a store from such a stream: the way between machines and formats.
//!
//! Promise: what an import accepts is byte by byte what an export wrote, and a store that it made holds every frame of it.
//! The stream knows neither volumes nor blocks nor sled, so it outlives how they are laid out. Memory: one frame at a time.
//! Never: an import that did not end well leaves no directory that a server would open.

mod export;
mod import;
mod stream;
#[cfg(test)]
mod tests;

pub use self::import::{Imported, import};
pub use self::stream::{Counts, MAGIC as EXPORT_MAGIC};
