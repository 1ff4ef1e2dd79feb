//! `Range`, `If-Range` and `If-None-Match` (RFC 9110, sections 13 and 14) for one file of known size with a strong ETag.
//!
//! Promises: a part is never empty and never reaches beyond the file. Never: answers several ranges (the whole file is a
//! right answer to them), fails on a header it does not understand, or compares dates.

use std::ops::Range;

/// What a `Range` header asks of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 200 with everything: no header, one to be ignored, or an empty file, which has no byte to count from.
    Whole,
    /// 206 with these bytes.
    Part(Range<u64>),
    /// 416.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `size` bytes.
pub fn parse(header: Option<&str>, size: u64) -> Outcome {
    let spec = header.and_then(single_spec);
    match spec.filter(|_| size > 0) {
        None => Outcome::Whole,
        Some(Spec::From { first, .. }) if first >= size => Outcome::Unsatisfiable,
        Some(Spec::From { first, last }) => Outcome::Part(first..last.saturating_add(1).min(size)),
        Some(Spec::Last(0)) => Outcome::Unsatisfiable,
        Some(Spec::Last(bytes)) => Outcome::Part(size.saturating_sub(bytes)..size),
    }
}

enum Spec {
    /// Both ends count.
    From { first: u64, last: u64 },
    /// So many bytes at the end.
    Last(u64),
}

/// The one range of a `bytes` header; none when the header has to be ignored.
fn single_spec(header: &str) -> Option<Spec> {
    let (unit, list) = header.trim_ascii().split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = list.split(',').map(str::trim_ascii).filter(|spec| !spec.is_empty());
    let (Some(spec), None) = (specs.next(), specs.next()) else { return None };
    let (first, last) = spec.split_once('-')?;
    match (number(first), number(last)) {
        (None, Some(bytes)) if first.is_empty() => Some(Spec::Last(bytes)),
        (Some(first), None) if last.is_empty() => Some(Spec::From { first, last: u64::MAX }),
        (Some(first), Some(last)) if first <= last => Some(Spec::From { first, last }),
        _ => None,
    }
}

/// Digits only; a number beyond u64 is as good as its largest.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Whether `Range` counts: there is no `If-Range`, or it names exactly this strong `etag`. The etag comes with its quotes.
/// A date is never taken as unchanged.
pub fn if_range(header: Option<&str>, etag: &str) -> bool {
    header.is_none_or(|value| etag.starts_with('"') && value.trim_ascii() == etag)
}

/// Whether the client has this `etag` already, so that 304 is the answer: `*`, or a list with it, weak or strong.
pub fn if_none_match(header: Option<&str>, etag: &str) -> bool {
    let Some(value) = header.map(str::trim_ascii) else { return false };
    value == "*" || Tags(value).any(|tag| tag == opaque(etag))
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The quoted part of each tag in a list; a comma may stand inside the quotes. Ends at the first thing that is no tag.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = opaque(self.0.trim_start_matches([',', ' ', '\t']));
        let end = rest.strip_prefix('"')?.find('"')? + 2;
        let (tag, rest) = rest.split_at(end);
        self.0 = rest;
        Some(tag)
    }
}
