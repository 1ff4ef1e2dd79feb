//! Whose turn it is to have a password hashed: an address has one at a time, so that who asks often keeps nobody else waiting.
//!
//! Promises: an address takes one place of the common queue at most; its others wait in a line of its own, which is bounded. Never: keeps an
//! address for which nobody waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::limits;
use crate::server::guard::source::Group;

type Lines = Arc<Mutex<HashMap<Group, Line>>>;

/// The lines of all addresses.
#[derive(Default)]
pub struct Turns {
    lines: Lines,
}

struct Line {
    turn: Arc<Semaphore>,
    /// Who has the turn, and who waits for it.
    there: usize,
}

/// The turn of an address, until it is dropped.
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// A place in a line, left when it is dropped.
struct Place {
    lines: Lines,
    group: Group,
}

impl Turns {
    /// Waits for the turn of an address; nothing when its line is full.
    pub async fn take(&self, group: Group) -> Option<Turn> {
        let (place, turn) = self.join(group)?;
        let permit = turn.acquire_owned().await.ok()?;
        Some(Turn { _permit: permit, _place: place })
    }

    fn join(&self, group: Group) -> Option<(Place, Arc<Semaphore>)> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(group).or_insert_with(|| Line { turn: Arc::new(Semaphore::new(1)), there: 0 });
        if line.there > limits::PASSWORD_RUNS_WAITING_OF_ADDRESS_MAX {
            return None;
        }
        line.there += 1;
        Some((Place { lines: Arc::clone(&self.lines), group }, Arc::clone(&line.turn)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(&self.group) {
            line.there -= 1;
            if line.there == 0 {
                lines.remove(&self.group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const HERE: Group = [4; 9];
    const THERE: Group = [6; 9];

    #[tokio::test]
    async fn an_address_has_one_turn_at_a_time_and_a_line_that_ends() {
        let turns = Turns::default();
        let first = turns.take(HERE).await.expect("nobody is before it");
        assert!(turns.take(HERE).now_or_never().is_none(), "the next one waits");
        assert!(turns.take(THERE).now_or_never().flatten().is_some(), "others do not");
        let mut waiting: Vec<_> =
            (0..limits::PASSWORD_RUNS_WAITING_OF_ADDRESS_MAX).map(|_| Box::pin(turns.take(HERE))).collect();
        assert!(waiting.iter_mut().all(|one| one.as_mut().now_or_never().is_none()));
        assert!(turns.take(HERE).await.is_none(), "the line is full, and says so at once");
        drop(first);
        let second = waiting.remove(0).await.expect("its turn");
        drop((second, waiting));
        assert!(turns.lines.lock().expect("free").is_empty(), "nothing is kept");
    }
}
