//! A disk that fails: it turns read-only under the server, or its device answers with EIO.
//!
//! While it fails, a change is refused (503, or 507 where the system says so) and a read gives the right bytes or 503, never
//! other bytes; each refusal is a sentence. Some reads are right on a device that fails, and all of them on a disk that is only
//! read-only. What was refused may turn out to be there, for nobody can tell once a sync has failed; what was
//! acknowledged must be there when the disk is well again.

use super::flood::Flood;
use super::probe::{all_is_well, live};
use super::site::Site;
use super::table::Row;
use crate::kit::api::{self, Failure};
use crate::kit::http::Connection;
use crate::kit::ledger::{Claim, Fate, PASSWORD};
use crate::kit::random::{Content, sha256_hex};
use crate::load::{Load, Plan};
use std::time::Duration;

/// More than the device says it has.
const DEVICE_ROOM_BYTES: u64 = 256 << 20;

/// Everybody works, and ext4 turns read-only under them.
///
/// ext4 itself breaks a promise here: an fdatasync that is under way while the journal is aborted may return 0 without its
/// bytes being on the disk. A plain loop of append and fdatasync lost its last one in 7 of 40 runs (Linux 6.18), with a
/// device that fails in 11 of 40 when two threads sync, in 0 of 60 when one does. No program can see that, so what was
/// acknowledged after the trigger was pulled may be there or not; everything before it must be.
pub fn turns_read_only(site: &mut Site, row: &mut Row) -> Result<(), String> {
    site.start()?;
    site.work()?;
    let plan = Plan::new(site.random.next()).until_the_disk_fails();
    let wait = Duration::from_millis(100 + site.random.below(300));
    let load = Load::start(site.server().address, std::mem::take(&mut site.ledger), &plan);
    std::thread::sleep(wait);
    let before = load.ledger_now();
    site.disk.turn_read_only();
    std::thread::sleep(Duration::from_millis(500));
    site.ledger = load.stop_and_join();
    let young = site.ledger.versions.len() - before.versions.len();
    site.ledger.doubt_since(&before);
    row.note = format!("{young} acknowledged while it failed;");
    while_failing(site, row, Readable::All)?;
    heals(site)
}

/// Uploads until the device is at its end, which ext4 does not know.
pub fn device_fails(site: &mut Site, row: &mut Row) -> Result<(), String> {
    site.start()?;
    site.work()?;
    let flood = Flood { bytes: 600_000, path_bytes: 60, most: 400, refused_may_appear: true };
    let flooded = flood.run(site)?;
    row.note = format!("{} MiB stored", flooded.bytes >> 20);
    if flooded.refusals.is_empty() {
        return Err(format!("{} and the device has not failed", row.note));
    }
    let other = flooded.refusals.iter().find(|(status, _)| ![503, 507].contains(status));
    if let Some((status, body)) = other {
        return Err(format!("on a failing device an upload was answered with {status} {body}"));
    }
    row.refused += flooded.refusals.len() as u32;
    while_failing(site, row, Readable::Some)?;
    site.disk.enlarge_device(DEVICE_ROOM_BYTES);
    heals(site)
}

/// What can be read while a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readable {
    /// Whatever the device still gives.
    Some,
    /// Everything: nothing is written to read.
    All,
}

/// How the reads of everything ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reads {
    /// With the right bytes.
    pub right: u32,
    /// With an honest error.
    pub unavailable: u32,
}

impl Reads {
    fn require(self, readable: Readable) -> Result<(), String> {
        match (self.right, self.unavailable) {
            (0, _) => Err(format!("nothing can be read any more: {self:?}")),
            (_, 0) => Ok(()),
            _ if readable == Readable::Some => Ok(()),
            _ => Err(format!("reads need no write, and some are refused: {self:?}")),
        }
    }
}

/// Nothing is acknowledged any more, and nothing is read wrong.
fn while_failing(site: &mut Site, row: &mut Row, readable: Readable) -> Result<(), String> {
    if !site.ledger.complaints.is_empty() {
        return Err(site.ledger.complaints.join("; "));
    }
    for attempt in 0..3 {
        if !site.runs() {
            return Err("the server ended by itself".into());
        }
        changes_are_refused(site, row, attempt)?;
        reads_are_right(site, row)?.require(readable)?;
    }
    Ok(())
}

fn changes_are_refused(site: &mut Site, row: &mut Row, attempt: u64) -> Result<(), String> {
    let mut wire = site.wire()?;
    let (device, session) = site.signed_in().ok_or("nobody is signed in")?;
    for size in [100, 300_000] {
        let bytes = Content { seed: site.random.next(), size, text: false, inserted: Vec::new() }.bytes();
        let path = format!("/refused {attempt}");
        let claim = Claim { file: (device.clone(), path.clone()), size: size as u64, hash: sha256_hex(&bytes) };
        site.ledger.sending(claim);
        refused("an upload", api::upload(&mut wire, &session, &path, None, &bytes), row)?;
        wire = site.wire()?;
    }
    if let Some(version) = live(site).into_iter().find(|id| site.ledger.versions[id].file.0 == device) {
        site.ledger.removing(&[version]);
        refused("a removal", api::remove_version(&mut wire, &session, version), row)?;
    }
    // Not in the ledger: a device that may or may not be there is nobody's business there.
    let account = site.ledger.devices[&device].account.clone();
    refused("a login", api::login(&mut wire, &account, PASSWORD, "device of a failing disk"), row)?;
    refused("a registration", api::register(&mut wire, &format!("nobody {attempt}"), PASSWORD), row)
}

fn refused<T: std::fmt::Debug>(what: &str, answer: Result<T, Failure>, row: &mut Row) -> Result<(), String> {
    match answer {
        Err(Failure::Refused(503 | 507, body)) => {
            row.refused += 1;
            is_honest(&body, &["unavailable", "no_space"]).map_err(|wrong| format!("{what}: {wrong}"))
        }
        other => Err(format!("{what} on a failing disk was answered with {other:?}")),
    }
}

/// A refusal with one of these codes and a sentence for people.
fn is_honest(body: &str, codes: &[&str]) -> Result<(), String> {
    let told: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let (code, sentence) = (told["code"].as_str().unwrap_or(""), told["error"].as_str().unwrap_or(""));
    if codes.contains(&code) && sentence.contains(' ') && sentence.ends_with('.') {
        return Ok(());
    }
    Err(format!("a refusal with one of the codes {codes:?} and a sentence was wanted, and it is {body}"))
}

/// Planted: refusals without a sentence, and reads of which none, or not all, are right.
#[test]
fn a_disk_that_gives_nothing_more_is_noticed() {
    let honest = r#"{"code":"unavailable","error":"The storage refused; nothing was changed."}"#;
    assert_eq!(is_honest(honest, &["unavailable"]), Ok(()));
    for body in ["", "503", r#"{"code":"unavailable"}"#, r#"{"code":"unavailable","error":"refused"}"#] {
        is_honest(body, &["unavailable"]).expect_err(body);
    }
    is_honest(honest, &["no_space"]).expect_err("another code");
    let reads = |right, unavailable| Reads { right, unavailable };
    assert_eq!((reads(9, 0).require(Readable::All), reads(9, 4).require(Readable::Some)), (Ok(()), Ok(())));
    reads(9, 1).require(Readable::All).expect_err("a read-only disk can be read");
    for readable in [Readable::Some, Readable::All] {
        reads(0, 9).require(readable).expect_err("every read is refused");
    }
}

/// Lists and downloads: right, or 503, counted.
pub fn reads_are_right(site: &mut Site, row: &mut Row) -> Result<Reads, String> {
    let mut wire = site.wire()?;
    let versions = site.ledger.versions.clone();
    let Reads { mut right, mut unavailable } = Reads::default();
    for (device, about) in site.ledger.devices.clone() {
        let (Some(session), false) = (about.session, about.unsure) else { continue };
        match api::list(&mut wire, &session) {
            Ok(listed) => {
                row.lists += 1;
                let seen = |id: u64| listed.iter().any(|one| one.version == id);
                let lost =
                    versions.iter().find(|(id, one)| one.file.0 == device && one.fate == Fate::Live && !seen(**id));
                if let Some((id, _)) = lost {
                    return Err(format!("version {id} is missing in a list on a failing disk"));
                }
            }
            Err(Failure::Refused(503, body)) => {
                is_honest(&body, &["unavailable"]).map_err(|wrong| format!("a list: {wrong}"))?;
                unavailable += 1;
            }
            Err(failure) => return Err(format!("a list on a failing disk: {failure}")),
        }
        let own = versions.iter().filter(|(_, one)| one.file.0 == device && one.fate == Fate::Live);
        for (id, version) in own {
            match read(&mut wire, &session, *id, &version.hash)? {
                true => right += 1,
                false => {
                    unavailable += 1;
                    wire = site.wire()?;
                }
            }
        }
    }
    row.downloads += right;
    row.note += &format!(" {right} reads right, {unavailable} times 503;");
    Ok(Reads { right, unavailable })
}

/// True for the right bytes, false for an honest error: 503, or an answer that is cut where the disk fails.
fn read(wire: &mut Connection, session: &str, version: u64, hash: &str) -> Result<bool, String> {
    match api::download(wire, session, version) {
        Ok((_, got)) if got == hash => Ok(true),
        Err(Failure::Cut(_)) => Ok(false),
        Err(Failure::Refused(503, body)) => is_honest(&body, &["unavailable"]).map(|()| false),
        other => Err(format!("version {version} on a failing disk: {other:?}, and its hash is {hash}")),
    }
}

/// The server ends somehow, the disk is repaired, and everything acknowledged is there.
fn heals(site: &mut Site) -> Result<(), String> {
    if site.random.chance(50) {
        site.kill();
    } else {
        site.stop_somehow()?;
    }
    site.disk.unmount();
    site.disk.repair();
    site.disk.mount();
    site.start().map_err(|refused| format!("after the repair: {refused}"))?;
    all_is_well(site).map_err(|wrong| format!("after the repair: {wrong}"))
}
