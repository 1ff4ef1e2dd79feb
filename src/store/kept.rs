//! What only the catalog knew when volumes were lost goes into the log again, so that the catalog can be rebuilt as before.
//!
//! Promise: after the rows of a [`Difference`] are replayed behind the rest of the log, the catalog is the one it was taken from,
//! but for the places of frames. Never: keeps a place; where a frame lies is what the volumes say.

use std::iter::Peekable;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::catalog::Stream;
use super::error::Error;
use super::keys;
use super::rows::{Change, Row, Rows};

/// Rows in one record, and so in memory at once.
const ROWS_MAX: usize = 1000;
/// Their bytes; one row is far smaller.
const BYTES_MAX: usize = 1 << 20;

/// Rows of the catalog as a record holds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsKept {
    rows: Vec<KeptRow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptRow {
    key: Vec<u8>,
    seq: u64,
    /// Nothing for a row that was removed.
    value: Option<Vec<u8>>,
}

impl RowsKept {
    /// The rows it sets and removes. They keep their seq: it says since when they are so.
    pub fn changes(&self) -> Vec<Change> {
        let change = |row: &KeptRow| Change { key: row.key.clone(), seq: row.seq, value: row.value.clone() };
        self.rows.iter().map(change).collect()
    }

    /// How many versions are among them.
    pub fn versions(&self) -> u64 {
        self.rows.iter().filter(|row| row.value.is_some() && keys::is_version_file(&row.key)).count() as u64
    }
}

/// A key, with its row in the one catalog and in the other.
type Pair = (Vec<u8>, Option<Row>, Option<Row>);

/// What one catalog knows and another, which the log alone gives, does not.
pub struct Difference {
    known: Peekable<Stream>,
    log: Peekable<Stream>,
}

impl Difference {
    /// What `known` has beside `log`. Rows may be applied to `known` again meanwhile.
    pub fn between(known: &Arc<Rows>, log: &Arc<Rows>) -> Self {
        let all = |rows: &Arc<Rows>| Stream::new(Arc::clone(rows), keys::everything()).peekable();
        Self { known: all(known), log: all(log) }
    }

    /// The next rows, as many as a record takes.
    pub fn some(&mut self) -> Result<Option<RowsKept>, Error> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < ROWS_MAX && bytes < BYTES_MAX {
            let Some((key, known, log)) = self.pair()? else { break };
            let row = match (known, log) {
                (Some(known), log) if log.as_ref().is_none_or(|log| log.seq < known.seq) => {
                    KeptRow { key, seq: known.seq, value: Some(known.value) }
                }
                // Removed by a record that is lost: later than the row was made.
                (None, Some(log)) => KeptRow { key, seq: log.seq + 1, value: None },
                _ => continue,
            };
            if !keys::is_chunk(&row.key) {
                bytes += row.key.len() + row.value.as_ref().map_or(0, Vec::len);
                rows.push(row);
            }
        }
        Ok((!rows.is_empty()).then_some(RowsKept { rows }))
    }

    /// The next key that either has, with its row in each.
    fn pair(&mut self) -> Result<Option<Pair>, Error> {
        let key_of = |stream: &mut Peekable<Stream>| match stream.peek() {
            Some(Ok((key, _))) => Ok(Some(key.clone())),
            None => Ok(None),
            Some(Err(_)) => stream.next().map_or(Ok(None), |error| error.map(|(key, _)| Some(key))),
        };
        let (known, log) = (key_of(&mut self.known)?, key_of(&mut self.log)?);
        let Some(key) = known.iter().chain(&log).min().cloned() else { return Ok(None) };
        let take = |stream: &mut Peekable<Stream>, at: Option<Vec<u8>>| match at.as_ref() == Some(&key) {
            true => Ok::<_, Error>(stream.next().transpose()?.map(|(_, row)| row)),
            false => Ok(None),
        };
        let (known, log) = (take(&mut self.known, known)?, take(&mut self.log, log)?);
        Ok(Some((key, known, log)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::{BlockKey, Segment, Shape};
    use super::*;

    fn rows(list: &[(&str, u64)]) -> Arc<Rows> {
        let rows = Rows::in_memory(Shape { key: BlockKey::of([7; 16]), segment: Segment::DEFAULT });
        let change = |(key, seq): &(&str, u64)| Change { key: (*key).into(), seq: *seq, value: Some(vec![*seq as u8]) };
        rows.apply(list.iter().map(change).collect());
        Arc::new(rows)
    }

    #[test]
    fn what_only_the_catalog_knows_is_kept_and_what_it_saw_removed_stays_so() {
        let known = rows(&[("a1", 5), ("c1", 6), ("f1", 9), ("v1", 2), ("v2", 7)]);
        let log = rows(&[("a1", 5), ("c2", 6), ("f1", 4), ("s1", 3), ("v1", 2)]);
        let kept = Difference::between(&known, &log).some().expect("read").expect("a difference");
        let seen: Vec<_> = kept.changes().into_iter().map(|it| (it.key, it.seq, it.value)).collect();
        let row = |key: &str, seq, value: Option<u8>| (key.as_bytes().to_vec(), seq, value.map(|it| vec![it]));
        assert_eq!(seen, [row("f1", 9, Some(9)), row("s1", 4, None), row("v2", 7, Some(7))]);
        assert_eq!(kept.versions(), 1);
        log.apply_if_newer(kept.changes()).expect("applied");
        assert_eq!(Difference::between(&known, &log).some().expect("read"), None);
    }

    #[test]
    fn many_rows_come_in_pieces() {
        let names: Vec<(String, u64)> = (1..=2 * ROWS_MAX as u64 + 1).map(|n| (format!("f{n:08}"), n)).collect();
        let named: Vec<(&str, u64)> = names.iter().map(|(name, seq)| (name.as_str(), *seq)).collect();
        let mut difference = Difference::between(&rows(&named), &rows(&[]));
        let mut pieces = Vec::new();
        while let Some(kept) = difference.some().expect("read") {
            pieces.push(kept.rows.len());
        }
        assert_eq!(pieces, [ROWS_MAX, ROWS_MAX, 1]);
    }
}
