//! Ranges as restic, browsers and curl ask for them, and as nobody should.

use proptest::prelude::*;
use rbackup::server::range::{Outcome, if_none_match, if_range, parse};

#[test]
fn ranges() {
    use Outcome::*;
    let max = u64::MAX;
    for (header, size, want) in [
        ("bytes=0-", 10, Part(0..10)),
        ("bytes=0-0", 10, Part(0..1)),
        ("bytes=2-5", 10, Part(2..6)),
        ("bytes=9-9", 10, Part(9..10)),
        ("bytes=5-100", 10, Part(5..10)),
        ("bytes=-3", 10, Part(7..10)),
        ("bytes=-30", 10, Part(0..10)),
        ("Bytes=2-5 ", 10, Part(2..6)),
        ("bytes=2-5,", 10, Part(2..6)),
        ("bytes= ,\t2-5", 10, Part(2..6)),
        ("bytes=10-", 10, Unsatisfiable),
        ("bytes=10-20", 10, Unsatisfiable),
        ("bytes=-0", 10, Unsatisfiable),
        ("bytes=99999999999999999999-", 10, Unsatisfiable),
        ("bytes=0-99999999999999999999", 10, Part(0..10)),
        ("bytes=-99999999999999999999", 10, Part(0..10)),
        ("bytes=0-18446744073709551615", max, Part(0..max)),
        ("bytes=18446744073709551614-", max, Part(max - 1..max)),
        ("bytes=18446744073709551615-", max, Unsatisfiable),
        ("bytes=5-2", 10, Whole),
        ("bytes=0-1,3-4", 10, Whole),
        ("bytes=", 10, Whole),
        ("bytes=-", 10, Whole),
        ("bytes=--1", 10, Whole),
        ("bytes=+1-2", 10, Whole),
        ("bytes=1 -2", 10, Whole),
        ("bytes=1-2-3", 10, Whole),
        ("bytes=a-b", 10, Whole),
        ("bytes 1-2", 10, Whole),
        ("items=1-2", 10, Whole),
        ("", 10, Whole),
        ("bytes=0-", 0, Whole),
        ("bytes=5-", 0, Whole),
        ("bytes=-5", 0, Whole),
    ] {
        assert_eq!(parse(Some(header), size), want, "{header} of {size}");
    }
    assert_eq!(parse(None, 10), Whole);
}

#[test]
fn validators() {
    let tag = "\"abc\"";
    for (header, want) in [
        (None, true),
        (Some(tag), true),
        (Some(" \"abc\" "), true),
        (Some("W/\"abc\""), false),
        (Some("\"abd\""), false),
        (Some("abc"), false),
        (Some("*"), false),
        (Some("Wed, 21 Oct 2015 07:28:00 GMT"), false),
    ] {
        assert_eq!(if_range(header, tag), want, "If-Range {header:?}");
    }
    assert!(!if_range(Some("W/\"abc\""), "W/\"abc\""), "weak tags never allow a part");
    for (header, want) in [
        (None, false),
        (Some(tag), true),
        (Some("W/\"abc\""), true),
        (Some("\"x\", W/\"y\" ,\"abc\""), true),
        (Some(",, \"a,b\",\"abc\""), true),
        (Some("*"), true),
        (Some("\"x,\"abc\"\""), false),
        (Some("\"x\", \"abd\""), false),
        (Some("abc"), false),
        (Some("\"abc"), false),
        (Some(""), false),
    ] {
        assert_eq!(if_none_match(header, tag), want, "If-None-Match {header:?}");
    }
    assert!(if_none_match(Some("\"abc\""), "W/\"abc\""));
}

proptest! {
    #[test]
    fn parts_are_inside(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", size in prop_oneof![any::<u64>(), 0..50u64]) {
        if let Outcome::Part(range) = parse(Some(&header), size) {
            prop_assert!(range.start < range.end && range.end <= size);
        }
    }
}
