//! What is there: everything of an account, oldest first, and nothing of anybody else.

use crate::support::api::{file_id, versions};
use crate::support::{House, noise};
use serde_json::{Value, json};

#[test]
fn a_new_account_lists_empty_arrays() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let answer = house.list_files(&member.session, None).expect(200);
    assert_eq!(answer.json(), json!([]));
    assert!(answer.header("Content-Type").is_some_and(|kind| kind.starts_with("application/json")));
    assert_eq!(
        house.list_files(&member.session, Some("laptop")).expect(200).json(),
        json!([]),
        "a known device without files"
    );
    assert_eq!(house.list_devices(&member.session).expect(200).json(), json!(["laptop"]));
}

#[test]
fn the_list_is_of_the_account_or_of_one_device() {
    let house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone +1/ü");
    let stranger = house.member("bert", "laptop");
    house.put(&laptop, "/a", b"1");
    house.put(&phone, "/b", b"2");
    house.put(&laptop, "/c", b"3");
    house.put(&stranger, "/d", b"4");
    assert_eq!(names(&house.list_files(&phone.session, None).expect(200).json()), ["/a", "/b", "/c"]);
    assert_eq!(names(&house.list_files(&phone.session, Some("laptop")).expect(200).json()), ["/a", "/c"]);
    assert_eq!(names(&house.list_files(&laptop.session, Some("phone +1/ü")).expect(200).json()), ["/b"]);
    assert_eq!(names(&house.list_files(&stranger.session, None).expect(200).json()), ["/d"]);
    assert_eq!(names(&house.list_files(&stranger.session, Some("laptop")).expect(200).json()), ["/d"]);
}

#[test]
fn devices_are_listed_with_what_is_known_of_them() {
    let house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    house.member("bert", "tower");
    house.curl("/api/v1/sessions?id=current").method("DELETE").session(&phone.session).send().expect(200);
    let listed = house.curl("/api/v1/devices").session(&laptop.session).send().expect(200).json();
    let known = |at: usize| (listed[at]["device_id"].clone(), listed[at]["signed_in"].clone());
    assert_eq!((known(0), known(1)), (("laptop".into(), true.into()), ("phone".into(), false.into())), "{listed}");
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    assert!(listed[0]["first_seen"].as_str().is_some_and(|moment| moment.len() == 19), "{listed}");
}

#[test]
fn an_unknown_device_is_404_also_when_it_is_somebody_elses() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    house.member("bert", "tower");
    for device in ["nowhere", "tower", "LAPTOP", "../laptop"] {
        house.list_files(&member.session, Some(device)).refused(404, "not_found");
    }
}

#[test]
fn versions_are_listed_oldest_first_and_match_the_uploads_answer() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let mut last = Value::Null;
    for round in 0..12 {
        house.put(&member, "/other", &noise(round, 10));
        last = house.put(&member, "/a", &noise(round, 100 + round as usize));
    }
    let files = house.files(&member);
    let held = files.iter().find(|file| file["original_name"] == "/a").expect("the file is listed");
    assert_eq!(held, &last);
    assert_eq!(versions(held), (1..=12).map(|round| round * 2).collect::<Vec<u64>>());
    let sizes: Vec<u64> =
        held["versions"].as_array().into_iter().flatten().filter_map(|version| version["size"].as_u64()).collect();
    assert_eq!(sizes, (100..112).collect::<Vec<u64>>());
}

#[test]
fn a_long_list_is_whole_and_valid_over_every_protocol() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let files: Vec<(String, Vec<u8>)> =
        (0..2500).map(|n| (format!("/{}/{n}", "long".repeat(40)), noise(n, 20))).collect();
    house.put_many(&member, &files);
    for words in [&["--http1.1"][..], &["--http1.0"], &["--http2-prior-knowledge"], &["--compressed"]] {
        let answer = house.curl("/list/files").session(&member.session).args(words.iter().copied()).send().expect(200);
        let listed = answer.json();
        let mut ids: Vec<u64> = listed.as_array().into_iter().flatten().map(file_id).collect();
        assert_eq!(ids.len(), 2500, "{words:?}");
        let given = ids.clone();
        ids.sort_unstable();
        assert_eq!(given, ids, "files stand oldest first");
        ids.dedup();
        assert_eq!(ids.len(), 2500, "each file stands once");
    }
}

fn names(listed: &Value) -> Vec<String> {
    let mut names: Vec<String> = listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|file| file["original_name"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}
