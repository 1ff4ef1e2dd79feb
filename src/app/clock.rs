//! The clock that everything in the house is told the time by.
//!
//! Tests of lifetimes need other days than today. They name a file in `RBACKUP_CLOCK_SHIFT`, which says by how many seconds the
//! clock is wrong, and may change while the server runs. Alternatives: a key of the configuration would be in the hands of whoever
//! runs the product, who might find a use for it; setting the machine's clock needs root and meets everybody else on it. So
//! only programs built with debug assertions look at it, and the release has no code for it.

use std::sync::Arc;

use crate::model::{Clock, SystemClock};

/// The machine's clock; in a debug build one that may be shifted.
pub fn clock() -> Arc<dyn Clock> {
    #[cfg(debug_assertions)]
    if let Some(file) = std::env::var_os("RBACKUP_CLOCK_SHIFT") {
        return Arc::new(shifted::Shifted { file: file.into() });
    }
    Arc::new(SystemClock)
}

#[cfg(debug_assertions)]
mod shifted {
    use std::path::PathBuf;

    use crate::model::{Clock, SystemClock, Timestamp};

    /// The machine's clock plus what a file says, in seconds; read anew each time.
    pub struct Shifted {
        pub file: PathBuf,
    }

    impl Clock for Shifted {
        fn now(&self) -> Timestamp {
            let text = std::fs::read_to_string(&self.file).unwrap_or_default();
            let seconds = text.trim().parse::<i64>().unwrap_or(0);
            Timestamp(SystemClock.now().0.saturating_add(seconds.saturating_mul(1000)))
        }
    }
}
