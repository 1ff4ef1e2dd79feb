//! Uses the library as the server would: accounts, sessions, uploads, reads. Small volumes and chunks, so that a small
//! store crosses many of them.

use bytes::Bytes;
use rbackup::model::{DeviceName, FilePath, Password, Secret, Sha256, SystemClock, Username};
use rbackup::service::{Admission, Caller, Error, Policy, Services, UploadRequest, Visit};
use rbackup::store::{self, Options, Segment, Store, VolumeLimits};
use sha2::Digest;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The password of every account.
const PASSWORD: &str = "a long password";

/// How the stores are made, but for the segments.
pub const OPTIONS: Options = Options {
    volume: VolumeLimits { payload_bytes: 120_000, blocks: 30, frames: 50, record_bytes: 6_000 },
    chunk_bytes: [1024, 4096, 16384],
    ballast_bytes: Some(0),
    ..Options::DEFAULT
};

/// Makes a store with segments of this size.
pub fn create(data: &Path, segment: Segment) -> Services {
    serve(Store::open(data, Options { segment, ..OPTIONS }).expect("a new store"))
}

/// Opens a store; it knows the size of its segments itself.
pub fn open(data: &Path) -> Result<Services, store::Error> {
    Ok(serve(Store::open(data, OPTIONS)?))
}

/// Opens a store whose volumes `lost` are lost for good; with the version ids that may have been given in them.
pub fn go_on_without(data: &Path, lost: &[u32]) -> Result<(Services, Vec<Range<u64>>), store::Error> {
    let (store, _) = Store::rebuild_without(data, OPTIONS, lost)?;
    let skipped = store.given_up_versions()?.into_iter().map(|it| it.versions).collect();
    Ok((serve(store), skipped))
}

/// Opens a store with its catalog made anew.
pub fn rebuild(data: &Path) -> Services {
    serve(Store::rebuild(data, OPTIONS).expect("rebuilt"))
}

fn serve(store: Store) -> Services {
    Services::new(store, Arc::new(SystemClock), Policy::default())
}

/// Makes an account.
pub fn register(services: &Services, account: &str) {
    let password = Password::parse(PASSWORD.to_owned()).expect("long enough");
    services.register(username(account), password, &Admission::local()).expect("registered");
}

/// Signs a device in and returns the session's secret.
pub fn login(services: &Services, account: &str, device: &str) -> Result<String, Error> {
    let device = DeviceName::parse(device.to_owned()).expect("a device's name");
    let signed_in = services.login(&username(account), &Secret::new(PASSWORD.to_owned()), device, &Visit::default())?;
    Ok(signed_in.session_id.reveal().clone())
}

fn username(account: &str) -> Username {
    Username::parse(account.to_owned()).expect("a name")
}

/// Sends a file and returns the id of its new version and the file's id.
pub fn upload(services: &Services, session: &Caller, path: &str, content: &[u8]) -> Result<(u64, u64), Error> {
    let path = FilePath::parse(path.as_bytes().to_vec()).expect("a path");
    let mut intake =
        services.upload(session, UploadRequest { path, size: None, size_min: 0, mtime: None, mode: None })?;
    for piece in content.chunks(7000) {
        intake.push(Bytes::copy_from_slice(piece))?;
    }
    let file = intake.finish(Some(sha256(content)))?;
    let newest = file.versions.iter().map(|version| version.id.0).max();
    Ok((newest.expect("the new version is in the answer"), file.id.0))
}

/// The digest of some bytes.
pub fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// An error with all its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace('\n', " ")
}
