//! What a server's log says about how it fell.
//!
//! Accepted: a panic inside sled, which `store/` catches and turns into an error; sled 0.34 unwraps the sync in its
//! destructor, so a failing disk makes it panic by design. Not accepted: a panic anywhere else, and an abort.

/// Panics of a log, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Panics {
    /// Inside sled.
    pub of_sled: usize,
    /// Anywhere else: the lines.
    pub others: Vec<String>,
}

/// Reads a log.
pub fn panics(log: &str) -> Panics {
    let mut found = Panics::default();
    for line in log.lines() {
        let place = line.split_once(" panicked at ").map(|(_, place)| place);
        match place {
            Some(place) if place.contains("/sled-0.34") => found.of_sled += 1,
            Some(_) => found.others.push(line.to_owned()),
            None if ["panicked while processing panic", "fatal runtime error", "stack overflow"]
                .iter()
                .any(|end| line.contains(end)) =>
            {
                found.others.push(line.to_owned());
            }
            None => {}
        }
    }
    found
}

/// A refusal without the request's id, so that the same refusal is the same text.
pub fn without_numbers_of_requests(text: &str) -> String {
    let mut parts = text.split("\"request_id\":\"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|it: char| it.is_ascii_hexdigit()))
}

#[test]
fn panics_are_told_apart() {
    let log = "2026-01-01 INFO x\nthread 'storage' (7) panicked at /r/sled-0.34.7/src/pagecache/logger.rs:467:42:\n\
               called `Result::unwrap()` on an `Err` value\n";
    assert_eq!(panics(log), Panics { of_sled: 1, others: Vec::new() });
    let planted = [
        "thread 'storage' (7) panicked at src/store/writer.rs:1:1:",
        "thread 'tokio-rt-worker' panicked at /rustc/abc/library/core/src/option.rs:1:1:",
        "thread panicked while processing panic. aborting.",
        "fatal runtime error: failed to initiate panic",
    ];
    for line in planted {
        assert_eq!(panics(line).others, [line], "planted");
    }
}
