//! Who is connected: how many connections each address has, and which of all have asked nothing yet.
//!
//! Promises: what is remembered is one count for each address, and at most two entries for each connection that may be open; when
//! all places are taken, whoever has been silent for longest goes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::guard::source::Group;
use super::request::Connection;

/// The counts; clones share them.
#[derive(Clone, Default)]
pub struct Crowd(Arc<Mutex<HashMap<Group, usize>>>);

/// One connection, until it goes.
pub struct Presence {
    crowd: Crowd,
    group: Group,
}

impl Crowd {
    /// One connection more, unless this address has `most`.
    pub fn enter(&self, group: Group, most: usize) -> Option<Presence> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(group).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Presence { crowd: self.clone(), group })
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut counts = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.group) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.group);
            }
        }
        // A flood's table is not kept for ever.
        if counts.len() * 8 < counts.capacity() {
            counts.shrink_to_fit();
        }
    }
}

/// Connections that have asked nothing yet, in the order they came. Clones share them.
#[derive(Clone, Default)]
pub struct Silent(Arc<Mutex<VecDeque<Connection>>>);

impl Silent {
    /// One more of at most `most` that may be open.
    pub fn add(&self, connection: Connection, most: usize) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while silent.front().is_some_and(Connection::has_asked) {
            silent.pop_front();
        }
        if silent.len() >= 2 * most {
            silent.retain(|connection| !connection.has_asked());
        }
        silent.push_back(connection);
    }

    /// Cuts the one that came first.
    pub fn cut_first(&self) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = silent.pop_front() {
            if !connection.has_asked() {
                return connection.cut();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_leaves_nothing_behind() {
        let crowd = Crowd::default();
        let held: Vec<_> = (0..5).filter_map(|_| crowd.enter([1; 9], 3)).collect();
        assert_eq!(held.len(), 3);
        assert!(crowd.enter([2; 9], 3).is_some(), "another address");
        drop(held);
        assert!(crowd.enter([1; 9], 3).is_some());
        assert!(crowd.0.lock().expect("free").is_empty());
    }
}
