//! How much an account may keep: bytes as people write them, and as they read them.

use super::super::Failure;
use crate::wire::admin::{BoundJson, UsageJson};

/// Units of 1024 and of 1000.
const UNITS: [(&str, u64); 17] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("p", 1 << 50),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("pib", 1 << 50),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("pb", 1_000_000_000_000_000),
];
const LIFT: &str = "none";

/// What was typed as a bound: nothing, `none`, or bytes.
pub fn bound(typed: Option<&str>) -> Result<BoundJson, Failure> {
    let Some(text) = typed else { return Ok(BoundJson::Keep) };
    if text.eq_ignore_ascii_case(LIFT) {
        return Ok(BoundJson::Lift);
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let unit = UNITS.into_iter().find(|(name, _)| *name == unit).map(|(_, bytes)| bytes);
    let bytes = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    let problem = || format!("{:?} is no size: write 500M, 20GiB, 1TB, a number of bytes, or none", text);
    bytes.map(BoundJson::Bytes).ok_or_else(|| Failure::Usage(problem()))
}

/// Bytes for people.
pub fn bytes(bytes: u64) -> String {
    let units = [(1u64 << 50, "PiB"), (1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

/// What an account uses and may, as two lines of a list.
pub fn lines(usage: &UsageJson) -> [(&'static str, String); 2] {
    let of = |most: Option<u64>| most.map_or_else(|| "no quota".to_owned(), |most| format!("quota {}", bytes(most)));
    let stored = usage.stored_bytes.map_or_else(|| "not counted".to_owned(), bytes);
    [
        ("logical", format!("{}, {}", bytes(usage.logical_bytes), of(usage.logical_bytes_max))),
        ("stored", format!("{stored}, {}", of(usage.stored_bytes_max))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_as_people_do() {
        for (text, wanted) in [("0", 0), ("500m", 500 << 20), ("20 GiB", 20 << 30), ("1TB", 1_000_000_000_000)] {
            assert_eq!(bound(Some(text)).expect(text), BoundJson::Bytes(wanted));
        }
        assert_eq!(bound(None).expect("fine"), BoundJson::Keep);
        assert_eq!(bound(Some("None")).expect("fine"), BoundJson::Lift);
        for text in ["", "-1", "1.5G", "ten", "1X", "99999999999999999999", "99999999P", "1\u{1b}"] {
            assert!(bound(Some(text)).is_err(), "{text}");
        }
        assert_eq!([bytes(1023), bytes(1536), bytes(5 << 40)], ["1023 B", "1.5 KiB", "5.0 TiB"]);
    }
}
