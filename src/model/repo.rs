//! restic's names: which repository, which object in it. One parse of a request's path decides both who may have it and where it lies.
//!
//! Promises: a parsed path has no empty, `.` or `..` segment, no NUL, backslash, slash or control character and no reserved word,
//! so that it means the same to everybody; an object's name is 64 lower-case hexadecimal digits. Never: normalizes, redirects,
//! or decodes twice.

use std::fmt;

use percent_encoding::percent_decode_str;

use super::{Invalid, Purpose};

/// Segments of a repository's path; deep enough for `machine/user/disk/…`, and a bound for keys.
pub const REPO_DEPTH_MAX: usize = 8;
/// Bytes of one segment, as file systems have it.
pub const SEGMENT_BYTES_MAX: usize = 255;
/// Bytes of a whole path: it is a part of a row's key.
pub const REPO_PATH_BYTES_MAX: usize = 1024;

/// What an object is. All but the configuration are named by the SHA-256 of their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// The repository's configuration; there is one, without a name.
    Config,
    /// A pack of data.
    Data,
    /// A key, opened by a password.
    Keys,
    /// A lock; the one kind that append-only clients may remove.
    Locks,
    /// A snapshot.
    Snapshots,
    /// An index of packs.
    Index,
}

impl ObjectKind {
    /// Every kind, in the order of their bytes on disk.
    pub const ALL: [Self; 6] = [Self::Config, Self::Data, Self::Keys, Self::Locks, Self::Snapshots, Self::Index];

    /// The word that stands for it in a path; none of them can be a part of a repository's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Data => "data",
            Self::Keys => "keys",
            Self::Locks => "locks",
            Self::Snapshots => "snapshots",
            Self::Index => "index",
        }
    }

    /// The kind that a word stands for.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// What an object of this kind is sent for.
    pub fn purpose(self) -> Purpose {
        match self {
            Self::Locks | Self::Index => Purpose::Removing,
            _ => Purpose::Keeping,
        }
    }

    /// Its byte on disk.
    pub fn byte(self) -> u8 {
        match self {
            Self::Config => 0,
            Self::Data => 1,
            Self::Keys => 2,
            Self::Locks => 3,
            Self::Snapshots => 4,
            Self::Index => 5,
        }
    }

    /// The kind that a byte on disk stands for.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// An object in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    kind: ObjectKind,
    hash: [u8; 32],
}

impl ObjectName {
    /// The configuration.
    pub const CONFIG: Self = Self { kind: ObjectKind::Config, hash: [0; 32] };

    /// The object of `kind` whose content has this SHA-256; the configuration is the same whatever it is.
    pub fn new(kind: ObjectKind, hash: [u8; 32]) -> Self {
        if kind == ObjectKind::Config { Self::CONFIG } else { Self { kind, hash } }
    }

    /// Reads 64 lower-case hexadecimal digits; the configuration has no name to read.
    pub fn parse(kind: ObjectKind, text: &str) -> Option<Self> {
        let lower = text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let hash = super::Sha256::parse(text).filter(|_| lower && kind != ObjectKind::Config)?;
        Some(Self { kind, hash: hash.0 })
    }

    /// What it is.
    pub fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// The SHA-256 that its content must have; zeros for the configuration.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The SHA-256 that its content must have; nothing for the configuration.
    pub fn promised(&self) -> Option<super::Sha256> {
        (self.kind != ObjectKind::Config).then_some(super::Sha256(self.hash))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.promised() {
            None => f.write_str(self.kind.word()),
            Some(hash) => write!(f, "{}/{hash}", self.kind.word()),
        }
    }
}

/// A repository's name in its account: segments joined by `/`, or nothing for the one at the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(String);

impl RepoPath {
    /// Reads a name as people write it: segments between slashes, not percent-encoded. One slash at the end is ignored.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty() {
            return Ok(Self(String::new()));
        }
        let segments: Vec<&str> = text.split('/').collect();
        Self::of_segments(&segments, REPO_DEPTH_MAX)
    }

    fn of_segments(segments: &[&str], depth_max: usize) -> Result<Self, Invalid> {
        let wrong = |problem: String| Err(Invalid::new("repository", problem));
        if segments.len() > depth_max {
            return wrong(format!("has more than {depth_max} segments"));
        }
        if let Some(reason) = segments.iter().find_map(|segment| segment_problem(segment)) {
            return wrong(format!("has a segment that {reason}"));
        }
        let path = segments.join("/");
        if path.len() > REPO_PATH_BYTES_MAX {
            return wrong(format!("is longer than {REPO_PATH_BYTES_MAX} bytes"));
        }
        Ok(Self(path))
    }

    /// The name as it was written; empty for the repository at the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first segment; nothing for the repository at the root.
    pub fn first_segment(&self) -> Option<&str> {
        self.0.split('/').next().filter(|segment| !segment.is_empty())
    }

    /// How many segments it has.
    pub fn depth(&self) -> usize {
        if self.0.is_empty() { 0 } else { self.0.split('/').count() }
    }

    /// The repository `below` under this one, as a base path that is put before every name. Refused when that is too deep.
    pub fn join(&self, below: &Self) -> Result<Self, Invalid> {
        let segments = self.0.split('/').chain(below.0.split('/')).filter(|segment| !segment.is_empty());
        Self::of_segments(&segments.collect::<Vec<_>>(), REPO_DEPTH_MAX)
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn segment_problem(segment: &str) -> Option<&'static str> {
    if segment.is_empty() {
        Some("is empty")
    } else if matches!(segment, "." | "..") {
        Some("stands for another directory")
    } else if segment.len() > SEGMENT_BYTES_MAX {
        Some("is too long")
    } else if segment.chars().any(|c| c.is_control() || matches!(c, '/' | '\\')) {
        Some("has a control character, a slash or a backslash")
    } else if ObjectKind::of(segment).is_some() {
        Some("is a word of restic's")
    } else {
        None
    }
}

/// What a path names in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The repository itself: the path ends with a slash and names nothing more.
    Repo,
    /// All objects of a kind, which is never the configuration.
    List(ObjectKind),
    /// One object.
    Object(ObjectName),
}

/// What the path of a request means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator {
    /// The repository.
    pub repo: RepoPath,
    /// What in it.
    pub resource: Resource,
}

impl Locator {
    /// Reads what follows the base of the URL, still percent-encoded and without its first slash: `a/b/data/0123…`. Decodes once,
    /// then splits, so an encoded slash separates like any other. Nothing when there can be nothing at this path.
    pub fn parse(encoded: &str, depth_max: usize) -> Option<Self> {
        let path = percent_decode_str(encoded).decode_utf8().ok()?;
        if path.len() > REPO_PATH_BYTES_MAX + 128 {
            return None;
        }
        let segments: Vec<&str> = path.split('/').collect();
        // The first reserved word ends the repository's name; without one only the last, empty segment does.
        let end = segments.iter().position(|segment| ObjectKind::of(segment).is_some());
        let (repo, rest) = segments.split_at(end.unwrap_or(segments.len() - 1));
        let resource = match rest {
            [""] => Resource::Repo,
            ["config"] => Resource::Object(ObjectName::CONFIG),
            [word, ""] => Resource::List(ObjectKind::of(word).filter(|kind| *kind != ObjectKind::Config)?),
            [word, name] => Resource::Object(ObjectName::parse(ObjectKind::of(word)?, name)?),
            _ => return None,
        };
        Some(Self { repo: RepoPath::of_segments(repo, depth_max).ok()?, resource })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo_of(encoded: &str) -> Option<(String, Resource)> {
        Locator::parse(encoded, 3).map(|it| (it.repo.0, it.resource))
    }

    #[test]
    fn a_path_means_one_thing_or_nothing() {
        let name = "0123456789abcdef".repeat(4);
        let object = ObjectName::parse(ObjectKind::Data, &name).expect("a name");
        let rows = [
            ("", "", Resource::Repo),
            ("a/", "a", Resource::Repo),
            ("a%2Fb/", "a/b", Resource::Repo),
            ("config", "", Resource::Object(ObjectName::CONFIG)),
            ("a/b/config", "a/b", Resource::Object(ObjectName::CONFIG)),
            ("a/locks/", "a", Resource::List(ObjectKind::Locks)),
            ("%61/data%2f", "a", Resource::List(ObjectKind::Data)),
        ];
        for (path, repo, resource) in rows {
            assert_eq!(repo_of(path), Some((repo.to_owned(), resource)), "{path}");
        }
        assert_eq!(repo_of(&format!("a/b/c/data/{name}")), Some(("a/b/c".to_owned(), Resource::Object(object))));
        let upper = name.to_uppercase();
        let nothing = [
            "a",
            "a/b",
            "a//",
            "/a/",
            "//config",
            "a//config",
            "./config",
            "a/../b/config",
            "%2e%2e/config",
            "%00/config",
            "a%5cb/config",
            "a%0a/config",
            "%ff/config",
            "data",
            "config/",
            "config/x",
            "data/foobar",
            "data/ab/cd",
            "a/data/keys/",
            "a/b/c/d/config",
            "%252e%252e/config/x",
            "a/config/b/config",
        ];
        for path in nothing {
            assert_eq!(repo_of(path), None, "{path}");
        }
        for path in [format!("data/{upper}"), format!("data/{}", &name[1..]), format!("data/{name}/"), name.clone()] {
            assert_eq!(repo_of(&path), None, "{path}");
        }
        assert_eq!(repo_of("%252e%252e/config").map(|(repo, _)| repo), Some("%2e%2e".to_owned()), "decoded once");
    }

    #[test]
    fn a_name_as_people_write_it() {
        for (text, depth) in [("", 0), ("/", 0), ("photos", 1), ("nas/photos/", 2), ("ä b", 1)] {
            assert_eq!(RepoPath::parse(text).map(|path| path.depth()), Ok(depth), "{text}");
        }
        for text in
            ["/a", "a//b", "..", "a/./b", "a\\b", "a\0", "data", "a/index", "a/b/c/d/e/f/g/h/i", &"x".repeat(256)]
        {
            assert!(RepoPath::parse(text).is_err(), "{text}");
        }
        let [base, below] = ["alice", "disk/1"].map(|text| RepoPath::parse(text).expect("a path"));
        assert_eq!(base.join(&below).expect("short").as_str(), "alice/disk/1");
        let root = RepoPath::parse("").expect("the root");
        assert_eq!((root.join(&base).expect("short").as_str(), root.first_segment()), ("alice", None));
        assert_eq!(below.first_segment(), Some("disk"));
    }

    #[test]
    fn kinds_are_read_back_from_words_and_bytes() {
        for kind in ObjectKind::ALL {
            assert_eq!((ObjectKind::of(kind.word()), ObjectKind::from_byte(kind.byte())), (Some(kind), Some(kind)));
        }
        assert_eq!(ObjectKind::from_byte(6), None);
        assert_eq!(ObjectName::parse(ObjectKind::Config, &"0".repeat(64)), None);
    }
}
