//! Queries and forms as clients encode them, and passwords that must not show.

use proptest::collection::vec;
use proptest::prelude::*;
use rbackup::server::query::{Query, QueryError, pairs};

#[test]
fn fields() {
    let query = Query::parse("&username=jan+k%C3%B3w%2b&file_path=%FF/a=b&size=10&mtime=-5&flag&&empty=&").unwrap();
    assert_eq!(query.text("username"), Ok(Some("jan ków+".to_owned())));
    assert_eq!(query.bytes("file_path"), Ok(Some(b"\xff/a=b".to_vec())));
    assert_eq!(query.text("file_path"), Err(QueryError::NotText("file_path")));
    assert_eq!(query.number::<u64>("size"), Ok(Some(10)));
    assert_eq!(query.number::<i64>("mtime"), Ok(Some(-5)));
    assert_eq!(query.number::<u64>("mtime"), Err(QueryError::NotNumber("mtime")));
    assert_eq!(query.required_text("flag"), Ok(String::new()));
    assert_eq!(query.required_bytes("empty"), Ok(Vec::new()));
    assert_eq!(query.number::<u64>("none"), Ok(None));
    assert_eq!(query.required_number::<u64>("none"), Err(QueryError::Missing("none")));
    assert_eq!(query.required_secret("none").err(), Some(QueryError::Missing("none")));
    assert_eq!(query.required_secret("username").unwrap().reveal(), "jan ków+");
    assert!(query.has("flag") && !query.has("none") && !Query::default().has(""));
}

#[test]
fn refusals() {
    for raw in ["a=%", "a=%4", "a=%zz", "a=%4z", "a=%+4", "%=1", "%ff=1", "a=1&b=%g0", "a=%%30"] {
        assert_eq!(Query::parse(raw).err(), Some(QueryError::Malformed), "{raw}");
    }
    let repeated = Query::parse("a=1&b=2&%61=1").unwrap();
    assert_eq!(repeated.text("a"), Err(QueryError::Repeated("a")));
    assert_eq!(repeated.text("b"), Ok(Some("2".to_owned())));
    for number in ["", "-", "%2B5", "+5", "5+", "1e3", "0x1", "18446744073709551616", "٣"] {
        let query = Query::parse_form(format!("n={number}").as_bytes()).unwrap();
        assert_eq!(query.number::<u64>("n"), Err(QueryError::NotNumber("n")), "{number}");
    }
    assert!(Query::parse(&"a=1&".repeat(64)).is_ok());
    assert_eq!(Query::parse(&"a=1&".repeat(65)).err(), Some(QueryError::TooMany));
}

#[test]
fn nothing_of_it_is_printed() {
    let query = Query::parse("username=jan&password=hunter2&tail-of-password").unwrap();
    assert_eq!(format!("{query:?}"), "Query(3 fields)");
    let error = Query::parse("password=hunter2%zz").unwrap_err();
    assert!(!format!("{error} {error:?} {:?}", query.secret("password")).contains("hunter2"));
}

fn encoded(bytes: &[u8], plain: &[bool]) -> String {
    let each = bytes.iter().zip(plain.iter().cycle()).map(|(&byte, &plain)| match byte {
        b' ' if plain => "+".to_owned(),
        b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' if plain => char::from(byte).to_string(),
        _ if plain => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    });
    each.collect()
}

proptest! {
    #[test]
    fn round_trip(fields in vec(("\\PC{1,6}", vec(any::<u8>(), 0..40)), 0..64), plain in vec(any::<bool>(), 1..9)) {
        let each = fields.iter().map(|(key, value)| {
            format!("{}={}", encoded(key.as_bytes(), &plain), encoded(value, &plain))
        });
        let raw = each.collect::<Vec<_>>().join("&");
        let got = pairs(raw.as_bytes()).unwrap();
        prop_assert_eq!(got.len(), fields.len());
        for ((key, value), (want_key, want)) in got.iter().zip(&fields) {
            prop_assert_eq!((key, value.reveal()), (want_key, want));
        }
    }

    #[test]
    fn any_bytes_never_panic(raw in vec(any::<u8>(), 0..200)) {
        let _ = pairs(&raw);
    }
}
