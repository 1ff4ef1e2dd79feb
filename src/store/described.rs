//! `FORMAT.md` against the code: every kind of record that is written or read has its row there, and no row is of one that is not.

use std::collections::BTreeSet;

use super::records::Record;

/// Kinds with their schemas.
type Kinds = BTreeSet<(u8, u8)>;

/// Kinds that are given to later work.
const GIVEN: [u8; 3] = [16, 17, 21];

/// The table of records, row by row: the kind's cell, and what follows it.
fn rows(format: &str) -> Vec<(&str, &str)> {
    let (_, section) = format.split_once("\n## Record\n").expect("a section on records");
    let section = section.split("\n## ").next().unwrap_or(section);
    let cells = |line| str::strip_prefix(line, "| ")?.split_once(" | ");
    section.lines().filter_map(cells).filter(|(kind, _)| kind.starts_with(|it: char| it.is_ascii_digit())).collect()
}

/// What a cell says: `3` is `(3, 1)`, `2, schema 2` is `(2, 2)`, `16, 17` are two.
fn kinds(cell: &str) -> Kinds {
    let number = |text: &str| text.trim().parse().expect("a number");
    match cell.split_once(", schema ") {
        Some((kind, schema)) => [(number(kind), number(schema))].into(),
        None => cell.split(',').map(|kind| (number(kind), 1)).collect(),
    }
}

/// What the table says: kinds that there are, and kinds that are given away.
fn drawn(format: &str) -> (Kinds, Kinds) {
    let (given, drawn): (Vec<_>, Vec<_>) =
        rows(format).into_iter().partition(|(_, what)| what.starts_with("given to "));
    let all = |rows: Vec<(&str, &str)>| rows.into_iter().flat_map(|(kind, _)| kinds(kind)).collect();
    (all(drawn), all(given))
}

/// What `Record::encode` writes, by its own words.
fn written(source: &str) -> Kinds {
    let calls = source.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once("(it) => pack"));
    let kind = |call: &str| call.split(['(', ',']).nth(1).and_then(|kind| kind.trim().parse().ok()).expect("a kind");
    calls.map(|(_, call)| (kind(call), if call.contains("SCHEMA_OF_SESSIONS") { 2 } else { 1 })).collect()
}

/// What `Record::parse` knows, and what it takes for a newer program's. Nothing that is known is read from no bytes at all.
fn read() -> (Kinds, Kinds) {
    let (mut known, mut newer) = (BTreeSet::new(), BTreeSet::new());
    for (kind, schema) in (0..=u8::MAX).flat_map(|kind| (1..4).map(move |schema| (kind, schema))) {
        let refused = Record::parse(&[kind, schema]).err().map(|error| error.to_string()).unwrap_or_default();
        if schema == 1 && refused.contains("newer program") {
            newer.insert((kind, schema));
        } else if !refused.contains("is not known") && !refused.contains("newer than this program") {
            known.insert((kind, schema));
        }
    }
    (known, newer)
}

const FORMAT: &str = include_str!("FORMAT.md");

#[test]
fn every_kind_of_record_is_drawn_in_the_format() {
    let (drawn, _) = drawn(FORMAT);
    let written = written(include_str!("records.rs"));
    assert_eq!(written.len(), 18, "every arm of `encode` was read: {written:?}");
    assert_eq!(drawn, written);
    assert_eq!(drawn, read().0);
}

#[test]
fn kinds_that_are_given_to_later_work_are_refused_as_newer() {
    let given: Kinds = GIVEN.map(|kind| (kind, 1)).into();
    assert_eq!((drawn(FORMAT).1, read().1), (given.clone(), given));
}

/// Planted: a row that is missing, one of a kind that nobody writes, one given away that is not.
#[test]
fn a_format_that_draws_something_else_is_noticed() {
    let without = |row: &str| {
        let lines: Vec<&str> = FORMAT.lines().filter(|line| !line.starts_with(row)).collect();
        lines.join("\n")
    };
    let (sound, given) = drawn(FORMAT);
    for (row, kind) in [("| 19 | ", (19, 1)), ("| 2, schema 2 | ", (2, 2)), ("| 32 | ", (32, 1))] {
        let (less, _) = drawn(&without(row));
        assert_eq!(sound.difference(&less).copied().collect::<Vec<_>>(), [kind], "{row}");
    }
    let (more, _) = drawn(&FORMAT.replace("| 32 | rows kept", "| 33 | nothing | |\n| 32 | rows kept"));
    assert_eq!(more.difference(&sound).copied().collect::<Vec<_>>(), [(33, 1)]);
    assert_ne!(drawn(&FORMAT.replace("| 16, 17, 21 |", "| 16, 17 |")).1, given);
}
