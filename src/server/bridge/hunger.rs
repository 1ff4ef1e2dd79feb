//! Who waits for the memory that downloads share, and who must give it back.
//!
//! Promises: a download that waits asks again and again, and each time one of those whose clients have stalled long enough hears it.
//! So as few are cut as are needed, and nobody waits longer than a stall may last.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::model::limits;

/// Downloads that wait for memory.
#[derive(Default)]
pub struct Hunger {
    waiting: AtomicUsize,
    asked: Notify,
}

impl Hunger {
    /// Waits for `memory`, and lets stalled downloads know as long as it does not come.
    pub async fn until<T>(&self, memory: impl Future<Output = T>) -> T {
        let _waiting = Waiting::new(&self.waiting);
        tokio::select! {
            memory = memory => memory,
            never = self.ask() => match never {},
        }
    }

    async fn ask(&self) -> Infallible {
        loop {
            self.asked.notify_one();
            sleep(limits::HUNGER_ASKS_EVERY).await;
        }
    }

    /// Resolves when somebody waits and nobody else has heard it yet.
    pub async fn heard(&self) {
        loop {
            self.asked.notified().await;
            // Asked, and fed meanwhile.
            if self.waiting.load(Ordering::Relaxed) > 0 {
                return;
            }
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    /// Three hold all there is, one needs one share: one of them is cut, and the others stay.
    #[tokio::test]
    async fn one_gives_way_to_one() {
        let (hunger, memory) = (Arc::new(Hunger::default()), Arc::new(Semaphore::new(3)));
        for _ in 0..3 {
            let (hunger, share) = (hunger.clone(), memory.clone().acquire_owned().await.expect("a share"));
            tokio::spawn(async move {
                hunger.heard().await;
                drop(share);
            });
        }
        drop(hunger.until(memory.acquire()).await.expect("a share that was given back"));
        assert_eq!(memory.available_permits(), 1, "as few as were needed");
    }

    #[tokio::test]
    async fn nobody_hears_those_who_were_fed() {
        let hunger = Hunger::default();
        hunger.until(async { tokio::task::yield_now().await }).await;
        assert!(timeout(Duration::from_millis(50), hunger.heard()).await.is_err());
    }
}
