//! A certificate of our own, signed by itself, for whoever has none.
//!
//! Promises: made once and kept; certificate and key are one file, so that no crash leaves half a pair; only its owner reads it.
//! Never: replaces a file that is there: clients have pinned its fingerprint.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// In the data directory, beside the socket.
const NAME: &str = "tls.pem";
/// What stands in it as the subject: who looks at a warning of a browser reads it.
const SUBJECT: &str = "RBackup";
/// A name of a machine, as Linux bounds it.
const HOST_NAME_BYTES_MAX: usize = 64;

/// Where it is kept.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Makes it for this machine's names and `names`, unless it is there.
pub fn make_unless_there(dir: &Path, names: &[String]) -> io::Result<()> {
    match fs::symlink_metadata(path(dir)) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let text = make(names).map_err(io::Error::other)?;
    let fresh = dir.join(format!("{NAME}.new"));
    // One that a crash left has unknown permissions.
    let _ = fs::remove_file(&fresh);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path(dir))?;
    File::open(dir)?.sync_all()
}

/// Valid from 1975 to 4096, as rcgen has it: trust comes from the fingerprint, a machine that starts without a clock makes one
/// too, and a date that passes would lock devices out.
fn make(names: &[String]) -> Result<Zeroizing<String>, rcgen::Error> {
    let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    all.extend(host_names().into_iter().chain(names.iter().cloned()));
    all.sort();
    all.dedup();
    let key = rcgen::KeyPair::generate()?;
    let mut wanted = rcgen::CertificateParams::new(all)?;
    wanted.distinguished_name = rcgen::DistinguishedName::new();
    wanted.distinguished_name.push(rcgen::DnType::CommonName, SUBJECT);
    let certificate = wanted.self_signed(&key)?;
    let secret = Zeroizing::new(key.serialize_pem());
    Ok(Zeroizing::new(format!("{}{}", certificate.pem(), *secret)))
}

/// The machine's name, and the same as the local network says it.
fn host_names() -> Vec<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_ascii_lowercase();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if name.is_empty() || name.len() > HOST_NAME_BYTES_MAX || !name.bytes().all(fits) {
        return Vec::new();
    }
    let local = format!("{name}.local");
    if name.contains('.') { vec![name] } else { vec![name, local] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::tls::{Error, Tls};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_made_once_and_only_its_owner_reads_it() {
        let home = tempfile::tempdir().expect("a directory");
        let names = ["192.0.2.7".to_owned()];
        let first = Tls::own(home.path(), &names).map(|tls| tls.fingerprint()).expect("made");
        let mode = fs::metadata(path(home.path())).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Tls::own(home.path(), &names).map(|tls| tls.fingerprint()).expect("kept"), first);
        assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 1, "nothing else is left");
        fs::set_permissions(path(home.path()), fs::Permissions::from_mode(0o604)).expect("changed");
        let refused = Tls::own(home.path(), &names).err();
        assert!(matches!(refused, Some(Error::OpenToOthers { .. })), "{refused:?}");
    }
}
