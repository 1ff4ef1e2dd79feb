//! One crash image on trial: a server is started on it and held against what had been promised.

use super::cut;
use super::disk::{Disk, Fault};
use super::history::{self, Placed};
use super::log::Call;
use super::recording::{self, Recording};
use super::tree::Tree;
use crate::kit::ledger::Ledger;
use crate::kit::random::Random;
use crate::kit::server::{self, Start};
use crate::kit::verify::{Sample, Verified, verify};
use std::collections::BTreeMap;
use std::path::Path;

/// When a request counts as answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// When its answer was about to be sent.
    AsSent,
    /// When the sync before its answer *began*: a planted fault, an acknowledgement before the sync.
    BeforeSync,
}

/// Everything about one image but the recording.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// Repeats it.
    pub seed: u64,
    /// A sync left out.
    pub fault: Fault,
    /// A promise made early.
    pub promise: Promise,
}

/// Builds the image and tries it. The error says everything that was wrong, with the seed.
pub fn try_image(recording: &Recording, image: Image, place: &Path) -> Result<Verified, String> {
    let mut random = Random::new(image.seed);
    let point = choose_point(recording, image, &mut random);
    let mut disk = Disk::new(&recording.base, image.fault);
    (0..point).for_each(|index| disk.apply(recording.log.call(index)));
    let tree = cut::cut(&disk, &mut random);
    let root = place.join(format!("image-{}", image.seed));
    let data = root.join("data");
    tree.write(&data);
    let mut ledger = promised(recording, point, image.promise);
    let verdict = without_newest(&tree, &root.join("without")).and_then(|()| examine(&data, &mut ledger, &mut random));
    if verdict.is_ok() || std::env::var_os("RBACKUP_KEEP").is_none() {
        let _ = std::fs::remove_dir_all(&root);
    }
    verdict.map_err(|wrong| {
        format!("image seed {}, after {point} of {} calls:\n{}", image.seed, recording.log.len(), wrong.join("\n"))
    })
}

fn examine(data: &Path, ledger: &mut Ledger, random: &mut Random) -> Result<Verified, Vec<String>> {
    // Before anything was promised there may be no store to check; a start must make one in any case.
    let check_first = random.chance(50) && !ledger.accounts.is_empty();
    if check_first {
        check(data)?;
    }
    let server = Start::on(data).config(recording::CONFIG).serve().map_err(|error| vec![format!("start: {error}")])?;
    let seen = verify(server.address, ledger, &Sample::All)?;
    if random.chance(50) {
        let status = server.stop().map_err(|error| vec![error])?;
        if !status.success() {
            return Err(vec![format!("SIGTERM ended it with {status}")]);
        }
    } else {
        server.kill();
    }
    if !check_first {
        check(data)?;
    }
    Ok(seen)
}

/// What the cut has left, and then the newest volume is lost too: if anything was acknowledged there, that is noticed.
fn without_newest(tree: &Tree, data: &Path) -> Result<(), Vec<String>> {
    let volumes =
        tree.0.iter().filter(|(_, bytes)| bytes.is_none()).filter_map(|(path, _)| path.strip_prefix("volumes/"));
    let Some(newest) = volumes.filter_map(|name| name.parse::<u32>().ok()).max() else { return Ok(()) };
    let folder = format!("volumes/{newest:08}");
    let (lost, left): (BTreeMap<_, _>, BTreeMap<_, _>) =
        tree.0.clone().into_iter().partition(|(path, _)| path.starts_with(&folder));
    if !lost.values().flatten().any(|bytes| is_behind_an_answer(bytes, newest)) {
        return Ok(());
    }
    Tree(left).write(data);
    match server::command(data, &["check"]) {
        (Some(15), said) if said.contains(&format!("volume {newest} is not there")) => Ok(()),
        (code, said) => Err(vec![format!("without volume {newest}, check: exit {code:?}: {said}")]),
    }
}

/// `FORMAT.md`, "block": one of this volume that calls something before it acknowledged. The first blocks, with the header, do not.
fn is_behind_an_answer(bytes: &[u8], volume: u32) -> bool {
    let head = [&b"RBk1"[..], &volume.to_le_bytes()].concat();
    memchr::memmem::find_iter(bytes, &head).any(|at| bytes.get(at + 28..at + 32).is_some_and(|it| it != [0; 4]))
}

fn check(data: &Path) -> Result<(), Vec<String>> {
    match server::command(data, &["check"]) {
        (Some(0), _) => Ok(()),
        (code, said) => Err(vec![format!("check: exit {code:?}: {said}")]),
    }
}

/// Anywhere; or soon after an answer, where a missing sync would show; or while names change.
fn choose_point(recording: &Recording, image: Image, random: &mut Random) -> usize {
    let log = &recording.log;
    if image.promise == Promise::BeforeSync {
        let event = random.pick(&recording.placed);
        return sync_before(recording, event) + 1;
    }
    let wanted: fn(&Call) -> bool = match random.below(10) {
        0..5 => |_| true,
        5..8 => |call| matches!(call, Call::Answer { .. }),
        _ => {
            |call| matches!(call, Call::Create { .. } | Call::Mkdir { .. } | Call::Rename { .. } | Call::Remove { .. })
        }
    };
    let places: Vec<usize> = (0..log.len()).filter(|index| wanted(&log.call(*index))).collect();
    let chosen = if places.is_empty() { random.below(log.len() as u64) as usize } else { *random.pick(&places) };
    (chosen + 1 + random.below(3) as usize).min(log.len())
}

fn promised(recording: &Recording, point: usize, promise: Promise) -> Ledger {
    history::ledger_at(&recording.before, &recording.placed, point, |event| match promise {
        Promise::AsSent => event.answered,
        Promise::BeforeSync => sync_before(recording, event),
    })
}

/// The beginning of the last sync that ended before an answer.
fn sync_before(recording: &Recording, event: &Placed) -> usize {
    let calls = |index: &usize| matches!(recording.log.call(*index), Call::SyncBegin { .. });
    (0..event.answered).rev().find(calls).unwrap_or(event.answered)
}
