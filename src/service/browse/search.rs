//! Names that match, over all devices of an account, removed files too.
//!
//! There is no index of words: a search reads the account's paths in their order, so many for a page, and says where it
//! stopped. It ends when the last path was read, not when a page is empty.

use std::collections::HashMap;

use super::{Cursor, SeenFile, next_path, seen};
use crate::model::{DeviceName, Invalid, Timestamp};
use crate::service::error::Error;
use crate::service::{Caller, Services};
use crate::store::PathEntry;

/// Paths one page reads, so that no request keeps its thread for long.
const PATHS_READ_MAX: usize = 200_000;
/// Paths read at a time.
const PATHS_AT_ONCE: usize = 1024;
/// Words of a search.
const WORDS_MAX: usize = 16;
/// Bytes of a search.
const QUERY_BYTES_MAX: usize = 1024;

/// What is searched for: all words must be in the name, or in the path when a word has a separator.
#[derive(Debug)]
pub struct SearchQuery {
    words: Vec<String>,
    endings: Vec<String>,
    device: Option<String>,
}

impl SearchQuery {
    /// Reads words; `ext:pdf` asks for an ending and `device:name` for a device.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut query = Self { words: Vec::new(), endings: Vec::new(), device: None };
        if text.len() > QUERY_BYTES_MAX || text.split_whitespace().count() > WORDS_MAX {
            return Err(Invalid::new("q", format!("has more than {WORDS_MAX} words or {QUERY_BYTES_MAX} bytes")));
        }
        for word in text.split_whitespace() {
            let folded = word.to_lowercase();
            match folded.split_once(':') {
                Some(("ext", ending)) if !ending.is_empty() => query.endings.push(format!(".{ending}")),
                Some(("device", name)) if !name.is_empty() => query.device = Some(name.to_owned()),
                _ => query.words.push(folded),
            }
        }
        if query.words.is_empty() && query.endings.is_empty() {
            return Err(Invalid::new("q", "has no word to search for"));
        }
        Ok(query)
    }

    fn wants(&self, device: &DeviceName) -> bool {
        self.device.as_ref().is_none_or(|name| device.as_str().to_lowercase().contains(name.as_str()))
    }

    fn matches(&self, path: &[u8]) -> bool {
        let path = String::from_utf8_lossy(path).to_lowercase();
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
        let has = |word: &String| if word.contains(['/', '\\']) { path.contains(word) } else { name.contains(word) };
        self.words.iter().all(has) && (self.endings.is_empty() || self.endings.iter().any(|end| name.ends_with(end)))
    }
}

/// A file that matches.
#[derive(Debug)]
pub struct Match {
    /// Its device.
    pub device: DeviceName,
    /// The file, as it is now.
    pub file: SeenFile,
}

/// A page of matches.
#[derive(Debug, Default)]
pub struct SearchPage {
    /// By device in the order in which they came, then by path.
    pub matches: Vec<Match>,
    /// How many paths this page looked at.
    pub looked_at: u64,
    /// Where to go on; nothing when all was looked at.
    pub next: Option<Cursor>,
}

impl Services {
    /// One page of a search.
    pub fn search(
        &self,
        caller: &Caller,
        query: &SearchQuery,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<SearchPage, Error> {
        let mut devices: Vec<(u32, DeviceName)> = self.inner.device_names(caller.account)?.into_iter().collect();
        let only = caller.only_device()?;
        devices.retain(|(number, _)| only.is_none_or(|only| only == *number));
        devices.sort_by_key(|(number, _)| *number);
        let mut page = SearchPage::default();
        let first = after.map_or(0, |cursor| cursor.rank);
        for (number, device) in devices.iter().filter(|(number, name)| u64::from(*number) >= first && query.wants(name))
        {
            let at = after.filter(|cursor| cursor.rank == u64::from(*number));
            let mut from = at.map(|cursor| cursor.path.clone()).unwrap_or_default();
            loop {
                if page.matches.len() >= limit || page.looked_at >= PATHS_READ_MAX as u64 {
                    page.next = Some(Cursor { stage: 0, rank: u64::from(*number), path: from });
                    return Ok(page);
                }
                let catalog = self.inner.store.catalog();
                let paths = catalog.paths(caller.account, *number, &from, None, PATHS_AT_ONCE)?;
                let is_last = paths.len() < PATHS_AT_ONCE;
                let (found, read) = pick(&paths, query, limit - page.matches.len());
                page.looked_at += read as u64;
                page.matches.extend(self.matches(caller, device, &found)?);
                match paths.get(read.saturating_sub(1)) {
                    Some(last) if !is_last || read < paths.len() => from = next_path(&last.path),
                    _ => break,
                }
            }
        }
        Ok(page)
    }

    fn matches(&self, caller: &Caller, device: &DeviceName, found: &[&PathEntry]) -> Result<Vec<Match>, Error> {
        let ids: Vec<u64> = found.iter().map(|entry| entry.file).collect();
        let entries = self.inner.store.catalog().files_of(caller.account, &ids)?;
        let mut files: HashMap<u64, SeenFile> = entries
            .into_iter()
            .filter_map(|entry| seen(entry, Timestamp(i64::MAX)))
            .map(|file| (file.id.0, file))
            .collect();
        let found = ids.iter().filter_map(|id| files.remove(id));
        Ok(found.map(|file| Match { device: device.clone(), file }).collect())
    }
}

/// The first so many that match, and how many were looked at for that.
fn pick<'a>(paths: &'a [PathEntry], query: &SearchQuery, limit: usize) -> (Vec<&'a PathEntry>, usize) {
    let mut found = Vec::new();
    for (at, entry) in paths.iter().enumerate() {
        if query.matches(&entry.path) {
            found.push(entry);
            if found.len() == limit {
                return (found, at + 1);
            }
        }
    }
    (found, paths.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_looked_for_in_names_and_paths() {
        let rows = [
            ("hosts", "/etc/hosts", true),
            ("etc", "/etc/hosts", false),
            ("etc/", "/etc/hosts", true),
            ("HÄUSER ext:Pdf", "C:\\Fotos\\häuser.PDF", true),
            ("häuser ext:jpg", "C:\\Fotos\\häuser.PDF", false),
            ("a b", "/x/b a", true),
            ("a b", "/b/a", false),
        ];
        for (query, path, matches) in rows {
            assert_eq!(SearchQuery::parse(query).expect(query).matches(path.as_bytes()), matches, "{query}: {path}");
        }
        for bad in ["", "   ", "device:x", &"a ".repeat(17)] {
            assert!(SearchQuery::parse(bad).is_err(), "{bad:?}");
        }
    }
}
