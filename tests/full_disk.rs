//! Full disks, disks that turn read-only, and devices that fail: real small file systems under a real server.
//!
//! The story: somebody else fills the disk to its last byte, or its last inode, at ten different moments. New data is
//! refused with 507 before its body is read; lists, downloads, removals, logins and registrations go on; nothing that was
//! acknowledged is lost. The foreign files go, and within seconds everything is as before, without a restart. Then the
//! same without anybody else, and on ext4 that fails under the server.
//!
//! `RBACKUP_FULL_DISK_ALL=1` plays every moment in all four ways, `RBACKUP_STAGE` only those with such a name,
//! `RBACKUP_STORIES` (2) so many at once, `RBACKUP_SEED` repeats the choices. Needs root, mount and e2fsprogs.
//! Prints a table. What it cannot catch is a sync that was never made: that is `tests/power.rs` and `tests/images.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness stops where it finds something wrong")]

mod kit;
#[path = "crash/load.rs"]
mod load;
#[path = "full_disk/mod.rs"]
mod parts;

use kit::api::Listed;
use kit::ledger::{Claim, Ledger};
use kit::mount::Mount;
use kit::random::{Random, run_seed, setting};
use parts::foreign::Filling;
use parts::site::Site;
use parts::stages::{self, STAGES};
use parts::table::{self, Row};
use parts::{failing, probe};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

const DISK_BYTES: u64 = 80 << 20;
const INODES: u64 = 400;

/// What happens on a disk.
type Play = Box<dyn Fn(&mut Site, &mut Row) -> Result<(), String> + Sync + Send>;

/// Stage, what it is filled by, the disk, and how it is played.
type Failing = (&'static str, &'static str, fn() -> Mount, Play);

/// One story to play: what makes the disk, and what happens on it.
struct Story {
    row: Row,
    disk: fn() -> Mount,
    play: Play,
}

#[test]
fn nothing_is_lost_on_a_full_or_failing_disk() {
    let seed = run_seed("full_disk");
    let mut stories = moments(seed);
    for disk in [in_memory, on_ext4] {
        let row = Row { stage: "all the time", filled_by: "own uploads", ..Row::default() };
        let play = |site: &mut Site, row: &mut Row| {
            stages::own_uploads(site, row)?;
            probe::all_is_well(site)
        };
        stories.push(Story { row, disk, play: Box::new(play) });
    }
    let failing: [Failing; 2] = [
        ("under load", "read-only", || Mount::ext4(DISK_BYTES, 0), Box::new(failing::turns_read_only)),
        (
            "under uploads",
            "EIO",
            || Mount::ext4_on_a_small_device(128 << 20, 24 << 20),
            Box::new(failing::device_fails),
        ),
    ];
    for (stage, filled_by, disk, play) in failing {
        stories.push(Story { row: Row { stage, filled_by, ..Row::default() }, disk, play });
    }
    if let Ok(only) = std::env::var("RBACKUP_STAGE") {
        stories.retain(|story| story.row.stage.contains(&only));
        assert!(!stories.is_empty(), "RBACKUP_STAGE={only} names no stage of this run");
    }
    play_all(stories, seed);
}

/// Every moment with its bytes taken on one of the two file systems and its inodes on the other; which is which turns with
/// the seed. All four when asked.
fn moments(seed: u64) -> Vec<Story> {
    let all = setting("RBACKUP_FULL_DISK_ALL", 0) > 0;
    let mut stories = Vec::new();
    for (number, stage) in STAGES.into_iter().enumerate() {
        let turn = (number as u64 + seed).is_multiple_of(2);
        let all_four = [
            (Filling::Bytes, turn, on_ext4 as fn() -> Mount),
            (Filling::Bytes, !turn, in_memory),
            (Filling::Inodes, turn, in_memory),
            (Filling::Inodes, !turn, on_ext4),
        ];
        for (filling, _, disk) in all_four.into_iter().filter(|(_, chosen, _)| all || *chosen) {
            let row = Row { stage: stage.name, filled_by: filling.name(), ..Row::default() };
            let play = move |site: &mut Site, row: &mut Row| {
                (stage.play)(site, filling, row)?;
                let changed = row.removals > 0 || row.used_up;
                if stage.stored && (row.downloads == 0 || !changed || row.refused == 0) {
                    return Err("nothing was downloaded, removed or refused, so nothing was shown".into());
                }
                probe::recovers(site, row)?;
                probe::all_is_well(site)
            };
            stories.push(Story { row, disk, play: Box::new(play) });
        }
    }
    stories
}

/// Such a disk says that it has 0 inodes and 0 of them free; that is not a full disk.
#[test]
fn a_disk_without_a_number_of_inodes_is_not_full() {
    let mut site = Site::new(Mount::tmpfs(DISK_BYTES, 0), run_seed("full_disk, no inodes"));
    site.start().unwrap();
    assert_eq!(site.disk.room().inodes, 0, "this kernel says how many inodes an unbounded tmpfs has");
    site.work().unwrap();
    assert!(!probe::live(&site).is_empty(), "nothing was uploaded");
    site.stop().unwrap();
}

/// Who may only add cannot use up what removals need.
#[test]
fn a_client_that_adds_leaves_room_for_removals() {
    for disk in [in_memory, on_ext4] {
        let mut site = Site::new(disk(), run_seed("full_disk, adding"));
        site.start().unwrap();
        site.work().unwrap();
        site.ballast_is_whole(Instant::now()).expect("a ballast");
        site.fill(Filling::Bytes);
        parts::restic::leaves_room_for_removals(&mut site).unwrap();
        probe::life_goes_on(&mut site, &mut Row::default()).unwrap();
    }
}

/// Planted: without a ballast removals are refused on a full disk, and the probe must say so.
#[test]
fn a_server_without_a_ballast_is_noticed() {
    let mut site = Site::new(on_ext4(), run_seed("full_disk, planted"));
    site.configure("[storage]\nballast_mib = 0\n");
    site.start().unwrap();
    site.work().unwrap();
    assert_eq!(site.ballast(), (0, 0), "it was to have no ballast");
    let mut row = Row::default();
    let seen = (0..40).find_map(|_| {
        site.fill(Filling::Bytes);
        probe::life_goes_on(&mut site, &mut row).err()
    });
    let wrong = seen.expect("no ballast, a full disk, and the probe saw nothing");
    assert!(probe::is_want_of_room(&wrong), "it saw something else: {wrong}");
    eprintln!("planted, no ballast: {wrong}");
}

/// Planted: without a ballast there is no reserve, so who only adds takes what removals need.
#[test]
fn a_reserve_that_adding_uses_up_is_noticed() {
    let mut site = Site::new(on_ext4(), run_seed("full_disk, planted, adding"));
    site.configure("[storage]\nballast_mib = 0\n");
    site.start().unwrap();
    site.work().unwrap();
    let seen = (0..10).find_map(|_| parts::restic::leaves_room_for_removals(&mut site).err());
    let wrong = seen.expect("no reserve, a full disk, and the removals go on");
    assert!(wrong.contains("DELETE") && wrong.contains(" 507 "), "it saw something else: {wrong}");
    eprintln!("planted, no reserve: {wrong}");
}

/// Planted: a version that was acknowledged before a disk failed is missing. Only what came later may be.
#[test]
fn a_doubt_excuses_nothing_older() {
    let mut ledger = load::people();
    let acknowledge = |ledger: &mut Ledger, version| {
        let (device, path, hash) = ("laptop".to_owned(), "/a".to_owned(), "00".repeat(32));
        let claim = Claim { file: (device.clone(), path.clone()), size: 1, hash: hash.clone() };
        ledger.acknowledged(&claim, &Listed { file: 1, device, path, version, size: 1, hash }, version - 1);
    };
    (1..=3).for_each(|version| acknowledge(&mut ledger, version));
    let before = ledger.clone();
    acknowledge(&mut ledger, 4);
    ledger.removing(&[3]);
    ledger.removed(&[3]);
    assert_eq!(ledger.clone().settle(&[]).len(), 3, "without a doubt 1, 2 and 4 are missed");
    ledger.doubt_since(&before);
    let wrong = ledger.settle(&[]);
    assert!(wrong.len() == 2 && wrong[0].contains("version 1 ") && wrong[1].contains("version 2 "), "{wrong:?}");
}

/// Planted: each probe, where what it looks for is not the case.
#[test]
fn every_probe_can_fail() {
    let mut site = Site::new(on_ext4(), run_seed("full_disk, probes"));
    site.start().unwrap();
    site.work().unwrap();
    let mut row = Row::default();
    let wrong = probe::new_data_is_refused(&mut site, &mut row).expect_err("a disk with room refuses");
    eprintln!("planted, a disk with room: {wrong}");

    site.ballast_is_whole(Instant::now()).expect("a ballast");
    let one = std::fs::read_dir(site.data().join("ballast")).unwrap().flatten().next().expect("a file of it").path();
    site.kill();
    std::fs::File::create(&one).expect("truncate it");
    let wrong = site.ballast_is_whole(Instant::now() - parts::site::BALLAST_LIMIT).expect_err("a truncated ballast");
    eprintln!("planted, a truncated ballast: {wrong}");

    site.start().unwrap();
    let version = *probe::live(&site).first().expect("a version");
    site.ledger.versions.get_mut(&version).expect("this one").hash = "00".repeat(32);
    let wrong = probe::all_is_well(&mut site).expect_err("a version with other bytes");
    eprintln!("planted, other bytes: {}", wrong.lines().next().unwrap_or(""));

    let site = Site::new(in_memory(), 0);
    let wrong = catch_unwind(AssertUnwindSafe(|| site.start_finds_no_room())).expect("no panic");
    eprintln!("planted, a start with room: {}", wrong.expect_err("it starts").lines().next().unwrap_or(""));
}

/// Whatever happens to a harness, its disks go.
#[test]
fn a_disk_goes_away_with_a_panic() {
    let mut at = Vec::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut site = Site::new(Mount::ext4_on_a_small_device(64 << 20, 32 << 20), 0);
        at.push(site.disk.beside().to_string_lossy().into_owned());
        site.start().unwrap();
        panic!("planted");
    }));
    assert!(panicked.is_err());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let loops = std::process::Command::new("losetup").arg("-a").output().expect("losetup runs").stdout;
    let loops = String::from_utf8_lossy(&loops);
    assert!(!mounts.contains(&at[0]), "still mounted: {mounts}");
    assert!(!loops.contains(&at[0]), "still attached: {loops}");
    assert!(!std::path::Path::new(&at[0]).exists(), "{} is still there", at[0]);
}

fn in_memory() -> Mount {
    Mount::tmpfs(DISK_BYTES, INODES)
}

fn on_ext4() -> Mount {
    Mount::ext4(DISK_BYTES, INODES)
}

/// Some at a time, for they wait more than they work; prints the table, and then fails if any story did.
fn play_all(stories: Vec<Story>, seed: u64) {
    let begun = Instant::now();
    let mut seeds = Random::new(seed);
    let waiting: Vec<(Story, u64)> = stories.into_iter().map(|story| (story, seeds.next())).collect();
    let waiting = Mutex::new(waiting.into_iter());
    let played = Mutex::new((Vec::new(), Vec::new()));
    let work = || {
        loop {
            let next = waiting.lock().expect("no story panicked").next();
            let Some((story, seed)) = next else { return };
            let (row, ended) = play(&story, seed);
            let mut played = played.lock().expect("no story panicked");
            if let Err(wrong) = &ended {
                played.1.push(format!("{} on {}, filled by {}: {wrong}", row.stage, row.disk, row.filled_by));
            }
            let mark = if ended.is_err() { "FAILED " } else { "" };
            played.0.push(Row { note: format!("{mark}{}", row.note), ..row });
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..setting("RBACKUP_STORIES", 2) {
            scope.spawn(work);
        }
    });
    let (rows, wrong) = played.into_inner().expect("no story panicked");
    table::print(&rows);
    let ended: usize = rows.iter().map(|row| row.volumes.saturating_sub(1)).sum();
    eprintln!(
        "full_disk: {} stories, {} failed, {ended} volumes ended, {:.1?}",
        rows.len(),
        wrong.len(),
        begun.elapsed()
    );
    assert!(wrong.is_empty(), "{} stories failed (run seed {seed}):\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(ended >= rows.len() / 4, "only {ended} volumes ended in {} stories (run seed {seed})", rows.len());
}

/// A panic in a story is its failure, not the end of the others.
fn play(story: &Story, seed: u64) -> (Row, Result<(), String>) {
    let mut row = story.row.clone();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut site = Site::new((story.disk)(), seed);
        row.disk = site.disk.name();
        // In every other story volumes end again and again.
        if seed % 2 == 1 {
            site.end_volumes_often();
        }
        let ended = (story.play)(&mut site, &mut row);
        row.volumes = site.volumes();
        ended.map_err(|wrong| format!("{}\n  {}", shortened(&wrong), site.state()))
    }));
    (row, ended.unwrap_or_else(|panic| Err(said(panic.as_ref()))))
}

/// The first complaints say what the other thousand do.
fn shortened(wrong: &str) -> String {
    let lines: Vec<&str> = wrong.lines().collect();
    let more = lines.len().saturating_sub(5);
    let shown = lines[..lines.len() - more].join("\n");
    if more == 0 { shown } else { format!("{shown}\n  … and {more} more") }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "a panic".into())
}
