//! Bytes that were once written and must be understood for ever. **When a test here fails, do not change the expected value**: either the change
//! that made it fail is a mistake, or it needs a new format version beside the old one.
//!
//! The keys, ids, wrapped and raw sealed bytes were also computed by another program (BLAKE3 written out in Python, AES-GCM of OpenSSL), which
//! opened the compressed one too. The cut points have no second witness: they are FastCDC 5.0.0's.

use super::super::keys::subkey;
use super::super::*;
use super::{header, keys, noise, sealed};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// A short name for many bytes.
fn digest(bytes: &[u8]) -> String {
    hex(&blake3::hash(bytes).as_bytes()[..8])
}

#[test]
fn derived_keys() {
    let keys = keys();
    assert_eq!(hex(keys.chunk_id_key()), "447c38ccf7b0b7220db8e32b1dd0e18901a5e0e94cb8103878e44efa4a7f299d");
    assert_eq!(hex(keys.seal_key()), "61d1e8aab85871393df47c159ce33f1c07b5292fb6779e851be4821898db6f81");
    assert_eq!(hex(keys.hash_key()), "858f6d0be337f1b8ecb6aee7d96d5d63bdf24d60db68fa87386c69b7932077f6");
    assert_eq!(keys.cutter_seed(), 0x7e615a319dbd4081);
    assert_eq!(
        hex(&*subkey(&[1; 32], &[b"ab", b"c"])),
        "fd0cd066404430a0bad0856943f34088acda391e01cfbdf10a54794a1a51d684"
    );
}

#[test]
fn ids() {
    let keys = keys();
    assert_eq!(hex(&chunk_id(&keys, b"content")), "e84481bf0ce933a90f5ed77daf1116ee9c3713aae7887008dea1a901bb2f18fe");
    assert_eq!(hex(&manifest_id(5, b"content")), "7bb5a216e9aa49043db390b393905dd2b34b33fa43aad49fca83bd1a620b6663");
    assert_eq!(hex(&hash_token(&keys, &[9; 32])), "3f34678652de60c051bf41f358a1f2e9");
}

#[test]
fn wrapped_key() {
    let wrapped = wrap_key(&[1; 32], &DataKey::new([7; 32]), b"account 5", [2; 16]).expect("wrap");
    assert_eq!(
        hex(&wrapped),
        "02020202020202020202020202020202ed828502a2e0384c0bf5abf27bb1493027edb90be16c8857f8bd1795bcbaa5fb532b52e043e1e31c465945bf3fddfd62"
    );
}

#[test]
fn sealed_raw() {
    let (shape, stored) = sealed(&keys(), &[3; 32], &noise("golden", 64));
    assert!(!shape.compressed);
    assert_eq!(digest(&stored), "f26c2fedd5ff5e5b");
    assert_eq!(
        hex(&seal_small(&keys(), "version hash", &[3; 32], b"small").expect("seal")),
        "261772d7da53cc3917e2a806baad24e48cc29712ef"
    );
}

#[test]
fn sealed_compressed_still_opens() {
    // Opened only: what zstd writes may differ from version to version, what it reads may not.
    let stored = unhex(
        "050505050505050505050505050505052efe5f9ae8099e389c64eb4a92c9d2cd68c27caddd764bbe8ad4b9ec66e8d75999587551180f",
    );
    let shape = Sealed { compressed: true, raw_len: 500, stored_len: stored.len() as u32 };
    let plain = open(&keys(), &[3; 32], &header(shape), &stored, 500, true);
    assert_eq!(plain, Ok(b"text ".repeat(100)));
}

#[test]
fn cut_points() {
    let lens = |sizes, seed, content: &[u8]| {
        let mut lens = Vec::new();
        let mut keep = |chunk: &[u8]| -> Result<(), ()> {
            lens.push(chunk.len());
            Ok(())
        };
        let mut cutter = Cutter::new(sizes, seed);
        cutter.push(content, &mut keep).expect("push");
        cutter.finish(&mut keep).expect("finish");
        lens
    };
    let content = noise("cut points", 8 << 20);
    let small = CutSizes::new(64, 256, 1024).expect("sizes");
    assert_eq!(
        lens(CutSizes::STANDARD, keys().cutter_seed(), &content),
        [1462603, 1247594, 906479, 1065362, 577875, 1186308, 1942387]
    );
    assert_eq!(lens(CutSizes::STANDARD, 1, &content), [1913339, 3325444, 475493, 518230, 2156102]);
    assert_eq!(lens(small, 1, &content[..3000]), [281, 104, 237, 429, 478, 81, 387, 155, 95, 316, 437]);
}
