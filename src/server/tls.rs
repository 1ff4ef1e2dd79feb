//! TLS from a certificate and a key in PEM files, as they are given: no certificate is made here.
//!
//! Promises: TLS 1.2 and 1.3 only, ring alone, HTTP/2 and HTTP/1.1 by ALPN; a client that does not shake hands in time is dropped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::model::limits;

/// A certificate with its key, ready to be shown. Clones share them.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Why a certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file holds no PEM of the right kind.
    #[error("cannot read {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Key and certificate do not go together, or one of them is broken.
    #[error("certificate and key cannot be used")]
    Pair(#[source] rustls::Error),
}

impl Tls {
    /// From a certificate, with its chain, and its key.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |error: rustls::pki_types::pem::Error| Error::File { path, reason: error.to_string() }
        };
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(certificate).map_err(unreadable(certificate))?.collect();
        let chain = chain.map_err(unreadable(certificate))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let paired = versions.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let mut config = paired.map_err(Error::Pair)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Shakes hands; none when the client does not, in time.
    pub(super) async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        match timeout(limits::HEADERS_READ, self.0.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS handshake");
                None
            }
            Err(_) => None,
        }
    }
}
