//! An old version becomes the newest without being sent, and what was removed comes back as long as it is held.

use crate::support::api::{file_id, newest, versions};
use crate::support::house::disk_bytes;
use crate::support::{Answer, House, Member, noise};
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn restore(house: &House, session: &str, version: u64) -> Answer {
    house.curl(&format!("/api/v1/restore?file_version_id={version}")).method("POST").session(session).send()
}

fn put_old(house: &House, member: &Member) -> Vec<u8> {
    let old = noise(7, 6_000_000);
    house.put(member, "/docs/a.bin", &old);
    house.put(member, "/docs/a.bin", b"overwritten");
    old
}

#[test]
fn an_old_version_becomes_the_newest_and_costs_a_record() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    let old = put_old(&house, &member);
    let before = disk_bytes(&house.data().join("volumes"));
    house.advance(DAY);
    let file = restore(&house, &member.session, 1).expect(201).json();
    assert_eq!((versions(&file), &file["original_name"]), (vec![1, 2, 3], &json!("/docs/a.bin")));
    let grown = disk_bytes(&house.data().join("volumes")) - before;
    assert!(grown < 1 << 20, "{grown} bytes for what was there");
    assert_eq!(file["versions"][0]["hash"], file["versions"][2]["hash"]);
    assert_eq!(file["versions"][0]["mtime"], file["versions"][2]["mtime"], "it is the same content");
    assert_ne!(file["versions"][0]["storage_name"], file["versions"][2]["storage_name"]);
    assert!(house.get(&member, 3) == old);
    house.remove_version(&member.session, 1).expect(200);
    house.kill();
    house.open();
    assert!(house.get(&member, 3) == old, "it does not live off the version it was made from");
    house.stop();
    house.run(&["rebuild"]);
    house.open();
    assert_eq!(versions(&house.files(&member)[0]), [2, 3]);
    assert!(house.get(&member, 3) == old);
}

#[test]
fn what_was_removed_comes_back_until_its_hold_ends() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let old = put_old(&house, &member);
    let empty = house.put(&member, "/docs/empty", b"");
    let id = file_id(&house.files(&member)[0]);
    house.remove_file(&member.session, id).expect(200);
    house.remove_file(&member.session, file_id(&empty)).expect(200);
    assert!(house.files(&member).is_empty());
    let back = restore(&house, &member.session, 1).expect(201).json();
    assert_eq!((file_id(&back), versions(&back)), (id, vec![4]), "the file it was, with what was asked for");
    assert!(house.get(&member, 4) == old);
    house.download(&member.session, 1).refused(404, "not_found");
    let back = restore(&house, &member.session, newest(&empty)).expect(201).json();
    assert!(house.get(&member, newest(&back)).is_empty());
    house.advance(8 * DAY);
    restore(&house, &member.session, 2).refused(404, "not_found");
    assert_eq!(house.files(&member).len(), 2, "nothing was changed");
}

#[test]
fn nobody_restores_what_is_not_theirs_or_more_than_a_token_may() {
    let house = House::start();
    let (anna, bert) = (house.member("anna", "laptop"), house.member("bert", "phone"));
    house.put(&anna, "/home/a", b"1");
    house.put(&anna, "/secret", b"2");
    restore(&house, &bert.session, 1).refused(404, "not_found");
    restore(&house, &bert.session, 99).refused(404, "not_found");
    let token = |scopes: &[&str], path: &str| {
        house.token(&anna.session, &json!({"name": "t", "scopes": scopes, "device_id": "laptop", "path": path})).1
    };
    for scopes in [&["append"][..], &["restore"], &["delete"]] {
        restore(&house, &token(scopes, "/home"), 1).refused(403, "forbidden");
    }
    let both = token(&["append", "restore"], "/home");
    restore(&house, &both, 1).expect(201);
    restore(&house, &both, 2).refused(404, "not_found");
    for path in ["/api/v1/restore", "/api/v1/restore?file_version_id=x"] {
        house.curl(path).method("POST").session(&anna.session).send().expect(400);
    }
    assert_eq!(house.files(&anna).iter().map(|file| versions(file).len()).sum::<usize>(), 3);
}
