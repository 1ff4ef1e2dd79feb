//! When the disk becomes full: one function per moment. Each leaves a server running on a disk that is still full.

use super::flood::{Flood, Flooded};
use super::foreign::{self, Filling};
use super::probe::{live, new_data_is_refused, while_full, while_full_or_used_up};
use super::site::{BALLAST_BYTES, BALLAST_FILES, Site, says_no_room};
use super::table::Row;
use crate::kit::api::{self, Failure};
use crate::kit::ledger::{Claim, Fate};
use crate::kit::random::{Content, sha256_hex};
use std::io::Write;
use std::time::{Duration, Instant};

/// A moment.
#[derive(Clone, Copy)]
pub struct Stage {
    /// Its name in the table.
    pub name: &'static str,
    /// Whether something was stored when the disk became full.
    pub stored: bool,
    /// Plays it.
    pub play: fn(&mut Site, Filling, &mut Row) -> Result<(), String>,
}

/// All of them.
pub const STAGES: [Stage; 10] = [
    Stage { name: "before the first start", stored: false, play: before_the_first_start },
    Stage { name: "after it, nothing stored", stored: false, play: nothing_stored },
    Stage { name: "in the middle of a large upload", stored: true, play: in_a_large_upload },
    Stage { name: "under many uploads", stored: true, play: under_many_uploads },
    Stage { name: "between uploads", stored: true, play: between_uploads },
    Stage { name: "after kill -9, before a start", stored: true, play: after_a_kill },
    Stage { name: "before a stop", stored: true, play: before_a_stop },
    Stage { name: "during rebuild", stored: true, play: during_rebuild },
    Stage { name: "while a checkpoint is due", stored: true, play: while_a_checkpoint_is_due },
    Stage { name: "again and again, ballast used up", stored: true, play: ballast_used_up },
];

/// Uploads of long paths after which a checkpoint of the catalog has been due: it writes its changes out at 8 MiB.
const CHECKPOINT_UPLOADS: u64 = 1_500;
/// Enough for a start after a kill: a new volume, which repeats the records of the one before.
const LITTLE_ROOM_BYTES: u64 = 16 << 20;
const LITTLE_ROOM_INODES: u64 = 128;
/// Versions that are kept for the downloads.
const LEFT_TO_LOSE: usize = 40;
/// No tiny block swallows so many changes.
const CHANGES_MAX: u32 = 400;

/// A first start, and a moment of work.
fn with_some_data(site: &mut Site) -> Result<(), String> {
    site.start()?;
    site.work()?;
    site.ballast_is_whole(Instant::now()).map(drop)
}

fn before_the_first_start(site: &mut Site, filling: Filling, row: &mut Row) -> Result<(), String> {
    site.fill(filling);
    site.start_finds_no_room()?;
    foreign::clear(&site.disk);
    // A little room is not enough for a ballast: it may start or not, but it takes nothing new.
    let little = if filling == Filling::Bytes { BALLAST_BYTES / 2 } else { 30 };
    foreign::fill_leaving(&site.disk, filling, little);
    if site.start().is_ok() {
        row.note = "starts with little room".into();
        let mut wire = site.wire()?;
        site.newcomer(&mut wire).map_err(|failure| format!("a registration with little room: {failure}"))?;
        new_data_is_refused(site, row)?;
        return Ok(());
    }
    site.start_finds_no_room()?;
    foreign::clear(&site.disk);
    with_some_data(site)?;
    site.fill(filling);
    while_full(site, row)
}

fn nothing_stored(site: &mut Site, filling: Filling, row: &mut Row) -> Result<(), String> {
    site.start()?;
    site.ballast_is_whole(Instant::now())?;
    site.fill(filling);
    while_full(site, row)
}

fn between_uploads(site: &mut Site, filling: Filling, row: &mut Row) -> Result<(), String> {
    with_some_data(site)?;
    site.fill(filling);
    if filling == Filling::Bytes {
        one_removal_takes_a_step(site, row)?;
    }
    while_full(site, row)
}

/// The first change on a full disk: some of the ballast goes for it, and most of the work that it is kept for is still to come.
fn one_removal_takes_a_step(site: &mut Site, row: &mut Row) -> Result<(), String> {
    let version = *live(site).first().ok_or("nothing is stored")?;
    let mut wire = site.wire()?;
    site.remove(&mut wire, version, false).map_err(|failure| format!("the first removal on a full disk: {failure}"))?;
    row.removals += 1;
    let (files, _) = site.ballast();
    row.note += &format!(" {files} files of ballast after the first removal;");
    is_a_step(files)
}

fn is_a_step(files_left: usize) -> Result<(), String> {
    match files_left {
        0 => Err("all of the ballast was given up for one removal".into()),
        1..BALLAST_FILES => Ok(()),
        _ => Err("the disk is full, and none of the ballast was given up".into()),
    }
}

/// Planted: all of it at once, and nothing.
#[test]
fn a_ballast_that_is_not_given_up_in_steps_is_noticed() {
    assert_eq!((is_a_step(1), is_a_step(BALLAST_FILES - 1)), (Ok(()), Ok(())));
    is_a_step(0).expect_err("all of it");
    is_a_step(BALLAST_FILES).expect_err("nothing");
}

/// Half of a file of 24 MiB is sent, then the disk is full, then the rest comes.
fn in_a_large_upload(site: &mut Site, filling: Filling, row: &mut Row) -> Result<(), String> {
    with_some_data(site)?;
    let content = Content { seed: site.random.next(), size: 24 << 20, text: false, inserted: Vec::new() };
    let (bytes, mut wire) = (content.bytes(), site.wire()?);
    let (device, session) = site.signed_in().ok_or("nobody is signed in")?;
    let claim = Claim { file: (device, "/large".into()), size: bytes.len() as u64, hash: sha256_hex(&bytes) };
    let floor = site.ledger.highest();
    site.ledger.sending(claim.clone());
    let headers = [("RBackup-Session-Pass", session.as_str())];
    let answer = wire.send_from("PUT", "/upload?file_path=/large", &headers, claim.size, |socket: &mut dyn Write| {
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        socket.write_all(first)?;
        // The server is to have stored some of it.
        std::thread::sleep(Duration::from_millis(300));
        site.fill(filling);
        socket.write_all(rest)
    });
    let answer = answer.map_err(|error| format!("the large upload got no answer: {error}"))?;
    match (answer.status, filling) {
        (status, _) if is_refusal(site, status) => {
            row.refused += 1;
            site.ledger.no_longer_sending(&claim);
        }
        // Bytes were not what ran out, and it had begun before.
        (200, Filling::Inodes) => {
            let listed = api::newest(answer).map_err(|failure| format!("the large upload: {failure}"))?;
            site.ledger.acknowledged(&claim, &listed, floor);
            row.note = "the upload had all it needed".into();
        }
        (status, _) => return Err(format!("the large upload was answered with {status}")),
    }
    while_full_or_used_up(site, row)
}

fn under_many_uploads(site: &mut Site, filling: Filling, row: &mut Row) -> Result<(), String> {
    with_some_data(site)?;
    let flood = Flood { bytes: 64 << 10, path_bytes: 40, most: 100_000, refused_may_appear: false };
    let wait = Duration::from_millis(50 + site.random.below(250));
    let flooded = flood.run_while(site, |disk| {
        std::thread::sleep(wait);
        foreign::fill(disk, filling);
    })?;
    only_refused_as_full(site, &flooded, row)?;
    while_full_or_used_up(site, row)
}

/// 507; when even the ballast is gone, a volume that failed may be what is met first.
fn is_refusal(site: &Site, status: u16) -> bool {
    status == 507 || (status == 503 && site.ballast().0 == 0)
}

fn only_refused_as_full(site: &Site, flooded: &Flooded, row: &mut Row) -> Result<(), String> {
    let other = flooded.refusals.iter().find(|(status, _)| !is_refusal(site, *status));
    row.refused += flooded.refusals.len() as u32;
    other.map_or(Ok(()), |(status, body)| Err(format!("an upload was refused with {status} {body} instead of 507")))
}

fn after_a_kill(site: &mut Site, filling: Filling, row: &mut Row) -> Result<(), String> {
    with_some_data(site)?;
    site.work()?;
    site.kill();
    site.fill(filling);
    site.start().map_err(|refused| format!("with a whole ballast, after a kill: {refused}"))?;
    while_full(site, row)
}

fn before_a_stop(site: &mut Site, filling: Filling, row: &mut Row) -> Result<(), String> {
    with_some_data(site)?;
    // More than a ballast that the catalog has not written yet.
    long_paths(1_000).run(site)?;
    site.ballast_is_whole(Instant::now())?;
    site.fill(filling);
    site.stop().map_err(|wrong| format!("a stop on a full disk: {wrong}"))?;
    start_again(site, filling, row)?;
    while_full_or_used_up(site, row)
}

/// On a disk that is still full. Where no ballast is left the start may be refused; then a little room must do, nothing may
/// be missing, and the disk is filled again.
fn start_again(site: &mut Site, filling: Filling, row: &mut Row) -> Result<(), String> {
    if site.start_if_there_is_ballast()? {
        return Ok(());
    }
    row.used_up = true;
    row.note += ", a start refused for want of room";
    foreign::clear(&site.disk);
    foreign::fill_leaving(
        &site.disk,
        filling,
        if filling == Filling::Bytes { LITTLE_ROOM_BYTES } else { LITTLE_ROOM_INODES },
    );
    site.start().map_err(|refused| format!("with a little room after a refused start: {refused}"))?;
    row.downloads += site.verify_all()?.downloaded as u32;
    site.fill(filling);
    Ok(())
}

fn long_paths(most: u64) -> Flood {
    Flood { bytes: 40, path_bytes: 4_000, most, refused_may_appear: false }
}

/// The disk is so full that the rebuild finds no room somewhere on its way, then full to the last byte.
fn during_rebuild(site: &mut Site, filling: Filling, row: &mut Row) -> Result<(), String> {
    with_some_data(site)?;
    long_paths(700).run(site)?;
    site.stop()?;
    let some = if filling == Filling::Bytes { site.random.below(3 << 20) } else { site.random.below(12) };
    let mut codes = Vec::new();
    for left in [some, 0] {
        foreign::fill_leaving(&site.disk, filling, left);
        let (code, said) = site.command(&["rebuild"]);
        if code != Some(0) {
            says_no_room(code, &said).map_err(|wrong| format!("rebuild with {left} left: {wrong}"))?;
        }
        codes.push(code.unwrap_or(-1));
    }
    row.note = format!("rebuild ended with {codes:?}");
    if site.start_if_there_is_ballast()? {
        return while_full_or_used_up(site, row);
    }
    row.used_up = true;
    row.note += ", no start";
    foreign::clear(&site.disk);
    let (code, said) = site.command(&["rebuild"]);
    if code != Some(0) {
        return Err(format!("rebuild with room: {code:?} {said}"));
    }
    site.start()?;
    row.downloads += site.verify_all()?.downloaded as u32;
    site.fill(filling);
    while_full_or_used_up(site, row)
}

/// Many small uploads with little room: the catalog has to write its changes out and cannot.
fn while_a_checkpoint_is_due(site: &mut Site, filling: Filling, row: &mut Row) -> Result<(), String> {
    with_some_data(site)?;
    let left = match filling {
        Filling::Bytes => 2 * BALLAST_BYTES + site.random.below(6 << 20),
        Filling::Inodes => 64 + site.random.below(8),
    };
    foreign::fill_leaving(&site.disk, filling, left);
    let flooded = long_paths(CHECKPOINT_UPLOADS).run(site)?;
    only_refused_as_full(site, &flooded, row)?;
    row.note = format!("{} uploads, ballast then {}", flooded.stored, site.ballast().0);
    site.fill(filling);
    while_full_or_used_up(site, row)?;
    site.kill();
    start_again(site, filling, row)?;
    while_full_or_used_up(site, row)
}

/// Whatever the server gives up is taken away at once, until a removal is refused too. Then it is killed.
fn ballast_used_up(site: &mut Site, filling: Filling, row: &mut Row) -> Result<(), String> {
    with_some_data(site)?;
    Flood { bytes: 2_000, path_bytes: 40, most: 300, refused_may_appear: false }.run(site)?;
    let refused_after = changes_until_refused(site, filling, row)?;
    row.note =
        refused_after.map_or("never refused a removal".into(), |after| format!("removals refused after {after}"));
    new_data_is_refused(site, row)?;
    row.lists += site.ledger.accounts.len() as u32;
    row.downloads += site.verify_all()?.downloaded as u32;
    site.kill();
    site.fill(filling);
    if site.start_if_there_is_ballast()? {
        row.downloads += site.verify_all()?.downloaded as u32;
        return new_data_is_refused(site, row);
    }
    row.note += ", then no start";
    foreign::clear(&site.disk);
    site.start()?;
    row.downloads += site.verify_all()?.downloaded as u32;
    Ok(())
}

/// Removals on a disk that is filled again before each; how many there were when one was refused.
pub fn changes_until_refused(site: &mut Site, filling: Filling, row: &mut Row) -> Result<Option<u32>, String> {
    for changes in 0..CHANGES_MAX {
        site.fill(filling);
        let mut wire = site.wire()?;
        let live = live(site);
        if live.len() <= LEFT_TO_LOSE {
            return Ok(None);
        }
        let version = *site.random.pick(&live);
        match site.remove(&mut wire, version, false) {
            Ok(()) => row.removals += 1,
            Err(Failure::Refused(status, _)) if is_refusal(site, status) => return Ok(Some(changes)),
            Err(failure) => return Err(format!("removal {changes} on a full disk: {failure}")),
        }
    }
    Ok(None)
}

/// Uploads until there is no room, with no foreign file at all: the server stops by itself at its low water.
pub fn own_uploads(site: &mut Site, row: &mut Row) -> Result<(), String> {
    with_some_data(site)?;
    let flood = Flood { bytes: 3 << 20, path_bytes: 60, most: 10_000, refused_may_appear: false };
    let flooded = flood.run(site)?;
    only_refused_as_full(site, &flooded, row)?;
    if flooded.refusals.is_empty() {
        return Err(format!("{} uploads and none was refused", flooded.stored));
    }
    let room = site.disk.room();
    let free_mib = room.bytes as f64 / f64::from(1 << 20);
    row.note = format!("{} MiB stored, {free_mib:.1} MiB free, ballast {}", flooded.bytes >> 20, site.ballast().0);
    if flooded.bytes < room.bytes_all / 2 {
        return Err(format!("refused with more than half of the disk free: {}", row.note));
    }
    while_full(site, row)?;
    let versions = site.ledger.versions.values().filter(|version| version.fate == Fate::Live).count();
    row.note += &format!(", {versions} versions there");
    Ok(())
}
