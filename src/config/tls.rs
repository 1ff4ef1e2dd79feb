//! How connections over TCP are encrypted: not, with files that are given, or with a certificate that is made here.

use std::path::PathBuf;

use super::Error;
use super::file::Server;

/// What was said in one place, on the command line or in the file.
#[derive(Debug, Default, Clone)]
pub struct TlsWords {
    /// `off` or `auto`.
    pub tls: Option<String>,
    /// A certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// What is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsChoice {
    /// Everything travels in the clear.
    Off,
    /// A certificate of our own in the data directory, made when there is none.
    Own,
    /// These files.
    Files {
        /// The certificate with its chain.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
}

impl Server {
    /// What the file says about TLS.
    pub fn tls_words(&self) -> TlsWords {
        let path = |text: &Option<String>| text.as_ref().map(PathBuf::from);
        TlsWords { tls: self.tls.clone(), certificate: path(&self.cert), key: path(&self.key) }
    }
}

impl TlsChoice {
    /// One word on the command line beats all that the file says of it.
    pub(super) fn of(flags: TlsWords, file: TlsWords) -> Result<Self, Error> {
        let is_silent = flags.tls.is_none() && flags.certificate.is_none() && flags.key.is_none();
        let TlsWords { tls, certificate, key } = if is_silent { file } else { flags };
        let wrong = |key, value: String, reason| Err(Error::Value { key, value, reason });
        match (tls.as_deref(), certificate, key) {
            (None | Some("off"), None, None) => Ok(Self::Off),
            (Some("auto"), None, None) => Ok(Self::Own),
            (None, Some(certificate), Some(key)) => Ok(Self::Files { certificate, key }),
            (None, Some(_), None) => wrong("server.key", String::new(), "a certificate needs its key: give --key too"),
            (None, None, Some(_)) => {
                wrong("server.cert", String::new(), "a key needs its certificate: give --cert too")
            }
            (Some(word @ ("auto" | "off")), ..) => {
                wrong("server.tls", word.to_owned(), "give either this or a certificate with its key")
            }
            (Some(word), ..) => wrong("server.tls", word.to_owned(), "write off or auto, or give --cert and --key"),
        }
    }
}
