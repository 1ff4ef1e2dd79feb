//! Any contents, any boundary, any pieces: what goes in comes out.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use rbackup::server::multipart::{Event, MultipartError, Splitter};

use super::multipart::reference::{Part, contents, deliver};

/// Contents made of what delimiters are made of, so that near misses are the rule.
fn tricky(boundary: String) -> impl Strategy<Value = Vec<u8>> {
    let half = boundary[..boundary.len() / 2].to_owned();
    let words = ["\r", "\n", "\r\n", "-", "--", " ", "\t", "\r\n--", "x", "\0", &boundary, &half].map(str::to_owned);
    let near = vec(proptest::sample::select(words.to_vec()), 0..40).prop_map(|words| words.concat().into_bytes());
    prop_oneof![near, vec(any::<u8>(), 0..300)]
}

fn holds_delimiter(content: &[u8], boundary: &str) -> bool {
    let body = [b"\r\n\r\n", content, b"\r\n"].concat();
    let whole = [format!("--{boundary}").as_bytes(), &body].concat();
    contents(&[&whole[..], format!("--{boundary}--").as_bytes()].concat(), boundary, &[]).0 != [content]
}

fn form(boundary: &str, parts: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}

fn boundary() -> impl Strategy<Value = String> {
    prop_oneof!["[!-~]{1,3}", "-{1,6}x?", "[ -~]{0,69}[!-~]"]
}

/// A boundary, parts by name, and cuts.
type Case = (String, Vec<(String, Vec<u8>)>, Vec<usize>);

fn case() -> impl Strategy<Value = Case> {
    boundary().prop_flat_map(|boundary| {
        let parts = vec(("[a-z żó]{0,8}", tricky(boundary.clone())), 0..4);
        (Just(boundary), parts, vec(0..1200usize, 0..30))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn round_trip_in_any_pieces((boundary, parts, cuts) in case()) {
        prop_assume!(parts.iter().all(|(_, content)| !holds_delimiter(content, &boundary)));
        let body = form(&boundary, &parts);
        let want: Vec<Part> = parts
            .into_iter()
            .map(|(name, content)| Part { name: Some(name), filename: Some(b"f".to_vec()), content, ended: true })
            .collect();
        let got = deliver(Splitter::new(&boundary).unwrap(), &body, &cuts);
        prop_assert_eq!(&got.end, &Ok(()));
        prop_assert_eq!(&got.parts, &want);
        for cut in 0..body.len() {
            prop_assert_eq!(&deliver(Splitter::new(&boundary).unwrap(), &body, &[cut]), &got);
        }
    }

    #[test]
    fn any_bytes_in_any_pieces((boundary, body, cuts) in boundary().prop_flat_map(|b| {
        (Just(b.clone()), tricky(b), vec(0..300usize, 0..30))
    })) {
        for start in ["", "x\r\n--", "--"] {
            let opening = if start.is_empty() { String::new() } else { format!("{start}{boundary}\r\n\r\n") };
            let body = [opening.as_bytes(), &body].concat();
            let whole = deliver(Splitter::new(&boundary).unwrap(), &body, &[]);
            prop_assert_eq!(&deliver(Splitter::new(&boundary).unwrap(), &body, &cuts), &whole);
            if whole.end.is_ok() {
                let got: Vec<Vec<u8>> = whole.parts.into_iter().map(|part| part.content).collect();
                prop_assert_eq!((got, true), contents(&body, &boundary, &[]));
            }
        }
    }
}

#[test]
fn contents_are_slices_of_the_pieces() {
    let mut splitter = Splitter::new("b").unwrap();
    splitter.push(Bytes::from_static(b"--b\r\n\r\n"), &mut |_| Ok::<(), MultipartError>(())).unwrap();
    let piece = Bytes::from(vec![7; 1 << 20]);
    let mut seen = Vec::new();
    let mut sink = |event| {
        seen.push(event);
        Ok::<(), MultipartError>(())
    };
    splitter.push(piece.clone(), &mut sink).unwrap();
    let [Event::Data(bytes)] = &seen[..] else { unreachable!("{} events", seen.len()) };
    assert_eq!(bytes.as_ptr_range(), piece.as_ptr_range());
}
