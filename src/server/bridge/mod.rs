//! The one crossing between async sockets and plain threads.
//!
//! Promises: no thread waits for a socket and no socket's task waits on a lock: work crosses piece by piece, so a thousand slow
//! clients hold no thread. Bytes that wait are bounded over all requests by two budgets, whose permits ride with the pieces.
//! What a request leaves behind is dropped on a thread. Never: a blocking call on an async thread, an unbounded queue.

mod hunger;
mod inflow;
mod outflow;
mod progress;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use inflow::Sink;
pub use outflow::{Cut, Outflow, PieceSizes};

use self::hunger::Hunger;
use self::turns::Turns;
use super::error::Error;
use super::guard::source::Group;
use crate::model::limits;
use crate::service;

/// The crossing. Clones share its threads and budgets.
#[derive(Clone)]
pub struct Bridge {
    shared: Arc<Shared>,
}

struct Shared {
    body_idle: Duration,
    /// Of a body, in each such time.
    body_bytes_min: u64,
    threads: Arc<Semaphore>,
    /// Threads among them that may wait for the log.
    changes: Arc<Semaphore>,
    password_runs: Arc<Semaphore>,
    password_queue: Arc<Semaphore>,
    password_turns: Turns,
    /// Bytes of uploads that may wait.
    incoming_bytes: Arc<Semaphore>,
    /// Bytes of downloads and listings that may wait.
    outgoing_bytes: Arc<Semaphore>,
    /// Downloads that wait for them.
    hunger: Hunger,
}

impl Bridge {
    /// A bridge that gives a body up after `body_idle` of silence, or of less than so many bytes a second.
    pub fn new(body_idle: Duration, body_bytes_per_s_min: u64) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let shared = Shared {
            body_idle,
            body_bytes_min: body_bytes_per_s_min.saturating_mul(body_idle.as_secs()),
            threads: semaphore(limits::WORK_THREADS_MAX),
            changes: semaphore(limits::CHANGE_THREADS_MAX),
            password_runs: semaphore(limits::PASSWORD_RUNS_MAX),
            password_queue: semaphore(limits::PASSWORD_RUNS_MAX + limits::PASSWORD_RUNS_WAITING_MAX),
            password_turns: Turns::default(),
            incoming_bytes: semaphore(limits::BODY_BYTES_WAITING_MAX),
            outgoing_bytes: semaphore(limits::DOWNLOAD_BYTES_WAITING_MAX),
            hunger: Hunger::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Does short work on a thread. When all threads stay busy for [`limits::WORK_WAIT`] the answer is `Busy`.
    pub async fn call<T, E, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        E: Into<Error> + Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        let thread = timeout(limits::WORK_WAIT, self.shared.threads.clone().acquire_owned()).await;
        let Ok(Ok(thread)) = thread else { return Err(service::Error::Busy.into()) };
        on_thread(thread, work).await
    }

    /// Does work that may wait for the log. Fewer at once than there are threads, so that readers go on when a write hangs.
    pub async fn call_change<T, E, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        E: Into<Error> + Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        let change = timeout(limits::WORK_WAIT, self.shared.changes.clone().acquire_owned()).await;
        let Ok(Ok(change)) = change else { return Err(service::Error::Busy.into()) };
        self.call(move || {
            let _change = change;
            work()
        })
        .await
    }

    /// Does work that hashes a password: few at once, few waiting, the rest are `Busy` at once. Those of one address wait for each other first.
    pub async fn call_password<T, E, F>(&self, from: Option<Group>, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        E: Into<Error> + Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        let turn = match from {
            Some(group) => Some(self.shared.password_turns.take(group).await.ok_or(service::Error::Busy)?),
            None => None,
        };
        let Ok(_place) = self.shared.password_queue.clone().try_acquire_owned() else {
            return Err(service::Error::Busy.into());
        };
        let Ok(run) = self.shared.password_runs.clone().acquire_owned().await else {
            return Err(service::Error::Busy.into());
        };
        on_thread((run, turn), work).await
    }

    /// Waits until no work is under way any more, at most `patience`.
    pub async fn quiet(&self, patience: Duration) {
        let all = async {
            let threads = self.shared.threads.acquire_many(permits(limits::WORK_THREADS_MAX)).await;
            let runs = self.shared.password_runs.acquire_many(permits(limits::PASSWORD_RUNS_MAX)).await;
            drop((threads, runs));
        };
        if timeout(patience, all).await.is_err() {
            tracing::warn!("work was still under way when the server stopped");
        }
    }
}

/// `permit` ends with the work, not with whoever waits for it.
async fn on_thread<P, T, E, F>(permit: P, work: F) -> Result<T, Error>
where
    P: Send + 'static,
    T: Send + 'static,
    E: Into<Error> + Send + 'static,
    F: FnOnce() -> Result<T, E> + Send + 'static,
{
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    match task.await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(Error::Panicked),
    }
}

/// A count of bytes as semaphores take it.
fn permits(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A value that belongs to threads while async code holds it: dropping it may block, so it is dropped on a thread.
struct Parked<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Parked<T> {
    fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// Takes the value out, on the thread that works with it. Only the first call gets it.
    fn take(mut self) -> Result<T, Error> {
        self.0.take().ok_or(Error::Panicked)
    }
}

impl<T: Send + 'static> Drop for Parked<T> {
    fn drop(&mut self) {
        if let (Some(value), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn_blocking(move || drop(value));
        }
    }
}
