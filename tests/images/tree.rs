//! A directory as a value: names and bytes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Relative path → `None` for a directory, or the file's bytes. The root is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<String, Option<Vec<u8>>>);

impl Tree {
    /// Reads a directory; sockets are left out.
    pub fn read(root: &Path) -> Tree {
        let mut tree = Tree::default();
        walk(root, "", &mut |path, full, about| {
            let bytes = about.is_file().then(|| fs::read(full).expect("read a file"));
            tree.0.insert(path.to_owned(), bytes);
        });
        tree
    }

    /// Writes it below a directory that does not exist yet.
    pub fn write(&self, root: &Path) {
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700).recursive(true).create(root).expect("create the image's directory");
        for (path, bytes) in &self.0 {
            let full = root.join(path);
            match bytes {
                None => builder.create(&full).expect("create a directory"),
                Some(bytes) => {
                    use std::io::Write;
                    let mut file = fs::OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .mode(0o600)
                        .open(&full)
                        .expect("create a file");
                    file.write_all(bytes).expect("write a file");
                }
            }
        }
    }

    /// What is different, in words; empty when nothing is.
    pub fn differences(&self, other: &Tree) -> Vec<String> {
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        names.into_iter().filter_map(|name| difference(name, self.0.get(name), other.0.get(name))).collect()
    }
}

/// Every file and directory below the root with its inode, parents first.
pub fn inodes(root: &Path) -> Vec<(String, u64, Option<Vec<u8>>)> {
    let about = fs::metadata(root).expect("the directory is there");
    let mut all = vec![(String::new(), about.ino(), None)];
    walk(root, "", &mut |path, full, about| {
        let bytes = about.is_file().then(|| fs::read(full).expect("read a file"));
        all.push((path.to_owned(), about.ino(), bytes));
    });
    all
}

fn walk(directory: &Path, prefix: &str, visit: &mut dyn FnMut(&str, &Path, &fs::Metadata)) {
    for entry in fs::read_dir(directory).expect("read a directory") {
        let entry = entry.expect("a directory entry");
        let about = entry.metadata().expect("its metadata");
        let name = entry.file_name().into_string().expect("a plain name");
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if about.is_dir() || about.is_file() {
            visit(&path, &entry.path(), &about);
        }
        if about.is_dir() {
            walk(&entry.path(), &path, visit);
        }
    }
}

fn difference(name: &str, left: Option<&Option<Vec<u8>>>, right: Option<&Option<Vec<u8>>>) -> Option<String> {
    match (left, right) {
        (left, right) if left == right => None,
        (Some(Some(left)), Some(Some(right))) => {
            let at = left.iter().zip(right).position(|(a, b)| a != b).unwrap_or(left.len().min(right.len()));
            Some(format!("{name}: {} and {} bytes, first different at {at}", left.len(), right.len()))
        }
        (Some(_), None) => Some(format!("{name}: only in the first")),
        (None, Some(_)) => Some(format!("{name}: only in the second")),
        _ => Some(format!("{name}: a file in one, a directory in the other")),
    }
}
