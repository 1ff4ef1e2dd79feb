//! What comes first over the data directory's socket: any bytes are refused or are a message that says the same again.
//! `RBACKUP_FUZZ_PLANT=1` expects append-only to be on whatever was said: the target must then turn red.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rbackup::wire::errand::{Errand, Said};
use rbackup::wire::preamble::{HEAD_BYTES, Opening, Preamble, Verdict, body_bytes, frame, opening, parse};

static PLANTED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("RBACKUP_FUZZ_PLANT").is_some());

/// The rights may be anywhere in the bytes; nothing else may change them on the way.
fn said(input: &[u8]) -> Preamble {
    let text = |at: usize| String::from_utf8_lossy(input.get(at..).unwrap_or_default()).into_owned();
    let flags = input.first().copied().unwrap_or_default();
    Preamble {
        account: (flags & 4 != 0).then(|| text(2)),
        repo: text(1),
        append_only: flags & 1 != 0,
        private_repos: flags & 2 != 0,
    }
}

fuzz_target!(|input: &[u8]| {
    if let Ok(message) = parse::<Preamble>(input) {
        assert_eq!(parse::<Preamble>(&frame(&message)[HEAD_BYTES..]), Ok(message));
    }
    if let Ok(message) = parse::<Verdict>(input) {
        assert_eq!(parse::<Verdict>(&frame(&message)[HEAD_BYTES..]), Ok(message));
    }
    if let Ok(Opening::Errand(errand)) = opening(input) {
        assert_eq!(parse::<Errand>(&frame(&errand)[HEAD_BYTES..]), Ok(errand));
        assert!(parse::<Preamble>(input).is_err(), "a preamble must never be taken for an errand");
    }
    if let Ok(said) = parse::<Said>(input) {
        assert_eq!(parse::<Said>(&frame(&said)[HEAD_BYTES..]), Ok(said));
    }
    if let Some(head) = input.first_chunk::<HEAD_BYTES>() {
        assert!(body_bytes(head).is_err() || head.starts_with(b"\0RBackup\0\x01"));
    }
    let message = said(input);
    let framed = frame(&message);
    let Some((head, body)) = framed.split_first_chunk::<HEAD_BYTES>() else { unreachable!("a frame has a head") };
    assert!(body_bytes(head) == Ok(body.len()) || body.len() > 16 * 1024);
    let read = parse::<Preamble>(body);
    assert_eq!(read.as_ref(), Ok(&message));
    assert!(!*PLANTED || read.is_ok_and(|read| read.append_only));
});
