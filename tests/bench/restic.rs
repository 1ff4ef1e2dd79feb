//! restic on RBackup and on `rclone serve restic`, in turns: a real tree backed up and restored over TCP and over stdio.
//! RBackup has synced what it answers for, rclone has not.

use crate::Options;
use crate::kit::place::{self, Place};
use crate::measure::timed;
use crate::peer::{Peer, in_turns};
use crate::report::Report;
use crate::watched::{Cost, Watched};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a real tree is found, as far as the machine has it.
const TREES: [&str; 3] = ["/usr/share", "/usr/lib", "/usr/bin"];

/// How restic reaches a server.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Tcp,
    Stdio,
}

/// What one run of restic took.
#[derive(Default)]
struct Took {
    backup_s: f64,
    restore_s: f64,
    backup: Cost,
    restore: Cost,
}

/// A real tree of the options' size, both ways.
pub fn compare(options: &Options, ours: &Peer, theirs: &Peer, report: &mut Report) {
    let place = Place::on_disk("bench-restic");
    let bytes = options.mib << 20;
    place::require_free(place.path(), 4 * bytes + (2 << 30));
    let tree = tree(bytes);
    for (way, name) in [(Way::Tcp, "TCP"), (Way::Stdio, "stdio")] {
        let run = |peer: &Peer, number| restic(peer, way, place.path(), &tree, number);
        let pairs = in_turns(options.pairs, |number| run(ours, number), |number| run(theirs, number));
        let mut add = |name: String, unit: &'static str, of: &dyn Fn(&Took) -> f64| {
            let pairs: Vec<_> = pairs.iter().map(|(ours, theirs)| (of(ours), of(theirs))).collect();
            report.add_pairs(name, unit, "rclone", &pairs);
        };
        add(format!("restic backup over {name}"), "s", &|took| took.backup_s);
        add(format!("restic restore over {name}"), "s", &|took| took.restore_s);
        add(format!("server's CPU, backup over {name}"), "s", &|took| took.backup.cpu_s);
        add(format!("server's CPU, restore over {name}"), "s", &|took| took.restore.cpu_s);
        add(format!("server's peak memory over {name}"), "MiB", &|took| {
            took.backup.peak_mib.max(took.restore.peak_mib)
        });
    }
}

/// A part of the system of at least so many bytes: directories in the order of their names, until they suffice.
fn tree(wanted: u64) -> Vec<PathBuf> {
    let (mut chosen, mut bytes) = (Vec::new(), 0);
    for part in TREES {
        for path in names(Path::new(part)) {
            if bytes >= wanted {
                break;
            }
            bytes += size(&path);
            chosen.push(path);
        }
    }
    assert!(
        bytes >= wanted,
        "{TREES:?} hold {} MiB and this needs {}: choose fewer with --mib",
        bytes >> 20,
        wanted >> 20
    );
    eprintln!("bench: {} MB in {} parts of {TREES:?}", bytes / 1_000_000, chosen.len());
    chosen
}

fn names(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    names.sort();
    names
}

fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => names(path).iter().map(|below| size(below)).sum(),
        Ok(found) if found.is_file() => found.size(),
        _ => 0,
    }
}

/// A backup into a new repository and a restore of it.
fn restic(peer: &Peer, way: Way, place: &Path, tree: &[PathBuf], number: u64) -> Took {
    let store = peer.store(place, &format!("restic-{number}"));
    let server = (way == Way::Tcp).then(|| peer.serve(&[], &store));
    let repository = match &server {
        Some(server) => format!("rest:http://{}/", server.address),
        None => format!("rclone:{}", store.display()),
    };
    let (restored, cache) = (place.join("restored"), place.join("cache"));
    let restic = |words: &[&str], paths: &[PathBuf]| {
        let mut command = Command::new("restic");
        command.args(["-q", "-r", &repository, "--cache-dir"]).arg(&cache).args(words).args(paths);
        if way == Way::Stdio {
            command.arg("-o").arg(format!("rclone.program={}", peer.program.display()));
        }
        command.env("RESTIC_PASSWORD", "bench").env("RBACKUP_STATE_DIR", place.join("state"));
        timed(command.env("RCLONE_CONFIG", "/dev/null"))
    };
    restic(&["init"], &[]);
    let mut took = Took::default();
    let watch = Watched::begin(&peer.program, &store);
    took.backup_s = restic(&["backup"], tree);
    took.backup = watch.end();
    // What restic remembers would save it from asking the server.
    let _ = fs::remove_dir_all(&cache);
    let watch = Watched::begin(&peer.program, &store);
    took.restore_s = restic(&["restore", "latest", "--target", &restored.display().to_string()], &[]);
    took.restore = watch.end();
    drop(server);
    for left in [restored, cache, store] {
        let _ = fs::remove_dir_all(left);
    }
    took
}
