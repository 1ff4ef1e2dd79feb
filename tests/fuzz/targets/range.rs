//! `Range` against arithmetic in u128, with any text around it; the tag lists against tags that we wrote ourselves.
//! `RBACKUP_FUZZ_PLANT=1` leaves the last byte out of the expected part: the target must then turn red.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rbackup::server::range::{Outcome, if_none_match, if_range, parse};

static PLANTED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("RBACKUP_FUZZ_PLANT").is_some());

fn expected(first: Option<u128>, last: Option<u128>, size: u128) -> Outcome {
    let part = |from: u128, to: u128| {
        let to = if *PLANTED { to - 1 } else { to };
        Outcome::Part(u64::try_from(from).expect("in size")..u64::try_from(to).expect("in size"))
    };
    match (first, last) {
        _ if size == 0 => Outcome::Whole,
        (None, None) => Outcome::Whole,
        (Some(first), Some(last)) if last < first => Outcome::Whole,
        (None, Some(0)) => Outcome::Unsatisfiable,
        (None, Some(bytes)) => part(size - bytes.min(size), size),
        (Some(first), _) if first >= size => Outcome::Unsatisfiable,
        (Some(first), last) => part(first, last.map_or(size, |last| size.min(last + 1))),
    }
}

fn any_number(choice: u8, word: u64) -> Option<u128> {
    match choice % 5 {
        0 => None,
        1 => Some(u128::from(word % 16)),
        2 => Some(u128::from(word)),
        3 => Some(u128::from(u64::MAX - word % 4)),
        _ => Some(u128::from(word) + (1 << 64)),
    }
}

fuzz_target!(|input: &[u8]| {
    if let Some((&[a, b, c], rest)) = input.split_first_chunk::<3>() {
        let word = |at: usize| {
            rest.get(at..at + 8).map_or(at as u64, |word| word.iter().fold(0, |n, &b| n << 8 | u64::from(b)))
        };
        let (first, last) = (any_number(a, word(0)), any_number(b, word(8)));
        let size = any_number(c, word(16)).unwrap_or(0).min(u128::from(u64::MAX)) as u64;
        let text = |number: Option<u128>| number.map_or(String::new(), |number| number.to_string());
        // Numbers beyond u64 count as its largest, which no file reaches; only their order among themselves is lost.
        let clamp = |number: Option<u128>| number.map(|number| number.min(u128::from(u64::MAX)));
        let header = format!("bytes={}-{}", text(first), text(last));
        assert_eq!(
            parse(Some(&header), size),
            expected(clamp(first), clamp(last), u128::from(size)),
            "{header} of {size}"
        );
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    for header in [text.to_owned(), format!("bytes={text}")] {
        if let Outcome::Part(range) = parse(Some(&header), 1000) {
            assert!(range.start < range.end && range.end <= 1000);
        }
    }
    assert_eq!(if_range(Some(text), "\"tag\""), text.trim_ascii() == "\"tag\"");
    let found = if_none_match(Some(text), "\"tag\"");
    assert!(!found || text.contains("\"tag\"") || text.trim_ascii() == "*");
    if !text.contains('"') {
        assert!(if_none_match(Some(&format!("\"{text}\", W/\"tag\"")), "\"tag\""));
    }
});
