//! Register and log in, the way each existing client does it, and what a device's second login does to its first.

use crate::support::api::WAYS;
use crate::support::api::Way::{Form, Json, Query};
use crate::support::{Answer, House};

#[test]
fn an_account_is_registered_and_signed_in_by_query_form_and_json() {
    let house = House::start();
    for (name, way) in ["anna", "bert", "cora"].into_iter().zip(WAYS) {
        let registered = house.register(way, name, "correct horse").expect(201).json();
        assert!(registered["account_id"].is_string(), "{way:?}: {registered}");
        assert!(registered["recovery_code"].as_str().is_some_and(|code| code.len() >= 16), "{way:?}: a recovery code");
        for (device, again) in ["laptop", "phone", "desk"].into_iter().zip(WAYS) {
            let session = house.login(again, device, name, "correct horse").expect(201).json();
            assert!(session["session_id"].as_str().is_some_and(|id| id.len() >= 32), "{again:?}: a session id");
        }
    }
}

#[test]
fn an_account_exists_once_also_in_other_case() {
    let house = House::start();
    house.register(Form, "anna", "correct horse").expect(201);
    for name in ["anna", "Anna", "ANNA"] {
        house.register(Form, name, "another horse").refused(409, "account_exists");
    }
    house.login(Form, "laptop", "anna", "correct horse").expect(201);
    house.login(Form, "laptop", "ANNA", "correct horse").expect(200);
}

#[test]
fn names_and_passwords_may_be_any_text() {
    let house = House::start();
    for (name, way) in ["名前 +%&=", "a@b.example", "o'neill \"x\""].into_iter().zip(WAYS) {
        house.register(way, name, "päss+wörd %41&=").expect(201);
        house.login(way, "büro pc +1", name, "päss+wörd %41&=").expect(201);
        house.login(way, "other", name, "päss wörd %41&=").refused(401, "bad_credentials");
    }
}

#[test]
fn a_second_login_of_a_device_answers_200_and_revokes_the_first_at_once() {
    let house = House::start();
    let first = house.member("anna", "laptop");
    house.list_files(&first.session, None).expect(200);
    let answer = house.login(Form, "laptop", "anna", &first.password).expect(200).json();
    let second = answer["session_id"].as_str().unwrap_or_default();
    assert_ne!(second, first.session);
    house.list_files(&first.session, None).refused(401, "no_session");
    house.list_files(second, None).expect(200);
}

#[test]
fn devices_sign_in_beside_each_other() {
    let house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    let other = house.member("bert", "laptop");
    for member in [&laptop, &phone, &other] {
        house.list_files(&member.session, None).expect(200);
    }
    assert_eq!(house.list_devices(&phone.session).expect(200).json(), serde_json::json!(["laptop", "phone"]));
    assert_eq!(house.list_devices(&other.session).expect(200).json(), serde_json::json!(["laptop"]));
}

#[test]
fn an_unknown_name_and_a_wrong_password_get_the_same_answer() {
    let house = House::start();
    house.register(Json, "anna", "correct horse").expect(201);
    for way in WAYS {
        let known = house.login(way, "laptop", "anna", "wrong horse").refused(401, "bad_credentials");
        let unknown = house.login(way, "laptop", "nobody", "wrong horse").refused(401, "bad_credentials");
        assert_eq!(sentence(&known), sentence(&unknown));
        let names = |answer: &Answer| answer.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&known), names(&unknown));
    }
    let member = house.login(Query, "laptop", "anna", "correct horse").expect(201).json();
    let devices = house.list_devices(member["session_id"].as_str().unwrap_or_default()).expect(200).json();
    assert_eq!(devices, serde_json::json!(["laptop"]), "a failed login makes no device");
}

#[test]
fn a_failed_login_revokes_nothing() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    house.login(Form, "laptop", "anna", "wrong horse").refused(401, "bad_credentials");
    house.list_files(&member.session, None).expect(200);
}

#[test]
fn sign_in_answers_are_never_stored_on_the_way() {
    let house = House::start();
    let answer = house.register(Query, "anna", "correct horse").expect(201);
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(answer.header("Set-Cookie"), None);
}

fn sentence(answer: &Answer) -> String {
    answer.json()["error"].as_str().unwrap_or_default().to_owned()
}
