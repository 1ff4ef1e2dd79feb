//! What the reader of a stream accepts: exactly what the writer wrote. No store is needed for that.

use std::io::{self, Read};

use super::super::super::Error;
use super::super::super::frame::{self, Frame, FrameHeader, FrameKind};
use super::super::stream::{HEAD_BYTES, MAGIC, StreamReader, VERSION};
use super::{TRAILER_BYTES, noise, read, resealed, small};
use crate::model::ChunkId;

#[test]
fn any_flipped_bit_any_cut_and_anything_behind_the_end_is_refused() {
    let whole = small();
    assert_eq!(read(&whole).expect("a whole stream").0.len(), 3);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = read(&flipped).map(drop).expect_err("a flipped bit");
        assert!(error.is_damage() || bit / 8 < MAGIC.len(), "bit {bit}: {error}");
    }
    for length in 0..whole.len() {
        let error = read(&whole[..length]).map(drop).expect_err("a cut");
        assert!(matches!(error, Error::BadExport { .. }), "cut at {length}: {error}");
        assert!(error.to_string().contains("it ends before"), "cut at {length}: {error}");
    }
    let error = read(&[&whole[..], b"x"].concat()).map(drop).expect_err("a byte more");
    assert!(error.to_string().contains("behind its end"), "{error}");
    assert!(read(&[&whole[..], &whole[..]].concat()).is_err());
}

#[test]
fn another_file_is_no_export_and_a_newer_one_is_told_apart() {
    for other in [&b"PK\x03\x04 and more than sixteen bytes"[..], b"RBackup export\n\n and so on", b"x"] {
        assert!(matches!(read(other), Err(Error::NotExport)), "{other:?}");
    }
    let mut newer = small();
    newer[MAGIC.len()..MAGIC.len() + 4].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let error = read(&newer).map(drop).expect_err("a newer one");
    assert!(matches!(error, Error::NewerExport { found: 2, known: VERSION }) && error.is_damage(), "{error}");
}

#[test]
fn the_hash_of_a_frame_and_the_hash_of_the_whole_each_see_what_the_other_would_not() {
    let whole = small();
    let at = HEAD_BYTES + frame::HEADER_BYTES + 7;
    // A planted change that the hash of the whole was made to fit.
    let mut planted = whole.clone();
    planted[at] ^= 1;
    let error = read(&resealed(planted.clone())).map(drop).expect_err("a changed frame");
    assert!(error.to_string().contains("the hash of a frame differs"), "{error}");
    // The same change with the frame's own hash made to fit, but not the hash of the whole.
    let stored = 40;
    let end = HEAD_BYTES + frame::HEADER_BYTES + stored;
    let head: [u8; frame::HEADER_BYTES] = planted[HEAD_BYTES..][..frame::HEADER_BYTES].try_into().expect("a head");
    let hash = frame::hash(&head, &planted[HEAD_BYTES + frame::HEADER_BYTES..end]);
    planted[end..end + frame::HASH_BYTES].copy_from_slice(&hash);
    let error = read(&planted).map(drop).expect_err("another frame");
    assert!(error.to_string().contains("the hash of the whole differs"), "{error}");
    // With both it is another stream, and a whole one.
    assert!(read(&resealed(planted)).is_ok());
}

#[test]
fn a_frame_that_is_missing_twice_there_or_out_of_order_is_refused() {
    let whole = small();
    let first = HEAD_BYTES..HEAD_BYTES + frame::OVERHEAD_BYTES + 40;
    let second = first.end..first.end + frame::OVERHEAD_BYTES + 41;
    let (head, end) = (&whole[..HEAD_BYTES], &whole[second.end..]);
    let (one, two) = (&whole[first], &whole[second]);
    for (what, pieces) in [("missing", [one, &[], &[]]), ("twice", [one, two, two]), ("swapped", [two, one, &[]])] {
        let changed = [head, pieces[0], pieces[1], pieces[2], end].concat();
        assert!(read(&changed).is_err(), "{what}");
        let counted = read(&resealed(changed));
        assert_eq!(counted.is_err(), what != "swapped", "{what}: the counts tell");
    }
}

#[test]
fn frames_that_describe_volumes_have_no_place_in_a_stream() {
    let whole = small();
    for kind in [FrameKind::Header, FrameKind::Footer, FrameKind::End] {
        let header =
            FrameHeader { kind, flags: 0, stored_len: 4, raw_len: 0, account: 0, seq: 1, id: ChunkId([0; 32]) };
        let foreign = Frame { header, stored: vec![1; 4] }.encode();
        let end = whole.len() - TRAILER_BYTES;
        let error = read(&resealed([&whole[..end], &foreign, &whole[end..]].concat())).map(drop).expect_err("foreign");
        assert!(error.to_string().contains("what should be a frame is none"), "{error}");
    }
}

/// Notes how much memory its reader has made room for.
struct Greedy<'a> {
    bytes: &'a [u8],
    asked_bytes_max: usize,
}

impl Read for Greedy<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.asked_bytes_max = self.asked_bytes_max.max(out.len());
        self.bytes.read(out)
    }
}

#[test]
fn a_length_that_did_not_arrive_costs_no_memory() {
    for stored_len in [u32::MAX, 64 << 20, (16 << 20) + (64 << 10) + 1, 16 << 20, 4 << 20] {
        let mut lying = small();
        lying[HEAD_BYTES + 4..HEAD_BYTES + 8].copy_from_slice(&stored_len.to_le_bytes());
        let mut input = Greedy { bytes: &lying, asked_bytes_max: 0 };
        let mut stream = StreamReader::open(&mut input).expect("a head");
        assert!(matches!(stream.item(), Err(Error::BadExport { .. })));
        assert!(input.asked_bytes_max <= 512 << 10, "{} bytes for a length of {stored_len}", input.asked_bytes_max);
    }
}

#[test]
fn random_bytes_are_refused_and_never_panic() {
    let whole = small();
    for seed in 0..4000u64 {
        let random = noise(seed, 1 + seed as usize % 700);
        assert!(read(&random).is_err());
        assert!(read(&[&whole[..HEAD_BYTES], &random].concat()).is_err());
        let mut mutated = whole.clone();
        for hit in random.chunks_exact(3).take(1 + seed as usize % 5) {
            let at = usize::from(hit[0]) * 256 + usize::from(hit[1]);
            let length = mutated.len();
            mutated[HEAD_BYTES + at % (length - HEAD_BYTES)] ^= hit[2] | 1;
        }
        // Whatever the hash of the whole says, only the numbers of the trailer can be others.
        if let Ok((frames, _)) = read(&resealed(mutated)) {
            assert!(frames == read(&whole).expect("the whole one").0, "seed {seed}");
        }
    }
}
