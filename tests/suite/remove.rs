//! Taking things out of the lists: what is removed is gone, what is not removed stays, and ids are never reused.

use crate::support::api::{file_id, newest, versions};
use crate::support::{House, noise};

#[test]
fn a_removed_version_is_gone_and_the_others_stay() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let bodies: Vec<Vec<u8>> = (0..3).map(|n| noise(n, 100_000)).collect();
    bodies.iter().for_each(|body| drop(house.put(&member, "/a", body)));
    house.remove_version(&member.session, 2).expect(200);
    assert_eq!(versions(&house.files(&member)[0]), [1, 3]);
    house.download(&member.session, 2).refused(404, "not_found");
    house.remove_version(&member.session, 2).refused(404, "not_found");
    assert!(house.get(&member, 1) == bodies[0] && house.get(&member, 3) == bodies[2]);
}

#[test]
fn a_removed_file_is_gone_with_all_its_versions() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/a", b"1");
    let file = house.put(&member, "/a", b"2");
    let kept = house.put(&member, "/b", b"3");
    house.remove_file(&member.session, file_id(&file)).expect(200);
    assert_eq!(house.files(&member), [kept]);
    for version in [1, 2] {
        house.download(&member.session, version).refused(404, "not_found");
        house.remove_version(&member.session, version).refused(404, "not_found");
    }
    house.remove_file(&member.session, file_id(&file)).refused(404, "not_found");
}

#[test]
fn a_file_whose_last_version_was_removed_is_gone_from_the_lists() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let file = house.put(&member, "/a", b"1");
    house.remove_version(&member.session, 1).expect(200);
    assert!(house.files(&member).is_empty());
    assert_eq!(house.list_files(&member.session, Some("laptop")).expect(200).json(), serde_json::json!([]));
    house.remove_file(&member.session, file_id(&file)).refused(404, "not_found");
}

#[test]
fn an_upload_to_a_removed_path_revives_its_file_id_and_nothing_else() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    let (one, two) = (house.put(&member, "/a", b"1"), house.put(&member, "/b", b"2"));
    house.remove_file(&member.session, file_id(&one)).expect(200);
    house.remove_version(&member.session, newest(&two)).expect(200);
    house.restart();
    let again = house.put(&member, "/a", b"3");
    assert_eq!((file_id(&again), versions(&again)), (file_id(&one), vec![3]), "old versions stay removed");
    let again = house.put(&member, "/b", b"2");
    assert_eq!((file_id(&again), versions(&again)), (file_id(&two), vec![4]));
    assert_ne!(file_id(&house.put(&member, "/c", b"5")), file_id(&one));
}

#[test]
fn content_that_another_version_shares_survives_a_removal() {
    let house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    let body = noise(9, 3 << 20);
    let first = house.put(&laptop, "/a", &body);
    let second = newest(&house.put(&phone, "/copy", &body));
    house.remove_file(&laptop.session, file_id(&first)).expect(200);
    assert!(house.get(&phone, second) == body);
    let third = newest(&house.put(&laptop, "/a", &body));
    assert!(house.get(&laptop, third) == body);
}

#[test]
fn one_device_may_remove_what_another_of_the_account_uploaded() {
    let house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    let file = house.put(&laptop, "/a", b"1");
    house.remove_file(&phone.session, file_id(&file)).expect(200);
    assert!(house.files(&laptop).is_empty());
}

#[test]
fn removals_survive_a_kill() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    let file = house.put(&member, "/a", b"1");
    house.put(&member, "/b", b"2");
    house.put(&member, "/b", b"3");
    house.remove_file(&member.session, file_id(&file)).expect(200);
    house.remove_version(&member.session, 2).expect(200);
    let before = house.files(&member);
    house.kill();
    house.open();
    assert_eq!(house.files(&member), before);
    assert_eq!(newest(&house.put(&member, "/a", b"4")), 4);
}
