//! A data directory as a value: names and bytes, cheap to copy, written out with its holes.
//!
//! Unlike the tree of the crash images it shares its files between copies, for thousands of trials change one byte each.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// What sled and a file system work in.
pub const PAGE: usize = 4096;
const ZEROS: [u8; PAGE] = [0; PAGE];

/// Relative path → `None` for a directory, or the file's bytes. The root is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image(BTreeMap<String, Option<Arc<Vec<u8>>>>);

impl Image {
    /// Reads a directory.
    pub fn read(root: &Path) -> Image {
        let mut image = Image::default();
        walk(root, "", &mut image.0);
        image
    }

    /// Writes it below a directory that does not exist yet; pages of zeros become holes.
    pub fn write(&self, root: &Path) {
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700).create(root).expect("create the image's directory");
        for (path, bytes) in &self.0 {
            match bytes {
                None => builder.create(root.join(path)).expect("create a directory"),
                Some(bytes) => write_sparse(&root.join(path), bytes),
            }
        }
    }

    /// Makes `path` below `root` what it is here, with all in it.
    pub fn restore(&self, root: &Path, path: &str) {
        let there = root.join(path);
        let gone = if there.is_dir() { fs::remove_dir_all(&there) } else { fs::remove_file(&there) };
        let _ = gone;
        let part: BTreeMap<_, _> = self.0.iter().filter(|(name, _)| below(name, path).is_some()).collect();
        for (name, bytes) in part {
            match bytes {
                None => fs::create_dir_all(root.join(name)).expect("create a directory"),
                Some(bytes) => write_sparse(&root.join(name), bytes),
            }
        }
    }

    /// A file's bytes.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path)?.as_ref().map(|bytes| &bytes[..])
    }

    /// A file's bytes, to change them in this copy only.
    pub fn file_mut(&mut self, path: &str) -> &mut Vec<u8> {
        let held = self.0.get_mut(path).and_then(Option::as_mut);
        Arc::make_mut(held.unwrap_or_else(|| unreachable!("the image has no file {path}")))
    }

    /// The paths of all files.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, bytes)| bytes.is_some()).map(|(path, _)| path.as_str())
    }

    /// The paths of all directories.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, bytes)| bytes.is_none()).map(|(path, _)| path.as_str())
    }

    /// Whether there is such a file or directory.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Takes a file, or a directory with all in it, out.
    pub fn remove(&mut self, path: &str) -> Image {
        let gone: Vec<String> = self.0.keys().filter(|name| below(name, path).is_some()).cloned().collect();
        Image(gone.into_iter().filter_map(|name| self.0.remove_entry(&name)).collect())
    }

    /// Puts what another image has at `from` at `path`; whatever was there is gone.
    pub fn put(&mut self, path: &str, other: &Image, from: &str) {
        self.remove(path);
        let found = other.0.iter().filter_map(|(name, bytes)| Some((format!("{path}{}", below(name, from)?), bytes)));
        self.0.extend(found.map(|(name, bytes)| (name, bytes.clone())));
    }

    /// The paths that differ, in either direction.
    pub fn differing(&self, other: &Image) -> Vec<String> {
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        names.into_iter().filter(|name| !self.is_alike(other, name)).cloned().collect()
    }

    fn is_alike(&self, other: &Image, name: &str) -> bool {
        match (self.0.get(name), other.0.get(name)) {
            (Some(Some(one)), Some(Some(two))) => Arc::ptr_eq(one, two) || one == two,
            (one, two) => one == two,
        }
    }
}

/// What follows `parent` in `name`, if `name` is it or lies below it.
fn below<'a>(name: &'a str, parent: &str) -> Option<&'a str> {
    name.strip_prefix(parent).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn walk(directory: &Path, prefix: &str, into: &mut BTreeMap<String, Option<Arc<Vec<u8>>>>) {
    for entry in fs::read_dir(directory).expect("read a directory") {
        let entry = entry.expect("a directory entry");
        let name = entry.file_name().into_string().expect("a plain name");
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if entry.file_type().expect("its type").is_dir() {
            walk(&entry.path(), &path, into);
            into.insert(path, None);
        } else {
            match fs::read(entry.path()) {
                // A list of blocks gets its name when it is whole, also while somebody looks.
                Err(error) if error.kind() == ErrorKind::NotFound && path.ends_with("/pieces.new") => {}
                bytes => drop(into.insert(path, Some(Arc::new(bytes.expect("read a file"))))),
            }
        }
    }
}

fn write_sparse(path: &Path, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("create a file");
    file.set_len(bytes.len() as u64).expect("make it long enough");
    for (number, page) in bytes.chunks(PAGE).enumerate() {
        if *page != ZEROS[..page.len()] {
            file.write_all_at(page, (number * PAGE) as u64).expect("write a page");
        }
    }
}
