//! A tree as people have it: sources, large files, empty ones, links, odd names, modes and times. And what two of them differ in.

use crate::kit::random::Random;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes it below `at`: the sources of this program, and `mib` MiB that do not compress.
pub fn make(at: &Path, random: &mut Random, mib: u64) {
    fs::create_dir_all(at.join("odd")).expect("made");
    for part in ["src", "tests", "examples"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(part);
        let copied = Command::new("cp").arg("-a").arg(from).arg(at).status().expect("cp runs");
        assert!(copied.success(), "copying {part}");
    }
    renew(at, random, mib);
    for n in 0..60 {
        let bytes = random.below(200_000);
        noise(&at.join(format!("odd/{n}")), random, bytes);
    }
    for name in [&b"new\nline"[..], b"\xff\xfe not text", "ä ö ü".as_bytes(), b" "] {
        fs::write(at.join("odd").join(std::ffi::OsStr::from_bytes(name)), name).expect("written");
    }
    fs::write(at.join("empty"), b"").expect("written");
    fs::set_permissions(at.join("empty"), fs::Permissions::from_mode(0o4711)).expect("a mode");
    symlink("../nowhere", at.join("odd/link")).expect("a link");
    fs::hard_link(at.join("odd/1"), at.join("odd/hard")).expect("a hard link");
}

/// Gives the large files another content.
pub fn renew(at: &Path, random: &mut Random, mib: u64) {
    for n in 0..mib / 8 {
        noise(&at.join(format!("large-{n}")), random, 8 << 20);
    }
}

/// A later state of the same tree.
pub fn change(at: &Path, random: &mut Random) {
    fs::remove_file(at.join("odd/2")).expect("removed");
    fs::rename(at.join("odd/3"), at.join("odd/renamed")).expect("renamed");
    noise(&at.join("odd/4"), random, 300_000);
    let mut large = fs::read(at.join("large-0")).expect("read");
    large.splice(3_000_000..3_000_000, b"inserted".iter().copied());
    fs::write(at.join("large-0"), large).expect("written");
}

fn noise(path: &Path, random: &mut Random, bytes: u64) {
    let mut content = vec![0; bytes as usize];
    random.fill(&mut content);
    fs::write(path, content).expect("written");
}

/// An error that names what differs: an entry, a mode, a time, a link's end, a byte.
pub fn differences(left: &Path, right: &Path) -> Result<(), String> {
    let (ours, theirs) = (entries(left), entries(right));
    if ours != theirs {
        let only = |some: &[PathBuf], other: &[PathBuf]| some.iter().find(|path| !other.contains(path)).cloned();
        return Err(format!("only left: {:?}, only right: {:?}", only(&ours, &theirs), only(&theirs, &ours)));
    }
    ours.iter().try_for_each(|path| same(&left.join(path), &right.join(path)))
}

fn same(left: &Path, right: &Path) -> Result<(), String> {
    let [ours, theirs] = [left, right].map(|path| fs::symlink_metadata(path).expect("there"));
    let of = |about: &fs::Metadata| {
        (about.mode(), about.mtime(), about.mtime_nsec(), about.is_dir() || about.len() == ours.len())
    };
    if of(&ours) != of(&theirs) {
        return Err(format!("{}: {:?} became {:?}", left.display(), of(&ours), of(&theirs)));
    }
    let equal = match ours.file_type() {
        kind if kind.is_symlink() => fs::read_link(left).ok() == fs::read_link(right).ok(),
        kind if kind.is_file() => fs::read(left).expect("read") == fs::read(right).expect("read"),
        _ => true,
    };
    if equal { Ok(()) } else { Err(format!("{} is not what it was", left.display())) }
}

/// All paths below a directory, relative, sorted.
fn entries(at: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![at.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a directory").flatten() {
            if entry.file_type().expect("a type").is_dir() {
                open.push(entry.path());
            }
            found.push(entry.path().strip_prefix(at).expect("below").to_owned());
        }
    }
    found.sort();
    found
}
