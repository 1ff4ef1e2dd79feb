//! Power cuts, thousands of them, without a power switch.
//!
//! The story: a server runs under a recorder that sees every call that changes its data directory, while clients upload,
//! remove and sign in. Then, for a random point of that recording, a directory is built as a power cut could have left
//! it: all that was synced, and of the rest whatever chance wants. A server is started on it, and must show everything
//! it had acknowledged by then, nothing half done, and `rbackup check` must find nothing wrong. A copy of it without the
//! newest volume, if anything was acknowledged there, must be called what it is.
//!
//! `RBACKUP_IMAGES` (200), `RBACKUP_SEED`, `RBACKUP_KEEP` (keeps bad images), `RBACKUP_IMAGES_NO_SYNC=1` (shows the
//! planted fault in the large run). Needs a dynamic build and gcc. `tests/images/shim.c` says what the recorder sees.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness stops where it finds something wrong")]

mod kit;
#[path = "images/mod.rs"]
mod parts;

use kit::place::Place;
use kit::random::{Random, run_seed, setting};
use kit::verify::Verified;
use parts::disk::{Disk, Fault};
use parts::log::Call;
use parts::recording::{self, End, Recording, Volumes};
use parts::tree::Tree;
use parts::trial::{self, Image, Promise};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Each kind of call that changes a directory, made by programs that are not ours.
#[test]
fn the_recorder_sees_every_kind_of_call() {
    let place = Place::in_memory("recorder-kinds");
    let shim = recording::build_shim(place.path());
    let recording = recording::record_programs(&place.path().join("data"), &shim);
    let differences = replay(&recording, None).differences(&recording.at_the_end);
    assert!(differences.is_empty(), "replayed and real differ:\n{}", differences.join("\n"));
    let seen = hide_one_of_each(&recording);
    assert_eq!(seen, KINDS.map(|(name, _)| name), "a kind was not made, or its absence does not show");
}

/// The recorder's proof: what it saw, done again, is the directory, byte by byte; and with one call hidden it is not.
#[test]
fn the_recorder_sees_everything() {
    let place = Place::in_memory("recorder");
    let shim = recording::build_shim(place.path());
    let data = place.path().join("data");
    std::fs::create_dir(&data).expect("a directory for the data");
    let mut ledger = kit::ledger::Ledger::default();
    ledger.add_device("laptop", "anna");
    let mut seen = Vec::new();
    for (life, volumes) in [Volumes::Usual, Volumes::Small, Volumes::Usual].into_iter().enumerate() {
        let (recording, after) =
            recording::record(&data, &shim, ledger, run_seed("images, recorder"), (volumes, End::Stopped));
        ledger = after;
        let differences = replay(&recording, None).differences(&recording.at_the_end);
        assert!(differences.is_empty(), "life {life}: replayed and real differ:\n{}", differences.join("\n"));
        seen.extend(hide_one_of_each(&recording));
    }
    for name in MADE_BY_THE_SERVER {
        assert!(seen.contains(&name), "the server made no {name} call, so hiding one was not tried: {seen:?}");
    }
}

#[test]
fn acknowledged_data_survive_power_cuts() {
    let fault = if std::env::var_os("RBACKUP_IMAGES_NO_SYNC").is_some() { Fault::DbSyncLost } else { Fault::None };
    let count = setting("RBACKUP_IMAGES", 200);
    let run = Run::new("images", count.div_ceil(100).clamp(2, 20));
    let (seen, bad) = run.try_images(count, fault, Promise::AsSent);
    eprintln!(
        "images: {count} tried, {} bad, {} versions downloaded and right ({} MiB), {:.1?} in all",
        bad.len(),
        seen.downloaded,
        seen.bytes >> 20,
        run.begun.elapsed()
    );
    assert!(bad.is_empty(), "{} of {count} images are bad (run seed {}):\n{}", bad.len(), run.seed, bad.join("\n\n"));
}

/// Planted: without the interposer sled's flush is no sync. Planted: an acknowledgement before the sync. Planted: a note of the
/// newest volume that is not synced. All must show.
#[test]
fn planted_faults_give_bad_images() {
    let run = Run::new("images, planted", 2);
    for (name, fault, promise) in [
        ("sled's flush syncs nothing", Fault::DbSyncLost, Promise::AsSent),
        ("answers before the sync", Fault::None, Promise::BeforeSync),
        ("the newest volume's note is not synced", Fault::NoteSyncLost, Promise::AsSent),
    ] {
        let count = 20;
        let (_, bad) = run.try_images(count, fault, promise);
        eprintln!("planted, {name}: {} of {count} images bad", bad.len());
        assert!(!bad.is_empty(), "{name}: no image was bad, so the harness would not notice (run seed {})", run.seed);
    }
}

/// Recordings to cut from.
struct Run {
    seed: u64,
    place: Place,
    recordings: Vec<Recording>,
    begun: Instant,
}

impl Run {
    fn new(name: &str, directories: u64) -> Run {
        let begun = Instant::now();
        let seed = run_seed(name);
        let place = Place::in_memory("images");
        let shim = recording::build_shim(place.path());
        let record = |number: u64| {
            let volumes = if number.is_multiple_of(2) { Volumes::Usual } else { Volumes::Small };
            recording::lives(place.path(), &shim, &format!("recorded-{number}"), seed + number, volumes)
        };
        let recordings: Vec<Recording> = (0..directories).flat_map(record).collect();
        let (ended, merged) =
            recordings.iter().fold((0, 0), |sum, one| (sum.0 + one.volumes_ended(), sum.1 + one.runs_merged()));
        assert!(
            ended > 2 && merged > 8,
            "{ended} volumes ended and {merged} runs were merged, so their ends were not tried"
        );
        let (calls, requests) =
            recordings.iter().fold((0, 0), |sum, one| (sum.0 + one.log.len(), sum.1 + one.placed.len()));
        eprintln!(
            "{name}: {} lives recorded, {calls} calls, {requests} requests, {ended} volumes full, {merged} runs merged, {:.1?}",
            recordings.len(),
            begun.elapsed()
        );
        Run { seed, place, recordings, begun }
    }

    /// Two at a time; gives what was seen in the good ones, and the bad ones' complaints.
    fn try_images(&self, count: u64, fault: Fault, promise: Promise) -> (Verified, Vec<String>) {
        let next = AtomicU64::new(0);
        let results = Mutex::new((Verified::default(), Vec::new()));
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                let image = Image { seed: Random::new(self.seed + number).next() >> 20, fault, promise };
                let recording = &self.recordings[number as usize % self.recordings.len()];
                let result = trial::try_image(recording, image, self.place.path());
                let mut results = results.lock().expect("no trial panicked");
                match result {
                    Ok(seen) => {
                        results.0.downloaded += seen.downloaded;
                        results.0.bytes += seen.bytes;
                    }
                    Err(wrong) => results.1.push(wrong),
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(work);
            scope.spawn(work);
        });
        results.into_inner().expect("no trial panicked")
    }
}

fn replay(recording: &Recording, hidden: Option<usize>) -> Tree {
    let mut disk = Disk::new(&recording.base, Fault::None);
    let calls = recording.log.calls().enumerate().filter(|(index, _)| Some(*index) != hidden);
    calls.for_each(|(_, call)| disk.apply(call));
    disk.now()
}

type IsKind = fn(&Call) -> bool;

/// What changes a directory.
const KINDS: [(&str, IsKind); 8] = [
    ("write", |call| matches!(call, Call::Write { .. })),
    ("create", |call| matches!(call, Call::Create { .. })),
    ("rename", |call| matches!(call, Call::Rename { .. })),
    ("mkdir", |call| matches!(call, Call::Mkdir { .. })),
    ("truncate", |call| matches!(call, Call::Truncate { .. })),
    ("fallocate", |call| matches!(call, Call::Allocate { .. })),
    ("unlink or rmdir", |call| matches!(call, Call::Remove { .. })),
    ("link", |call| matches!(call, Call::Link { .. })),
];

/// Those of them that the server makes in any life.
const MADE_BY_THE_SERVER: [&str; 5] = ["write", "create", "rename", "mkdir", "unlink or rmdir"];

/// For each kind of call there is one near the end whose absence shows (others may be overwritten later). Gives the kinds that were made.
fn hide_one_of_each(recording: &Recording) -> Vec<&'static str> {
    let mut made = Vec::new();
    for (name, is_kind) in KINDS {
        let all: Vec<usize> =
            (0..recording.log.len()).rev().filter(|index| is_kind(&recording.log.call(*index))).take(40).collect();
        let noticed = all.iter().find(|index| replay(recording, Some(**index)) != recording.at_the_end);
        assert!(
            all.is_empty() || noticed.is_some(),
            "hiding any of the last {} {name} calls changes nothing",
            all.len()
        );
        eprintln!(
            "recorder: {name}: {}",
            noticed.map_or("none made".into(), |index| format!("hiding call {index} shows"))
        );
        made.extend(noticed.map(|_| name));
    }
    made
}
