//! What was sealed opens again, and nothing else does.

use proptest::prelude::*;

use super::super::compress::RAW_LEN_MAX;
use super::super::*;
use super::{header, keys, noise, sealed};

const ID: [u8; 32] = [3; 32];

/// Text, noise, noise behind text and text behind noise, up to beyond the probe.
fn content() -> impl Strategy<Value = Vec<u8>> {
    (0..200_000usize, 0..4u8, any::<u32>()).prop_map(|(len, kind, name)| {
        let noise = noise(&name.to_string(), len);
        let text: Vec<u8> = name.to_string().into_bytes().into_iter().cycle().take(len).collect();
        match kind {
            0 => noise,
            1 => text,
            2 => [noise, text].concat(),
            _ => [text, noise].concat(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn seal_then_open_is_identity(content in content()) {
        let keys = keys();
        let (shape, stored) = sealed(&keys, &ID, &content);
        prop_assert_eq!(shape.stored_len as usize, stored.len());
        prop_assert_eq!(shape.raw_len as usize, content.len());
        prop_assert!(stored.len() <= content.len() + SEAL_OVERHEAD);
        let plain = open(&keys, &ID, &header(shape), &stored, shape.raw_len, shape.compressed);
        prop_assert_eq!(plain.as_ref(), Ok(&content));
    }

    #[test]
    fn any_flipped_bit_in_a_large_frame_is_an_error(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let keys = keys();
        let (shape, mut stored) = sealed(&keys, &ID, &noise("large", 100_000));
        stored[at.index(shape.stored_len as usize)] ^= 1 << bit;
        let opened = open(&keys, &ID, &header(shape), &stored, shape.raw_len, shape.compressed);
        prop_assert_eq!(opened, Err(ChunkError::Open));
    }

    #[test]
    fn compress_keeps_only_what_gains(content in content()) {
        let mut out = b"before".to_vec();
        let compressed = Compressor::new().expect("zstd").compress(&content, &mut out);
        let body = out.strip_prefix(b"before").expect("what was in out stays");
        if compressed {
            prop_assert!(body.len() * 100 <= content.len() * 95);
            prop_assert_eq!(decompress(body, content.len() as u32), Ok(content));
        } else {
            prop_assert_eq!(body, &content);
        }
    }

    #[test]
    fn decompress_survives_anything(bytes in prop::collection::vec(any::<u8>(), 0..300), raw_len in 0..1_000_000u32) {
        if let Ok(plain) = decompress(&bytes, raw_len) {
            prop_assert_eq!(plain.len(), raw_len as usize);
        }
    }
}

#[test]
fn every_single_bit_counts() {
    let keys = keys();
    for content in [noise("bits", 40), b"bits ".repeat(40), Vec::new()] {
        let (shape, stored) = sealed(&keys, &ID, &content);
        let aad = header(shape);
        let fails = |id: &[u8; 32], aad: &[u8], stored: &[u8]| {
            assert_eq!(open(&keys, id, aad, stored, shape.raw_len, shape.compressed), Err(ChunkError::Open));
        };
        for bit in 0..stored.len() * 8 {
            let mut stored = stored.clone(); // the salt in front included
            stored[bit / 8] ^= 1 << (bit % 8);
            fails(&ID, &aad, &stored);
        }
        for bit in 0..aad.len() * 8 {
            let mut aad = aad.clone();
            aad[bit / 8] ^= 1 << (bit % 8);
            fails(&ID, &aad, &stored);
        }
        for bit in 0..256 {
            let mut id = ID;
            id[bit / 8] ^= 1 << (bit % 8);
            fails(&id, &aad, &stored);
        }
        for len in 0..stored.len() {
            fails(&ID, &aad, &stored[..len]);
        }
        fails(&ID, &aad, &[&stored[..], &[0]].concat());
    }
}

#[test]
fn wrong_account_does_not_open() {
    let (shape, stored) = sealed(&keys(), &ID, b"content");
    let others = AccountKeys::derive(&DataKey::new([8; 32]));
    assert_eq!(open(&others, &ID, &header(shape), &stored, 7, false), Err(ChunkError::Open));
}

#[test]
fn compressed_flag_and_length_are_authenticated() {
    let keys = keys();
    let (shape, stored) = sealed(&keys, &ID, &b"text ".repeat(1000));
    assert!(shape.compressed);
    for lie in
        [Sealed { compressed: false, ..shape }, Sealed { raw_len: 4999, ..shape }, Sealed { stored_len: 1, ..shape }]
    {
        let opened = open(&keys, &ID, &header(lie), &stored, lie.raw_len, lie.compressed);
        assert_eq!(opened, Err(ChunkError::Open));
    }
    // A caller that does not follow its own header gets an error too, not wrong bytes.
    assert!(open(&keys, &ID, &header(shape), &stored, 5000, false).is_err());
    assert!(open(&keys, &ID, &header(shape), &stored, 4999, true).is_err());
    assert!(open(&keys, &ID, &header(shape), &stored, 5001, true).is_err());
}

#[test]
fn same_chunk_with_another_salt_is_another_key() {
    let keys = keys();
    let mut compressor = Compressor::new().expect("zstd");
    let mut seal_with = |salt| {
        let mut out = Vec::new();
        seal(&keys, &ID, salt, header, &[0; 64], &mut compressor, &mut out).expect("seal");
        out.split_off(SALT_LEN)
    };
    assert_eq!(seal_with([1; 16]), seal_with([1; 16]));
    assert_ne!(seal_with([1; 16])[..16], seal_with([2; 16])[..16]);
}

#[test]
fn one_opener_opens_many() {
    let keys = keys();
    let mut opener = Opener::new().expect("zstd");
    for content in [noise("many", 90_000), b"abc".repeat(90_000), Vec::new(), b"abc".repeat(50)] {
        let (shape, mut stored) = sealed(&keys, &ID, &content);
        let plain = opener
            .open_in_place(&keys, &ID, &header(shape), &mut stored, shape.raw_len, shape.compressed)
            .expect("open");
        assert!(plain == content);
        // Now scrambled: opening again is an error, and the opener survives it.
        let again = opener.open_in_place(&keys, &ID, &header(shape), &mut stored, shape.raw_len, shape.compressed);
        assert!(content.is_empty() || again == Err(ChunkError::Open));
    }
}

#[test]
fn five_percent_decide_and_the_probe_decides_for_the_whole() {
    let compresses = |noise_len: usize, zeros: usize, tail: usize| {
        let content = [noise("part", noise_len), vec![0; zeros], vec![0; tail]].concat();
        Compressor::new().expect("zstd").compress(&content, &mut Vec::new())
    };
    assert!(!compresses(9700, 300, 0), "gains 3 %");
    assert!(compresses(9300, 700, 0), "gains 7 %");
    assert!(!compresses(64 << 10, 0, 1 << 20), "the first 64 KiB gain nothing");
    assert!(compresses(60 << 10, 4 << 10, 1 << 20), "the first 64 KiB gain 6 %");
}

#[test]
fn failed_seal_leaves_out_as_it_was() {
    let mut out = b"before".to_vec();
    let mut compressor = Compressor::new().expect("zstd");
    let too_much = vec![0; RAW_LEN_MAX as usize + 1];
    let failed = seal(&keys(), &ID, [0; 16], header, &too_much, &mut compressor, &mut out);
    assert!(matches!(failed, Err(ChunkError::TooLarge { .. })));
    assert_eq!(out, b"before");
}

#[test]
fn bombs_are_refused() {
    let mut bomb = Vec::new();
    assert!(Compressor::new().expect("zstd").compress(&vec![0; RAW_LEN_MAX as usize], &mut bomb));
    assert!(bomb.len() < 2000, "{} bytes", bomb.len());
    let mut out = Vec::new();
    let mut decompressor = Decompressor::new().expect("zstd");
    let refused = decompressor.decompress_into(&bomb, 1000, &mut out);
    assert!(matches!(refused, Err(ChunkError::Decompress { raw_len: 1000, .. })));
    assert!(out.is_empty() && out.capacity() <= 1000, "{} bytes allocated", out.capacity());
    // A buffer that is larger from before does not make room for more than was announced.
    out.reserve_exact(RAW_LEN_MAX as usize);
    assert!(decompressor.decompress_into(&bomb, 1000, &mut out).is_err() && out.is_empty());
    assert!(matches!(decompress(&bomb, RAW_LEN_MAX + 1), Err(ChunkError::TooLarge { .. })));
    assert!(matches!(decompress(&bomb, RAW_LEN_MAX - 1), Err(ChunkError::Decompress { .. })));
    assert!(decompress(&bomb, 0).is_err() && decompress(&[], 1).is_err());
    assert!(decompress(&bomb, RAW_LEN_MAX).is_ok());
    assert!(matches!(open(&keys(), &ID, &[], &bomb, u32::MAX, true), Err(ChunkError::TooLarge { .. })));
}

#[test]
fn small_seal_is_bound_to_context_and_thing() {
    let keys = keys();
    let sealed = seal_small(&keys, "version hash", &ID, b"36 bytes").expect("seal");
    assert_eq!(sealed.len(), 8 + 16);
    assert_eq!(open_small(&keys, "version hash", &ID, &sealed), Ok(b"36 bytes".to_vec()));
    assert_eq!(open_small(&keys, "version hash", &[4; 32], &sealed), Err(ChunkError::Open));
    assert_eq!(open_small(&keys, "version", &ID, &sealed), Err(ChunkError::Open));
    for bit in 0..sealed.len() * 8 {
        let mut sealed = sealed.clone();
        sealed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open_small(&keys, "version hash", &ID, &sealed), Err(ChunkError::Open));
    }
    assert_eq!(open_small(&keys, "version hash", &ID, b""), Err(ChunkError::Open));
}

#[test]
fn wrapped_key_opens_with_its_kek_and_context_only() {
    let data_key = DataKey::new([7; 32]);
    let wrapped = wrap_key(&[1; 32], &data_key, b"account 5", [2; 16]).expect("wrap");
    assert_eq!(wrapped.len(), keys::WRAPPED_LEN);
    let back = unwrap_key(&[1; 32], &wrapped, b"account 5").expect("unwrap");
    let content = noise("wrapped", 100);
    assert_eq!(chunk_id(&AccountKeys::derive(&back), &content), chunk_id(&super::keys(), &content));

    let is_refused = |opened: Result<DataKey, ChunkError>| matches!(opened, Err(ChunkError::Open));
    assert!(is_refused(unwrap_key(&[9; 32], &wrapped, b"account 5")));
    assert!(is_refused(unwrap_key(&[1; 32], &wrapped, b"account 6")));
    for bit in 0..wrapped.len() * 8 {
        let mut wrapped = wrapped.clone();
        wrapped[bit / 8] ^= 1 << (bit % 8);
        assert!(is_refused(unwrap_key(&[1; 32], &wrapped, b"account 5")));
    }
    for len in 0..wrapped.len() {
        assert!(is_refused(unwrap_key(&[1; 32], &wrapped[..len], b"account 5")));
    }
}

#[test]
fn wrong_id_is_told() {
    let keys = keys();
    let id = chunk_id(&keys, b"content");
    assert_eq!(verify_chunk_id(&keys, &id, b"content"), Ok(()));
    assert!(matches!(verify_chunk_id(&keys, &id, b"contents"), Err(ChunkError::WrongId { .. })));
}

#[test]
fn secrets_do_not_print() {
    assert_eq!(format!("{:?} {:?}", DataKey::new([7; 32]), keys()), "DataKey(***) AccountKeys(***)");
}
