//! The catalog is derived: delete it, and the volumes give it back exactly.

use crate::support::api::{file_id, newest};
use crate::support::{House, Member, noise};
use std::path::Path;

fn filled(house: &House) -> (Member, Member) {
    let anna = house.member("anna", "laptop");
    let bert = house.member("bert", "tower");
    for round in 0..40u64 {
        house.put(&anna, &format!("/{}", round % 15), &noise(round, 3000 * round as usize));
        house.put(&bert, &format!("/{round}"), &noise(round, 100));
    }
    house.upload(&anna.session, b"/\xff\n", b"odd").expect(200);
    let gone = house.put(&anna, "/gone", b"x");
    house.remove_file(&anna.session, file_id(&gone)).expect(200);
    house.remove_version(&anna.session, 1).expect(200);
    house.put(&anna, "/large", &noise(99, 12 << 20));
    (anna, bert)
}

fn rebuild(house: &House) {
    let ran = house.run(&["rebuild"]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
}

fn drop_catalog(data: &Path) {
    std::fs::remove_dir_all(data.join("catalog")).expect("the catalog is a directory");
}

#[test]
fn a_deleted_catalog_is_rebuilt_to_the_same_lists() {
    let mut house = House::start();
    let (anna, bert) = filled(&house);
    let before = (house.files(&anna), house.files(&bert), house.list_devices(&anna.session).json());
    house.stop();
    drop_catalog(&house.data());
    rebuild(&house);
    house.open();
    assert_eq!((house.files(&anna), house.files(&bert), house.list_devices(&anna.session).json()), before);
    let large = before.0.iter().find(|file| file["original_name"] == "/large").expect("the large file");
    assert!(house.get(&anna, newest(large)) == noise(99, 12 << 20));
    house.download(&bert.session, newest(large)).refused(404, "not_found");
}

#[test]
fn a_rebuild_after_a_kill_and_over_a_good_catalog_changes_nothing() {
    let mut house = House::start();
    let (anna, _) = filled(&house);
    let before = house.files(&anna);
    house.kill();
    drop_catalog(&house.data());
    rebuild(&house);
    rebuild(&house);
    house.open();
    assert_eq!(house.files(&anna), before);
}

#[test]
fn a_server_without_a_catalog_serves_everything_all_the_same() {
    let mut house = House::start();
    let (anna, _) = filled(&house);
    let before = house.files(&anna);
    house.stop();
    drop_catalog(&house.data());
    house.open();
    assert_eq!(house.files(&anna), before);
}

#[test]
fn no_id_is_given_twice_after_the_newest_was_removed_and_the_catalog_rebuilt() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/a", b"1");
    let file = house.put(&member, "/b", b"2");
    house.remove_file(&member.session, file_id(&file)).expect(200);
    house.stop();
    drop_catalog(&house.data());
    rebuild(&house);
    house.open();
    let next = house.put(&member, "/c", b"3");
    assert_eq!(newest(&next), 3);
    assert!(file_id(&next) > file_id(&file));
    let revived = house.put(&member, "/b", b"4");
    assert_eq!((file_id(&revived), newest(&revived)), (file_id(&file), 4));
}

#[test]
fn a_damaged_catalog_costs_nothing_but_a_rebuild() {
    let mut house = House::start();
    let (anna, _) = filled(&house);
    let before = house.files(&anna);
    house.stop();
    let mut overwritten = 0;
    for entry in walk(&house.data().join("catalog")) {
        let mut bytes = std::fs::read(&entry).expect("read a file of the catalog");
        let middle = bytes.len() / 2;
        bytes.iter_mut().skip(middle).take(64).for_each(|byte| *byte ^= 0xff);
        overwritten += bytes.len().min(64);
        std::fs::write(&entry, bytes).expect("damage the catalog");
    }
    assert!(overwritten > 0);
    rebuild(&house);
    house.open();
    assert_eq!(house.files(&anna), before);
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("read the catalog").flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
