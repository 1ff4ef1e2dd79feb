//! Watches over answers that take long: when what they rest on ends, a session or token above all, they end within seconds.
//!
//! Promise: an answer under way is cut at most [`limits::VIGIL_EVERY`] and a look at the catalog after its session has ended, also
//! when its client reads slowly. Never: looks on an async thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Context;
use super::request::Connection;
use crate::model::limits;
use crate::service::Standing;

/// A watch that ends with the answer it is held by.
pub struct Vigil {
    over: Arc<AtomicBool>,
    watch: JoinHandle<()>,
}

impl Vigil {
    /// Begins to watch for an answer over `connection`.
    pub fn begin(context: &Context, standing: Standing, connection: Connection) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let watch = tokio::spawn(watch(context.clone(), standing, connection, Arc::clone(&over)));
        Self { over, watch }
    }

    /// Whether the answer must end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

async fn watch(context: Context, standing: Standing, connection: Connection, over: Arc<AtomicBool>) {
    loop {
        sleep(limits::VIGIL_EVERY).await;
        let (services, asked) = (context.services.clone(), standing.clone());
        // A catalog that cannot be asked is no reason to end anything, nor to go on unwatched.
        if let Ok(false) = context.bridge.call(move || services.stands(&asked)).await {
            over.store(true, Ordering::Release);
            tracing::info!(peer = %connection.peer, "an answer under way is cut: its session or token has ended");
            // Over HTTP/2 the stream ends when its client wants more of it; the connection may be shared with others.
            if !connection.is_shared() {
                connection.cut();
            }
            return;
        }
    }
}
