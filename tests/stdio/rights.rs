//! What a right to append is: backups, restores and `unlock` work; nothing that was there goes, whatever restic tries.

use super::restic::Restic;
use super::site::Site;

/// A repository with two snapshots, one more that was forgotten so that there is something to prune, and two keys.
pub fn prepare(site: &Site, full: &Restic) {
    let (tree, more) = (site.tree("tree", 3), site.tree("more", 2));
    full.must(&["init"]);
    for path in [&more, &tree] {
        full.must(&["backup", &path.to_string_lossy()]);
    }
    let first = full.snapshots().remove(0);
    full.must(&["forget", &first]);
    let password = site.path("second-password");
    std::fs::write(&password, "another password\n").unwrap();
    full.must(&["key", "add", "--new-password-file", &password.to_string_lossy()]);
}

/// Whether `limited` has the right to append to what [`prepare`] made with `full`, and no other.
pub fn is_append_only(site: &Site, full: &Restic, limited: &Restic) -> Result<(), String> {
    let tree = site.path("tree");
    let before = objects(full);
    std::fs::write(tree.join("new"), format!("new {}", before.len())).unwrap();
    works(limited, &["backup", &tree.to_string_lossy()])?;
    let snapshot = full.snapshots().pop().ok_or("the backup is there")?;
    let key = other_key(full);
    refused(limited, &["forget", &snapshot])?;
    refused(limited, &["prune"])?;
    refused(limited, &["key", "remove", &key])?;
    let after = objects(full);
    let lost: Vec<&String> = before.iter().filter(|object| !after.contains(object)).collect();
    if !lost.is_empty() {
        return Err(format!("objects are gone: {lost:?}"));
    }
    full.must(&["unlock", "--remove-all"]);
    limited.restores(&tree);
    works(full, &["check", "--read-data"])
}

/// Everything but locks, by name.
fn objects(restic: &Restic) -> Vec<String> {
    let listed = |kind: &str| {
        let names = restic.must(&["list", "--no-lock", kind]);
        names.lines().map(|name| format!("{kind}/{name}")).collect::<Vec<_>>()
    };
    ["packs", "index", "snapshots", "keys"].into_iter().flat_map(listed).collect()
}

fn other_key(restic: &Restic) -> String {
    let listed = restic.must(&["key", "list"]);
    let lines = listed.lines().filter(|line| line.starts_with(' ') && !line.contains("ID"));
    lines.filter_map(|line| line.split_whitespace().next()).next().expect("a second key").to_owned()
}

fn works(restic: &Restic, words: &[&str]) -> Result<(), String> {
    let ended = restic.run(words);
    if ended.code == Some(0) { Ok(()) } else { Err(format!("restic {words:?} failed: {}", ended.stderr)) }
}

/// restic 0.14 tries ten times before it believes a 403: the first one is enough, the rest is killed.
fn refused(restic: &Restic, words: &[&str]) -> Result<(), String> {
    let mut running = restic.start(words);
    if running.until("server response: 403") {
        running.kill();
        // What it locked is its own, and it is dead: that is what `unlock` is for.
        return works(restic, &["unlock"]);
    }
    let ended = running.end();
    Err(format!("restic {words:?} was not refused, it ended with {:?}: {}{}", ended.code, ended.stdout, ended.stderr))
}
