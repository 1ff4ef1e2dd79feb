//! Two households on one server. Whatever one does, the other neither sees it nor feels it.

use crate::support::api::{file_id, newest};
use crate::support::{House, noise};

#[test]
fn every_id_of_another_account_is_404_and_stays_untouched() {
    let house = House::start();
    let (anna, bert) = (house.member("anna", "laptop"), house.member("bert", "laptop"));
    let body = noise(1, 500_000);
    let file = house.put(&anna, "/secret plans", &body);
    let before = house.files(&anna);
    house.download(&bert.session, newest(&file)).refused(404, "not_found");
    house.remove_file(&bert.session, file_id(&file)).refused(404, "not_found");
    house.remove_version(&bert.session, newest(&file)).refused(404, "not_found");
    let part = house.curl(&format!("/download?file_version_id={}", newest(&file))).session(&bert.session);
    part.header("Range", "bytes=0-9").header("If-None-Match", "*").send().refused(404, "not_found");
    assert!(house.files(&bert).is_empty());
    assert_eq!(house.files(&anna), before);
    assert!(house.get(&anna, newest(&file)) == body);
}

#[test]
fn another_accounts_id_and_no_id_at_all_look_the_same() {
    let house = House::start();
    let (anna, bert) = (house.member("anna", "laptop"), house.member("bert", "laptop"));
    let version = newest(&house.put(&anna, "/a", b"1"));
    let told = |version: u64| {
        let answer = house.download(&bert.session, version);
        let names: Vec<String> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
        (answer.status, answer.json()["error"].clone(), names)
    };
    assert_eq!(told(version), told(version + 1000));
}

#[test]
fn the_same_paths_devices_and_content_in_two_accounts_are_strangers() {
    let house = House::start();
    let (anna, bert) = (house.member("anna", "laptop"), house.member("bert", "laptop"));
    let body = noise(2, 2 << 20);
    let (one, two) = (house.put(&anna, "/a", &body), house.put(&bert, "/a", &body));
    assert_ne!(file_id(&one), file_id(&two));
    assert_ne!(one["versions"][0]["storage_name"], two["versions"][0]["storage_name"]);
    house.remove_file(&anna.session, file_id(&one)).expect(200);
    assert!(house.get(&bert, newest(&two)) == body);
}

#[test]
fn one_accounts_login_revokes_nothing_of_the_others() {
    let house = House::start();
    let (anna, bert) = (house.member("anna", "laptop"), house.member("bert", "laptop"));
    house.login(crate::support::api::Way::Form, "laptop", "anna", &anna.password).expect(200);
    house.list_files(&bert.session, None).expect(200);
    assert_eq!(house.list_devices(&bert.session).expect(200).json(), serde_json::json!(["laptop"]));
}

#[test]
fn chunks_are_not_shared_between_accounts() {
    let mut house = House::start();
    let (anna, bert) = (house.member("anna", "laptop"), house.member("bert", "laptop"));
    let body = noise(3, 8 << 20);
    house.put(&anna, "/a", &body);
    let chunks = crate::dedup::chunk_frames(&mut house);
    house.put(&bert, "/a", &body);
    let both = crate::dedup::chunk_frames(&mut house);
    assert!(
        both >= chunks * 2 - 8 && both > chunks,
        "nobody learns by size or time that another has a file: {chunks}, {both}"
    );
}
