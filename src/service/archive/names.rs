//! What files are called in an archive.
//!
//! Promises: a name is relative, has no `..`, drive or control character in it, stands once, and is a file's or a folder's but never
//! both; the same paths in the same order get the same names. Never: fails, whatever a path is made of.

use std::collections::HashSet;

use super::ArchiveQuery;

/// Names that were given.
#[derive(Debug, Default)]
pub struct Names {
    files: HashSet<u64>,
    folders: HashSet<u64>,
}

impl Names {
    /// The name of `path`, whose first `from` bytes are not wanted, below the folder `top`.
    pub fn give(&mut self, top: &str, path: &[u8], from: usize) -> String {
        let text = String::from_utf8_lossy(path.get(from..).unwrap_or_default()).into_owned();
        let mut parts: Vec<String> = text.split(['/', '\\']).filter_map(part).collect();
        if parts.is_empty() {
            parts.push("file".to_owned());
        }
        let mut name = top.to_owned();
        let last = parts.len() - 1;
        for (nth, part) in parts.into_iter().enumerate() {
            if !name.is_empty() {
                name.push('/');
            }
            name = self.free(name, &part, nth == last);
        }
        name
    }

    /// `way` with `part`, or with the first of its likes that nobody has.
    fn free(&mut self, way: String, part: &str, is_file: bool) -> String {
        for nth in 1.. {
            let name = if nth == 1 { format!("{way}{part}") } else { format!("{way}{}", numbered(part, nth)) };
            let key = key(&name);
            let is_free = match is_file {
                true => !self.files.contains(&key) && !self.folders.contains(&key),
                false => !self.files.contains(&key),
            };
            if is_free {
                if is_file {
                    self.files.insert(key)
                } else {
                    self.folders.insert(key)
                };
                return name;
            }
        }
        way
    }
}

/// A name as a number: two names with one number cost one of them its plain name, and nothing else. The same on every run.
fn key(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    u64::from_le_bytes(*hash.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]))
}

/// `letter.txt` becomes `letter (2).txt`.
fn numbered(part: &str, nth: usize) -> String {
    match part.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((stem, ending)) => format!("{stem} ({nth}).{ending}"),
        None => format!("{part} ({nth})"),
    }
}

/// One name on the way; nothing for one that leads nowhere.
fn part(text: &str) -> Option<String> {
    if matches!(text, "" | "." | "..") {
        return None;
    }
    let mut safe: String = text.chars().map(|letter| if letter.is_control() { '_' } else { letter }).collect();
    // `C:` in front of a name leads to another drive.
    if safe.as_bytes().get(1) == Some(&b':') {
        safe.replace_range(1..2, "_");
    }
    Some(safe)
}

/// The folder that all of an archive lies in: the one that was asked for, or none around a selection.
pub fn top(query: &ArchiveQuery) -> String {
    if query.files.is_empty() && query.folders.is_empty() { of_archive(query) } else { String::new() }
}

/// What the archive is called: as the folder, else as the device.
pub fn of_archive(query: &ArchiveQuery) -> String {
    let text = String::from_utf8_lossy(&query.folder).into_owned();
    let last = text.split(['/', '\\']).filter_map(part).next_back();
    last.or_else(|| part(&query.device.as_str().replace(['/', '\\'], "_"))).unwrap_or_else(|| "files".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(paths: &[&[u8]]) -> Vec<String> {
        let mut names = Names::default();
        paths.iter().map(|path| names.give("top", path, 0)).collect()
    }

    #[test]
    fn names_lead_nowhere_else() {
        let rows: [(&[u8], &str); 9] = [
            (b"/etc/hosts", "top/etc/hosts"),
            (b"C:\\Users\\me\\a b.txt", "top/C_/Users/me/a b.txt"),
            (b"/../../x/../y", "top/x/y"),
            (b"/a/C:evil", "top/a/C_evil"),
            (b"/con\nline\x1b[31m", "top/con_line_[31m"),
            ("/\u{85}ä".as_bytes(), "top/_ä"),
            (b"/\xff", "top/\u{fffd}"),
            (b"/..", "top/file"),
            (b"at 12:30", "top/at 12:30"),
        ];
        for (path, name) in rows {
            assert_eq!(given(&[path]), [name], "{}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn a_name_stands_once_and_is_one_thing() {
        assert_eq!(given(&[b"/a.txt", b"\\a.txt"]), ["top/a.txt", "top/a (2).txt"]);
        assert_eq!(given(&[b"/a", b"/a/b", b"/a/c"]), ["top/a", "top/a (2)/b", "top/a (2)/c"]);
        assert_eq!(given(&[b"/a/b", b"\\a"]), ["top/a/b", "top/a (2)"]);
        assert_eq!(given(&[b"/\xfe", b"/\xff"]), ["top/\u{fffd}", "top/\u{fffd} (2)"]);
    }
}
