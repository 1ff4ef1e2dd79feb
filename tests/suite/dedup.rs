//! The same bytes are stored once: a second device's copy of a tree makes no new chunk, and costs next to nothing.

use crate::support::house::disk_bytes;
use crate::support::{House, noise};
use serde_json::Value;

const VERSION_BYTES_MAX: u64 = 1536;

/// What `rbackup check --json` counts on the stopped store; the house is open again afterwards.
pub fn chunk_frames(house: &mut House) -> u64 {
    house.stop();
    let counted = checked(house);
    house.open();
    counted["chunk_frames"].as_u64().expect("check --json counts chunk_frames")
}

/// `rbackup check --json` of a healthy, stopped store.
pub fn checked(house: &House) -> Value {
    let ran = house.run(&["check", "--json"]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    serde_json::from_slice(&ran.stdout).expect("check --json prints JSON")
}

fn tree() -> Vec<(String, Vec<u8>)> {
    let small = (0..3000u64).map(|n| (format!("/tree/{}/{n}", n % 50), noise(n, 500 + (n as usize * 37) % 6000)));
    let large = (0..6u64).map(|n| (format!("/tree/large/{n}"), noise(n + 10_000, (n as usize + 1) * 900_000)));
    let text = (0..20usize)
        .map(|n| (format!("/tree/text/{n}"), "a line of text that compresses well\n".repeat(n * 900).into_bytes()));
    small.chain(large).chain(text).collect()
}

/// Volumes and catalog: the ballast grows by itself.
fn stored_bytes(house: &House) -> u64 {
    ["volumes", "catalog"].map(|name| disk_bytes(&house.data().join(name))).iter().sum()
}

#[test]
fn a_second_devices_copy_makes_no_chunk_and_costs_less_than_1_5_kb_a_version() {
    let mut house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    let files = tree();
    house.put_many(&laptop, &files);
    house.stop();
    let (first, bytes) = (checked(&house), stored_bytes(&house));
    house.open();
    house.put_many(&phone, &files);
    house.stop();
    let (second, grown) = (checked(&house), stored_bytes(&house).saturating_sub(bytes));
    assert_eq!(second["chunk_frames"], first["chunk_frames"], "no new chunk frame");
    let count = files.len() as u64;
    assert_eq!(second["versions"].as_u64(), Some(count * 2));
    eprintln!("dedup: {grown} bytes for {count} versions, {} each", grown / count);
    assert!(grown <= count * VERSION_BYTES_MAX, "{grown} bytes for {count} versions");
    house.open();
    assert_eq!(house.files(&phone).len(), files.len() * 2);
}

#[test]
fn an_insertion_near_the_start_of_a_large_file_costs_a_few_chunks() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    let body = noise(1, 24 << 20);
    house.put(&member, "/a", &body);
    let before = chunk_frames(&mut house);
    let changed = [&body[..100], b"inserted", &body[100..]].concat();
    let version = crate::support::api::newest(&house.put(&member, "/a", &changed));
    let after = chunk_frames(&mut house);
    assert!(before > 10 && after - before <= 3, "{before} chunks, then {after}");
    assert!(house.get(&member, version) == changed);
}
