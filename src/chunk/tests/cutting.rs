//! Cuts depend on content, sizes and seed only.

use std::collections::HashSet;

use fastcdc::v2020::{FastCDC, Normalization};
use proptest::prelude::*;

use super::super::{ContentHash, ContentHasher, CutSizes, Cutter, chunk_id};
use super::{keys, noise};

fn cut(sizes: CutSizes, seed: u64, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut keep = |chunk: &[u8]| -> Result<(), ()> {
        chunks.push(chunk.to_vec());
        Ok(())
    };
    let mut cutter = Cutter::new(sizes, seed);
    for part in parts {
        cutter.push(part, &mut keep).expect("push");
    }
    cutter.finish(&mut keep).expect("finish");
    chunks
}

fn small() -> CutSizes {
    CutSizes::new(64, 256, 1024).expect("sizes")
}

/// Random bytes, runs of one byte, and mixtures: runs are what ends at max.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3000),
        (any::<u8>(), 0..5000usize).prop_map(|(byte, len)| vec![byte; len]),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_chunks(
        content in content(),
        splits in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        seed in any::<u64>(),
    ) {
        let mut at: Vec<usize> = splits.iter().map(|split| split.index(content.len() + 1)).collect();
        at.extend([0, content.len()]);
        at.sort_unstable();
        let parts: Vec<&[u8]> = at.windows(2).map(|pair| &content[pair[0]..pair[1]]).collect();
        let chunks = cut(small(), seed, &parts);

        prop_assert_eq!(&chunks, &cut(small(), seed, &[&content]));
        prop_assert_eq!(chunks.concat(), content.clone());
        if let Some((last, others)) = chunks.split_last() {
            prop_assert!(others.iter().all(|chunk| (64..=1024).contains(&chunk.len())));
            prop_assert!((1..=1024).contains(&last.len()));
        }
        let library: Vec<usize> = FastCDC::with_level_and_seed(&content, 64, 256, 1024, Normalization::Level1, seed)
            .map(|chunk| chunk.length)
            .collect();
        prop_assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), library);
    }
}

#[test]
fn byte_by_byte_and_in_one_push_are_the_same() {
    let content = noise("bytes", 20_000);
    let bytes: Vec<&[u8]> = content.chunks(1).collect();
    assert_eq!(cut(small(), 3, &bytes), cut(small(), 3, &[&content]));
}

#[test]
fn empty_has_no_chunk_and_small_has_one() {
    assert!(cut(CutSizes::STANDARD, 1, &[]).is_empty());
    assert!(cut(CutSizes::STANDARD, 1, &[b"", b""]).is_empty());
    for len in [1, 4096, CutSizes::STANDARD.min()] {
        assert_eq!(cut(CutSizes::STANDARD, 1, &[&noise("small", len)]).len(), 1, "{len} bytes");
    }
}

#[test]
fn zeros_are_cut_at_max() {
    let chunks = cut(CutSizes::STANDARD, 1, &[&vec![0; (9 << 20) + 5]]);
    let lens: Vec<usize> = chunks.iter().map(Vec::len).collect();
    assert_eq!(lens, [4 << 20, 4 << 20, (1 << 20) + 5]);
}

#[test]
fn insertion_near_the_start_changes_few_chunks() {
    let keys = keys();
    let before = noise("32 MiB", 32 << 20);
    let mut after = before.clone();
    after.splice(1000..1000, *b"one hundred bytes, or rather fewer");
    let ids = |content: &[u8]| -> Vec<[u8; 32]> {
        let parts: Vec<&[u8]> = content.chunks(65_536).collect();
        cut(CutSizes::STANDARD, keys.cutter_seed(), &parts).iter().map(|chunk| chunk_id(&keys, chunk)).collect()
    };
    let known: HashSet<[u8; 32]> = ids(&before).into_iter().collect();
    assert!((16..60).contains(&known.len()), "{} chunks", known.len());
    let changed = ids(&after).iter().filter(|id| !known.contains(*id)).count();
    assert!((1..=3).contains(&changed), "{changed} of {} chunks changed", known.len());
}

#[test]
fn another_seed_cuts_elsewhere() {
    let content = noise("seeds", 100_000);
    assert_ne!(cut(small(), 1, &[&content]), cut(small(), 2, &[&content]));
}

#[test]
fn cutter_serves_one_stream_after_the_other() {
    let content = noise("again", 50_000);
    let mut cutter = Cutter::new(small(), 9);
    assert_eq!(cutter.push(&content, |_| Err("full")), Err("full"));
    cutter.reset();
    for _ in 0..2 {
        let mut lens = Vec::new();
        let mut keep = |chunk: &[u8]| -> Result<(), ()> {
            lens.push(chunk.len());
            Ok(())
        };
        cutter.push(&content, &mut keep).expect("push");
        cutter.finish(&mut keep).expect("finish");
        assert_eq!(lens, cut(small(), 9, &[&content]).iter().map(Vec::len).collect::<Vec<_>>());
    }
}

#[test]
fn content_hash_is_that_of_all_bytes() {
    let mut hasher = ContentHasher::default();
    for part in ["The quick brown fox", " jumps over ", "", "the lazy dog"] {
        hasher.update(part.as_bytes());
    }
    let hash = hasher.finish();
    // Both are the textbook values of this sentence.
    assert_eq!(hash.crc32, 0x414f_a339);
    assert_eq!(hash.sha256[..4], [0xd7, 0xa8, 0xfb, 0xb3]);
    assert_eq!(ContentHash::from_bytes(&hash.to_bytes()), Ok(hash));
    assert!(ContentHash::from_bytes(&hash.to_bytes()[1..]).is_err());
    assert!(ContentHash::from_bytes(&[0; 37]).is_err());
}
