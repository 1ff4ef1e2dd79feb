//! Any query is read or refused, and what was read can be written and read again. `RBACKUP_FUZZ_PLANT=1` writes a space as
//! it is once decoded as `+`, the classic mistake: the target must then turn red.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rbackup::server::query::{Query, QueryError, pairs};

static PLANTED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("RBACKUP_FUZZ_PLANT").is_some());

fn encoded(bytes: &[u8]) -> String {
    let each = bytes.iter().map(|&byte| match byte {
        b'+' if *PLANTED => "+".to_owned(),
        b' ' => "+".to_owned(),
        _ => format!("%{byte:02X}"),
    });
    each.collect()
}

fn has_bad_escape(raw: &[u8]) -> bool {
    let hex = |at: usize| raw.get(at).is_some_and(u8::is_ascii_hexdigit);
    raw.iter().enumerate().any(|(at, &byte)| byte == b'%' && !(hex(at + 1) && hex(at + 2)))
}

fuzz_target!(|raw: &[u8]| {
    let read = match pairs(raw) {
        Ok(read) => read,
        Err(QueryError::TooMany) => {
            assert!(raw.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).count() > 64);
            return;
        }
        Err(error) => {
            assert_eq!(error, QueryError::Malformed);
            assert!(raw.contains(&b'%') || std::str::from_utf8(raw).is_err());
            return;
        }
    };
    assert!(!has_bad_escape(raw) && read.len() <= 64);
    let written = read.iter().map(|(key, value)| format!("{}={}", encoded(key.as_bytes()), encoded(value.reveal())));
    let again = pairs(written.collect::<Vec<_>>().join("&").as_bytes()).expect("well formed");
    assert_eq!(again.len(), read.len());
    for ((key, value), (key_again, value_again)) in read.iter().zip(&again) {
        assert_eq!((key, value.reveal()), (key_again, value_again.reveal()));
    }

    let query = Query::parse_form(raw).expect("pairs were read");
    let values: Vec<&Vec<u8>> = read.iter().filter(|(key, _)| key == "n").map(|(_, value)| value.reveal()).collect();
    match (query.number::<u64>("n"), &values[..]) {
        (Ok(None), []) | (Err(QueryError::Repeated("n")), [_, _, ..]) => {}
        (Ok(Some(number)), [value]) => {
            let digits = String::from_utf8((*value).clone()).expect("digits");
            assert_eq!(number.to_string(), format!("{:0>1}", digits.trim_start_matches('0')));
        }
        (Err(QueryError::NotText("n")), [value]) => assert!(std::str::from_utf8(value).is_err()),
        (Err(QueryError::NotNumber("n")), [value]) => {
            assert!(value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit));
        }
        (got, values) => unreachable!("{got:?} of {} values", values.len()),
    }
});
