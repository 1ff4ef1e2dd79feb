//! Every byte of a data directory after a day of work: no plaintext of what was uploaded, no password, session, token, recovery code
//! or key, neither as they are written nor as bytes.
//!
//! The account's data key is looked for by its own value: with each secret in hand the test opens every piece of the directory that
//! opens, as somebody would who had the secret and the disk, and then looks for what came out. Planted: each of them in a file.
//!
//! Every seal has the nonce 0 and a key made with a salt: so no salt may come twice, of chunks or of wraps. Planted: a frame twice.

use crate::support::api::Way::Form;
use crate::support::api::newest;
use crate::support::{House, Member, noise};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Something that must not be found, by what it is.
type Secrets = BTreeMap<String, Vec<u8>>;

/// Length of what is looked for of a plaintext, and of the shortest secret.
const PIECE: usize = 16;

fn read_all(folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a directory").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("a kind"));
        if kind.is_dir() {
            read_all(&path, into);
        } else if kind.is_file() {
            into.push((path.display().to_string(), std::fs::read(&path).expect("readable")));
        }
    }
}

/// Where any of the secrets stands: by its first bytes in a table, so that each byte of the directory is looked at once.
fn found(files: &[(String, Vec<u8>)], secrets: &Secrets) -> Vec<String> {
    let mut begins: BTreeMap<[u8; 8], Vec<(&String, &Vec<u8>)>> = BTreeMap::new();
    let mut first = vec![false; 1 << 16];
    for (what, secret) in secrets {
        assert!(secret.len() >= 8, "{what} is too short to be looked for");
        begins.entry(*secret.first_chunk().expect("eight")).or_default().push((what, secret));
        first[usize::from(u16::from_le_bytes([secret[0], secret[1]]))] = true;
    }
    let mut seen = Vec::new();
    for (file, bytes) in files {
        for at in 0..bytes.len().saturating_sub(7) {
            if !first[usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))] {
                continue;
            }
            let alike = begins.get(&bytes[at..at + 8]).into_iter().flatten();
            seen.extend(
                alike
                    .filter(|(_, secret)| bytes[at..].starts_with(secret))
                    .map(|(what, _)| format!("{what} in {file}")),
            );
        }
    }
    seen
}

/// What `wrap_key` of the product made, opened with nothing of the product: salt 16, key 32, tag 16.
fn unwrapped(kek: &[u8; 32], context: &[u8], wrapped: &[u8]) -> Option<Vec<u8>> {
    let (salt, sealed) = wrapped.split_at_checked(16)?;
    let mut hasher = blake3::Hasher::new_keyed(kek);
    hasher.update(b"rbackup v1 key wrap").update(salt).update(context);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, hasher.finalize().as_bytes()).ok()?);
    let mut sealed = sealed.get(..48)?.to_vec();
    let opened = key.open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut sealed).ok()?;
    Some(opened.to_vec())
}

/// What lies in the records of the volumes under the key of a session or token, each with its salt. Rows hold a wrap as a length byte
/// and 64 bytes.
fn wraps(
    files: &[(String, Vec<u8>)],
    kek: &[u8; 32],
    context: &[u8],
) -> impl Iterator<Item = ([u8; SALT_BYTES], Vec<u8>)> {
    let volumes = files.iter().filter(|(name, _)| name.contains("/volumes/"));
    volumes
        .flat_map(|(_, bytes)| bytes.windows(65))
        .filter(|window| window[0] == 64)
        .filter_map(|window| Some((*window[1..].first_chunk()?, unwrapped(kek, context, &window[1..])?)))
}

fn data_key(files: &[(String, Vec<u8>)], kek: &[u8; 32], context: &[u8]) -> Option<Vec<u8>> {
    wraps(files, kek, context).next().map(|(_, key)| key)
}

/// `FORMAT.md`, "block" and "frame".
const BLOCK_HEADER_BYTES: usize = 40;
const FRAME_HEADER_BYTES: usize = 60;
const FRAME_HASH_BYTES: usize = 16;
const SALT_BYTES: usize = 16;
const CHUNK: u8 = 1;

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
}

/// The payloads of each volume's blocks, one behind the other.
fn streams(files: &[(String, Vec<u8>)]) -> BTreeMap<usize, Vec<u8>> {
    let mut payloads = BTreeMap::new();
    for (_, bytes) in files.iter().filter(|(name, _)| name.contains("/volumes/") && name.ends_with("/db")) {
        for at in memchr::memmem::find_iter(bytes, b"RBk1") {
            let block = &bytes[at..];
            let [volume, number, length] = [4, 8, 12].map(|at| word(block, at).unwrap_or(0));
            let payload = block.get(BLOCK_HEADER_BYTES..BLOCK_HEADER_BYTES + length).expect("a block lies in its file");
            payloads.insert((volume, number), payload);
        }
    }
    let mut streams = BTreeMap::new();
    for ((volume, _), payload) in payloads {
        streams.entry(volume).or_insert_with(Vec::new).extend_from_slice(payload);
    }
    streams
}

/// The chunk frames of a stream.
fn chunk_frames(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some(stored) = word(stream, 4) {
        let (frame, rest) = stream.split_at(FRAME_HEADER_BYTES + stored + FRAME_HASH_BYTES);
        frames.extend(Some(frame).filter(|frame| frame[0] == CHUNK));
        stream = rest;
    }
    frames
}

/// The first stored bytes of every chunk frame.
fn chunk_salts(streams: &BTreeMap<usize, Vec<u8>>) -> Vec<[u8; SALT_BYTES]> {
    let frames = streams.values().flat_map(|stream| chunk_frames(stream));
    frames.map(|frame| *frame[FRAME_HEADER_BYTES..].first_chunk().expect("a salt")).collect()
}

/// How many of them were there before.
fn repeated(salts: &[[u8; SALT_BYTES]]) -> usize {
    salts.len() - salts.iter().collect::<BTreeSet<_>>().len()
}

/// The secret inside a session or token as it is presented.
fn secret_of(text: &str) -> [u8; 32] {
    let bytes = BASE64.decode(&text[4..]).expect("base64");
    *bytes[..bytes.len() - 4].last_chunk().expect("32 bytes")
}

/// What was used on that day, in the clear.
struct Day {
    /// What may not be found, by what it is.
    secrets: Secrets,
    /// A token that lives on.
    token: String,
    /// A session that lives on.
    session: String,
}

/// The wrapping key of what is presented.
fn wrapping_key(kind: &str, text: &str) -> [u8; 32] {
    blake3::derive_key(&format!("rbackup v1 {kind} wrapping key"), &secret_of(text))
}

/// Files of several sizes, a token, a rotation, a changed password, a failed sign-in, a removal, a restart. The house is stopped then.
fn a_day_of_work(house: &mut House) -> Day {
    let registered = house.register(Form, "anna", "a horse of course").expect(201).json();
    let code = registered["recovery_code"].as_str().expect("a code").to_owned();
    let (name, password) = ("anna".to_owned(), "a horse of course".to_owned());
    let fresh = Member { name, password, device: String::new(), session: String::new() };
    let member = house.device(&fresh, "laptop");
    let mut secrets = Secrets::new();
    let prose = "all work and no play makes a dull backup; ".repeat(20_000).into_bytes();
    let contents = [noise(11, 3 << 20), noise(12, 300), prose, b"a small secret, in a small file".to_vec()];
    for (number, body) in contents.iter().enumerate() {
        house.put(&member, &format!("/file {number}"), body);
        let last = body.len() - PIECE;
        for at in (0..last).step_by(4099).chain([last]) {
            secrets.insert(format!("content {number} at {at}"), body[at..at + PIECE].to_vec());
        }
    }
    let (_, token) = house.token(&member.session, &json!({"name": "t", "scopes": ["append", "restore"]}));
    let second = house.rotated(&member.session);
    house.list_files(&second, None).expect(200);
    house.advance(Duration::from_secs(7200));
    let file = house.upload(&second, b"/file 0", &contents[3]).expect(200).json();
    house.remove_version(&second, newest(&file)).expect(200);
    let change = json!({"username": "anna", "password": member.password, "new_password": "another horse"});
    house.secret("another horse");
    house.json("POST", "/api/v1/account/password", &change).send().expect(200);
    house.login(Form, "laptop", "anna", "a wrong horse").refused(401, "bad_credentials");
    let third = house.login(Form, "laptop", "anna", "another horse").expect(201).json();
    let third = third["session_id"].as_str().expect("a session").to_owned();
    house.restart();
    house.list_files(&third, None).expect(200);
    house.stop();

    for (kind, text) in [("session", &member.session), ("session", &second), ("session", &third), ("token", &token)] {
        secrets.insert(format!("{kind} {text}"), text.clone().into_bytes());
        secrets.insert(format!("{kind} {text}, its bytes"), secret_of(text).to_vec());
        secrets.insert(format!("{kind} {text}, its key"), wrapping_key(kind, text).to_vec());
    }
    for text in [&member.password, "another horse", "a wrong horse", &code, &code.replace('-', "")] {
        secrets.insert(text.to_owned(), text.as_bytes().to_vec());
    }
    Day { secrets, token, session: third }
}

#[test]
fn nothing_of_a_day_of_work_lies_in_the_data_directory_in_the_clear() {
    let mut house = House::start();
    let Day { mut secrets, token, session } = a_day_of_work(&mut house);
    let mut files = Vec::new();
    read_all(&house.data(), &mut files);
    // The ballast is random and nobody's, and large.
    files.retain(|(name, _)| !name.contains("/ballast/"));
    let key = data_key(&files, &wrapping_key("token", &token), b"token").expect("a token and the disk give the key");
    let session = wrapping_key("session", &session);
    assert_eq!(data_key(&files, &session, b"session").as_ref(), Some(&key), "a session opens the same");
    assert!(data_key(&files, &session, b"token").is_none(), "a wrap is good for its own kind alone");
    for context in ["chunk-id key", "seal key", "hash key", "cutter seed"] {
        let derived = blake3::derive_key(&format!("rbackup v1 {context}"), &key);
        secrets.insert(context.to_owned(), derived.to_vec());
    }
    secrets.insert("data key".to_owned(), key);

    assert!(files.iter().any(|(name, _)| name.contains("/catalog/")) && files.len() > 4, "the directory was read");
    assert_eq!(found(&files, &secrets), [""; 0]);
    for (what, secret) in &secrets {
        let planted = [("planted".to_owned(), [b"some bytes ", secret.as_slice(), b" and more"].concat())];
        assert!(found(&planted, &secrets).contains(&format!("{what} in planted")), "planted: {what}");
    }
}

#[test]
fn no_key_and_nonce_ever_meet_twice() {
    let mut house = House::start();
    let Day { secrets, .. } = a_day_of_work(&mut house);
    let mut files = Vec::new();
    read_all(&house.data(), &mut files);
    let mut streams = streams(&files);
    let mut salts = chunk_salts(&streams);
    let chunks = crate::dedup::checked(&house)["chunk_frames"].as_u64().expect("a count");
    assert!(chunks > 4 && salts.len() as u64 == chunks, "{} of {chunks} chunks were found", salts.len());

    let keys = secrets.iter().filter_map(|(what, key)| Some((what.strip_suffix(", its key")?, key)));
    for (what, key) in keys {
        let kind = what.split(' ').next().unwrap_or_default();
        let kek = key.as_slice().try_into().expect("32 bytes");
        let of_one: BTreeSet<_> = wraps(&files, kek, kind.as_bytes()).map(|(salt, _)| salt).collect();
        assert_eq!(of_one.len(), 1, "one wrap was made for a {kind}");
        salts.extend(of_one);
    }
    assert_eq!(salts.len() as u64, chunks + 4, "three sessions and a token");
    assert_eq!(repeated(&salts), 0, "a salt comes twice");

    let again = streams.values().flat_map(|stream| chunk_frames(stream)).next().expect("a chunk").to_vec();
    streams.insert(usize::MAX, again);
    assert_eq!(repeated(&chunk_salts(&streams)), 1, "planted: a frame twice");
}
