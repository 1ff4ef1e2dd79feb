//! REMOTE: a data directory, or a path in it, of an account or of nobody.

use std::path::PathBuf;

use crate::model::{Invalid, RepoPath};

/// REMOTE, taken apart. Whether the name before the colon is an account's is known to the server alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remote {
    /// The data directory it names.
    pub data: Option<PathBuf>,
    /// What stands before the first colon.
    pub account: Option<String>,
    /// The path behind it.
    pub repo: String,
}

impl Remote {
    /// `/…` and `.…` are directories, `name:path` may be an account's path, anything else is a path in the local realm.
    ///
    /// A path that nobody can have is refused here, before anything is made for it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let remote = Self::split(text);
        RepoPath::parse(&remote.repo)?;
        Ok(remote)
    }

    fn split(text: &str) -> Self {
        if text.starts_with(['/', '.']) {
            return Self { data: Some(PathBuf::from(text)), ..Self::default() };
        }
        match text.split_once(':') {
            // A colon behind a slash is part of a name, and so is one at the beginning.
            Some((name, path)) if !name.is_empty() && !name.contains('/') => {
                let repo = path.trim_start_matches('/').to_owned();
                Self { account: Some(name.to_owned()), repo, data: None }
            }
            _ => Self { repo: text.to_owned(), ..Self::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_an_accounts_path_or_a_path() {
        for (text, data, account, repo) in [
            ("photos", None, None, "photos"),
            ("", None, None, ""),
            ("photos/laptop", None, None, "photos/laptop"),
            ("anna:photos", None, Some("anna"), "photos"),
            ("anna:", None, Some("anna"), ""),
            ("anna:/photos", None, Some("anna"), "photos"),
            ("b2:bucket/a:b", None, Some("b2"), "bucket/a:b"),
            ("a/b:c", None, None, "a/b:c"),
            (":local:x", None, None, ":local:x"),
            ("/srv/backup", Some("/srv/backup"), None, ""),
            ("./data", Some("./data"), None, ""),
            (".", Some("."), None, ""),
            ("../x:y", Some("../x:y"), None, ""),
        ] {
            let remote = Remote::parse(text).expect(text);
            let wanted = (data.map(PathBuf::from), account.map(str::to_owned), repo.to_owned());
            assert_eq!((remote.data, remote.account, remote.repo), wanted, "{text}");
        }
        for text in ["photos/data", "a//b", "a/../b", "anna:a/./b"] {
            assert!(Remote::parse(text).is_err(), "{text}");
        }
    }
}
