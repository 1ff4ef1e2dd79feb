//! A slow multipart reader that holds the whole body, to compare the splitter with. It shares no code with it.

use bytes::Bytes;
use rbackup::server::multipart::{Event, MultipartError, Splitter};

/// A part as it came out: name, file name, content, and whether its end was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    pub name: Option<String>,
    pub filename: Option<Vec<u8>>,
    pub content: Vec<u8>,
    pub ended: bool,
}

/// Everything that can be observed of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub parts: Vec<Part>,
    pub end: Result<(), MultipartError>,
}

/// Delivers the body cut at `cuts` (any order, beyond the end is fine) and gathers what comes out.
pub fn deliver(mut splitter: Splitter, body: &[u8], cuts: &[usize]) -> Outcome {
    let mut cuts: Vec<usize> = cuts.iter().map(|&cut| cut.min(body.len())).collect();
    cuts.push(body.len());
    cuts.sort_unstable();
    let mut parts: Vec<Part> = Vec::new();
    let mut from = 0;
    for to in cuts {
        let mut sink = |event| {
            match (event, parts.last_mut()) {
                (Event::PartBegin { name, filename }, last) => {
                    assert!(last.is_none_or(|part| part.ended), "a part begins inside another");
                    parts.push(Part { name, filename, ..Part::default() });
                }
                (Event::Data(bytes), Some(part)) => {
                    assert!(!part.ended && !bytes.is_empty(), "data outside a part, or none");
                    part.content.extend_from_slice(&bytes);
                }
                (Event::PartEnd, Some(part)) => part.ended = true,
                (_, None) => unreachable!("an event before the first part"),
            }
            Ok::<(), MultipartError>(())
        };
        let pushed = splitter.push(Bytes::copy_from_slice(&body[from..to]), &mut sink);
        if let Err(error) = pushed {
            assert_eq!(splitter.finish(), Err(error), "an error stays");
            return Outcome { parts, end: Err(error) };
        }
        from = to;
    }
    Outcome { parts, end: splitter.finish() }
}

/// The contents of all complete parts, and whether the closing delimiter was found. `blind_at` plants a bug: a delimiter
/// that has all but one byte of its text before such an offset is overlooked, as if a splitter kept a tail one too short.
pub fn contents(body: &[u8], boundary: &str, blind_at: &[usize]) -> (Vec<Vec<u8>>, bool) {
    let body = [b"\r\n", body].concat();
    let text = format!("\r\n--{boundary}");
    let mut contents = Vec::new();
    let mut content_from = None;
    let mut at = 0;
    while at < body.len() {
        let overlooked = (at + text.len() - 1).checked_sub(2).is_some_and(|cut| blind_at.contains(&cut));
        let rest = body[at..].strip_prefix(text.as_bytes()).filter(|_| !overlooked);
        let Some((line_bytes, close)) = rest.and_then(line_end) else {
            at += 1;
            continue;
        };
        if let Some(from) = content_from {
            contents.push(body[from..at].to_vec());
        }
        at += text.len() + line_bytes;
        if close {
            return (contents, true);
        }
        let Some(head_bytes) = head_bytes(&body[at..]) else { return (contents, false) };
        at += head_bytes;
        content_from = Some(at);
    }
    (contents, false)
}

fn line_end(rest: &[u8]) -> Option<(usize, bool)> {
    if rest.starts_with(b"--") {
        return Some((2, true));
    }
    let blanks = rest.iter().take_while(|byte| b" \t".contains(byte)).count();
    (blanks <= 128 && rest[blanks..].starts_with(b"\r\n")).then_some((blanks + 2, false))
}

fn head_bytes(rest: &[u8]) -> Option<usize> {
    if rest.starts_with(b"\r\n") {
        return Some(2);
    }
    rest.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}
