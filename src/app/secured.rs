//! Which certificate a process shows, and that it can be changed while it runs.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use super::Error;
use crate::config::{Config, TlsChoice};
use crate::server::Tls;

/// The certificate of the files that were named. Asked before the store is opened: a wrong name leaves nothing behind.
pub fn given(config: &Config) -> Result<Option<Tls>, Error> {
    match &config.tls {
        TlsChoice::Files { certificate, key } => Ok(Some(Tls::load(certificate, key)?)),
        TlsChoice::Own | TlsChoice::Off => Ok(None),
    }
}

/// The data directory's own certificate, if that is meant. The store is open: its directory is there, and ours.
pub fn own(config: &Config) -> Result<Option<Tls>, Error> {
    if config.tls != TlsChoice::Own {
        return Ok(None);
    }
    let named = config.listen.iter().map(|address| address.ip()).filter(|ip| !ip.is_unspecified());
    let names: Vec<String> = named.map(|ip| ip.to_string()).collect();
    Ok(Some(Tls::own(&config.data, &names)?))
}

/// From now on SIGHUP reads the files again. What cannot be used is said, and what is in use stays.
pub fn reload_at_hangup(tls: Tls) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let read = tls.clone();
            match tokio::task::spawn_blocking(move || read.reload()).await {
                Ok(Ok(fingerprint)) => tracing::info!(%fingerprint, "the certificate was read again"),
                Ok(Err(error)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "the certificate was not read again; the one in use stays");
                }
                Err(_) => tracing::error!("reading the certificate again panicked; the one in use stays"),
            }
        }
    });
    Ok(())
}
