//! Any body in any pieces gives what it gives in one piece, and the contents a slow reader finds.
//!
//! `RBACKUP_FUZZ_PLANT=1` makes the slow reader overlook delimiters at cuts (a tail kept one byte too short): the target must
//! then turn red, which shows that it would see such a bug.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rbackup::server::multipart::Splitter;

#[path = "../reference.rs"]
mod reference;

static PLANTED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("RBACKUP_FUZZ_PLANT").is_some());

/// Short ones, so that the fuzzer hits them; one that looks like the dashes around it; one as browsers write it.
const BOUNDARIES: [&str; 4] = ["b", "--", "a b", "----WebKitFormBoundary7MA4YWxkTrZu0gW"];

/// Bytes below 16 stand for the words that bodies are made of; all others for themselves.
fn body(spec: &[u8], boundary: &str) -> Vec<u8> {
    let head = "Content-Disposition: form-data; name=\"file\"";
    let first = format!("--{boundary}\r\n\r\n");
    let close = format!("\r\n--{boundary}--");
    let next = format!("\r\n--{boundary}\r\n\r\n");
    let text = format!("\r\n--{boundary}");
    let words = [
        &first,
        &close,
        &next,
        &text,
        boundary,
        head,
        "; filename=\"",
        "\r\n\r\n",
        "\r\n",
        "\r",
        "\n",
        "--",
        "-",
        " ",
        "\t",
        "\0",
    ];
    let word = |byte: &u8| words.get(usize::from(*byte)).map_or(vec![*byte], |word| word.as_bytes().to_vec());
    spec.iter().flat_map(word).collect()
}

fuzz_target!(|input: &[u8]| {
    let [choice, cut_count, rest @ ..] = input else { return };
    let (cuts, spec) = rest.split_at(usize::from(cut_count % 16).min(rest.len()));
    let boundary = BOUNDARIES[usize::from(choice % 4)];
    let body = if choice & 4 == 0 { body(spec, boundary) } else { spec.to_vec() };
    let cuts: Vec<usize> = cuts.iter().map(|&cut| usize::from(cut) * body.len().div_ceil(256).max(1)).collect();
    let all: Vec<usize> = (0..body.len()).collect();

    for sniffing in [false, true] {
        let splitter = || if sniffing { Ok(Splitter::sniffing()) } else { Splitter::new(boundary) };
        let deliver = |cuts: &[usize]| reference::deliver(splitter().expect("a good boundary"), &body, cuts);
        let whole = deliver(&[]);
        assert_eq!(deliver(&cuts), whole, "cut at {cuts:?}");
        assert_eq!(deliver(&all), whole, "byte by byte");
        if whole.end.is_ok() && !sniffing {
            let blind_at = if *PLANTED { &cuts[..] } else { &[] };
            let got: Vec<Vec<u8>> = whole.parts.into_iter().map(|part| part.content).collect();
            assert_eq!((got, true), reference::contents(&body, boundary, blind_at));
        }
    }
});
