//! TLS from a certificate and a key in PEM files, given or made here, which can be read again while connections are open.
//!
//! Promises: TLS 1.2 and 1.3 only, ring alone, HTTP/2 and HTTP/1.1 by ALPN; a client that does not shake hands in time is dropped; a
//! key that others can read is refused; what cannot be read again leaves the pair in use as it is.
//! Never: ends a connection because the certificate changed, or prints a key.

mod own;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ring::digest;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

/// A certificate with its key, ready to be shown. Clones share them.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    certificate: PathBuf,
    key: PathBuf,
    pair: RwLock<Pair>,
}

/// What is shown to whoever comes now.
#[derive(Clone)]
struct Pair {
    acceptor: TlsAcceptor,
    fingerprint: Fingerprint,
}

/// SHA-256 of a certificate, in pairs of hexadecimal digits with colons, as openssl and browsers show it.
pub type Fingerprint = Arc<str>;

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
    /// Everybody on this machine could take the key.
    #[error("the key {} can be read by others (mode {mode:o}); run: chmod o= {}", path.display(), path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Key and certificate do not go together, or one of them is broken.
    #[error("the certificate {} and its key cannot be used", path.display())]
    Pair {
        /// The certificate's file.
        path: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate in {}", path.display())]
    Make {
        /// Where it should be.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl Tls {
    /// From a certificate, with its chain, and its key.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let pair = RwLock::new(Pair::read(certificate, key)?);
        Ok(Self(Arc::new(Shared { certificate: certificate.to_owned(), key: key.to_owned(), pair })))
    }

    /// From the certificate of our own in `dir`, which is made where there is none, for this machine and these names.
    pub fn own(dir: &Path, names: &[String]) -> Result<Self, Error> {
        let path = own::path(dir);
        own::make_unless_there(dir, names).map_err(|source| Error::Make { path: path.clone(), source })?;
        Self::load(&path, &path)
    }

    /// Reads both files again, for those who come from now on. When they cannot be used all stays as it is.
    pub fn reload(&self) -> Result<Fingerprint, Error> {
        let pair = Pair::read(&self.0.certificate, &self.0.key)?;
        let fingerprint = pair.fingerprint.clone();
        *self.0.pair.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(fingerprint)
    }

    /// The fingerprint of the certificate that is shown now.
    pub fn fingerprint(&self) -> Fingerprint {
        self.pair().fingerprint
    }

    fn pair(&self) -> Pair {
        self.0.pair.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shakes hands, and says with which certificate; none when the client does not, in time.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        patience: Duration,
    ) -> Option<(TlsStream<TcpStream>, Fingerprint)> {
        let Pair { acceptor, fingerprint } = self.pair();
        match timeout(patience, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some((stream, fingerprint)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS handshake");
                None
            }
            Err(_) => None,
        }
    }
}

impl Pair {
    fn read(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let chain = chain(certificate)?;
        let fingerprint = fingerprint(chain.first().map(AsRef::as_ref).unwrap_or_default());
        let key = private_key(key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let paired = versions.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let mut config = paired.map_err(|source| Error::Pair { path: certificate.to_owned(), source })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), fingerprint })
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    chain.map_err(|error| unreadable(path, &error))
}

/// The permissions are those of the file that is read, not of whatever has its name a moment later.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mode = file.metadata().map_err(|error| unreadable(path, &error))?.permissions().mode() & 0o7777;
    // A group of its own is how Debian lets several services share a key.
    if mode & 0o007 != 0 {
        return Err(Error::OpenToOthers { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(Vec::new());
    file.read_to_end(&mut text).map_err(|error| unreadable(path, &error))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::File { path: path.to_owned(), reason: error.to_string() }
}

fn fingerprint(certificate: &[u8]) -> Fingerprint {
    let hash = digest::digest(&digest::SHA256, certificate);
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":").into()
}
