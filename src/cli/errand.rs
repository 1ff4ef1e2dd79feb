//! Errands: asked of whoever serves the data directory, done here where nobody does.

use std::time::{Duration, Instant};

use super::{Common, Failure};
use crate::app;
use crate::client::{self, Asked};
use crate::config::Config;
use crate::wire::errand::{Errand, Said};

/// One that takes the data directory between our knocking and our opening it serves a moment later.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

/// Has an errand done; what is said goes to `hear`.
pub fn run(common: Common, errand: Errand, hear: &mut dyn FnMut(Said)) -> Result<(), Failure> {
    let config = common.load(Vec::new(), false)?;
    app::log_to_stderr(config.log_level);
    let until = Instant::now() + PATIENCE;
    loop {
        if client::ask(&config.data, &errand, hear)? == Asked::Done {
            return Ok(());
        }
        match here(&config, &errand, hear) {
            Err(Failure::App(error)) if error.is_in_use() && Instant::now() < until => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
}

fn here(config: &Config, errand: &Errand, hear: &mut dyn FnMut(Said)) -> Result<(), Failure> {
    let mut refused = None;
    app::run_errand(config, errand.clone(), &mut |said| match said {
        Said::Done => {}
        Said::Refused { exit, sentence } => refused = Some(client::Error::Refused { exit, sentence }),
        said => hear(said),
    })?;
    refused.map_or(Ok(()), |refused| Err(refused.into()))
}

/// Does `serve`, which needs the data directory; a holder that has it is asked to leave first. Its store is closed a moment after its
/// socket is gone.
pub fn instead_of_a_holder(config: &Config, serve: impl Fn() -> Result<(), app::Error>) -> Result<(), app::Error> {
    match serve() {
        Err(error) if error.is_in_use() && client::succeed(&config.data) => {}
        served => return served,
    }
    let until = Instant::now() + PATIENCE;
    loop {
        match serve() {
            Err(error) if error.is_in_use() && Instant::now() < until => std::thread::sleep(PAUSE),
            served => return served,
        }
    }
}
