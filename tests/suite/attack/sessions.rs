//! Sessions that somebody else chose, kept or took.

use crate::support::api::Way::Form;
use crate::support::{House, Member};

/// Four things in every order.
fn orders() -> Vec<[usize; 4]> {
    let all = (0..256).map(|n| [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3]);
    all.filter(|order| (0..4).all(|one| order.contains(&one))).collect()
}

/// What replaying each generation in this order is answered: the newest, which was used, and the one before are accepted until an
/// older one gives the theft away. Who rotates with the one before does that too.
fn expected(order: [usize; 4], rotates: bool) -> Vec<u16> {
    let mut alive = true;
    let told = order.into_iter().map(|generation| {
        let accepted = alive && (generation == 3 || generation == 2 && !rotates);
        alive = accepted;
        if accepted { 200 } else { 401 }
    });
    told.collect()
}

/// A device's session with three generations after it, the last of which was used.
fn family(house: &House, anna: &Member, device: &str) -> Vec<String> {
    let mut family = vec![house.device(anna, device).session];
    for _ in 0..3 {
        family.push(house.rotated(family.last().expect("one at least")));
    }
    house.list_files(&family[3], None).expect(200);
    family
}

#[test]
fn rotated_sessions_are_replayed_in_every_order_and_across_a_restart() {
    let mut house = House::start();
    let anna = house.member("anna", "laptop");
    let plays: Vec<([usize; 4], bool)> =
        orders().into_iter().flat_map(|order| [(order, false), (order, true)]).collect();
    assert_eq!(plays.len(), 48);
    // A few at a time: the one before the newest has a minute.
    for (round, plays) in plays.chunks(8).enumerate() {
        let families: Vec<_> =
            (0..plays.len()).map(|n| family(&house, &anna, &format!("device-{round}-{n}"))).collect();
        let mut told = vec![Vec::new(); plays.len()];
        for half in 0..2 {
            for (at, (order, rotates)) in plays.iter().enumerate() {
                for generation in &order[2 * half..2 * half + 2] {
                    let session = &families[at][*generation];
                    // Rotating with the newest would only make another: its use is what is replayed then.
                    let is_used = !*rotates || *generation == 3;
                    let answer = if is_used { house.list_files(session, None) } else { house.rotate(session) };
                    told[at].push(answer.status);
                }
            }
            house.restart();
        }
        for ((order, rotates), (told, family)) in plays.iter().zip(told.iter().zip(&families)) {
            assert_eq!(*told, expected(*order, *rotates), "{order:?}, rotates: {rotates}");
            let last = if told.contains(&401) { 401 } else { 200 };
            assert_eq!(house.list_files(&family[3], None).status, last, "{order:?}, rotates: {rotates}");
        }
    }
    house.list_files(&anna.session, None).expect(200);
}

#[test]
fn the_expectation_sees_a_server_that_forgets() {
    assert_eq!(expected([0, 1, 2, 3], false), [401; 4]);
    assert_eq!(expected([3, 2, 0, 3], false), [200, 200, 401, 401]);
    assert_eq!(expected([3, 2, 1, 3], true), [200, 401, 401, 401]);
    assert!(orders().iter().any(|order| expected(*order, false).contains(&200)), "planted: not all is refused");
}

#[test]
fn nobody_chooses_the_session_that_somebody_else_gets() {
    let house = House::start();
    let (anna, eve) = (house.member("anna", "laptop"), house.member("eve", "laptop"));
    let chosen = [eve.session.as_str(), "rbs_AAAA", "chosen by eve"];
    let mut given = Vec::new();
    for fixed in chosen {
        let cookies = format!("rbackup={fixed}; __Host-rbackup={fixed}; session_id={fixed}");
        let body = format!(
            "device_id=laptop&username=anna&password={}&session_id={}",
            "the+password+of+anna",
            fixed.replace(' ', "+")
        );
        let asked = house.curl("/account/login").session(fixed).header("Cookie", &cookies);
        let session =
            asked.data(body.as_bytes()).send().expect(200).json()["session_id"].as_str().expect("one").to_owned();
        house.secret(&session);
        let body = serde_json::json!({"username": "anna", "password": anna.password, "device_id": "a browser", "session_id": fixed});
        let page = house.json("POST", "/api/v1/session", &body).header("Origin", house.url()).header("RBackup-UI", "1");
        let answer = page.header("Cookie", &cookies).send().expect(201);
        let cookie =
            answer.header("Set-Cookie").and_then(|text| text.split([';', '=']).nth(1)).expect("a cookie").to_owned();
        house.secret(&cookie);
        assert!(!chosen.contains(&session.as_str()) && !chosen.contains(&cookie.as_str()), "a new one each time");
        given.extend([session, cookie]);
    }
    let mut different = given.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), given.len(), "never the same twice");
    for fixed in &chosen[1..] {
        house.list_files(fixed, None).refused(401, "no_session");
        house.curl("/api/v1/overview").header("Cookie", &format!("rbackup={fixed}")).send().refused(401, "no_session");
    }
    assert_eq!(house.files(&eve).len(), 0, "eve's is still eve's");
    house.put(&eve, "/of-eve", b"x");
    let newest = &given[given.len() - 2];
    assert_eq!(house.list_files(newest, None).expect(200).json(), serde_json::json!([]), "and opens nothing of anna's");
}

#[test]
fn a_browser_of_a_devices_name_ends_no_device_and_a_device_no_browser() {
    let house = House::start();
    let anna = house.member("anna", "laptop");
    let sign_in = || {
        let body = serde_json::json!({"username": "anna", "password": anna.password, "device_id": "laptop"});
        let page = house.json("POST", "/api/v1/session", &body).header("Origin", house.url()).header("RBackup-UI", "1");
        let cookie = page
            .send()
            .expect(201)
            .header("Set-Cookie")
            .and_then(|text| text.split(';').next())
            .expect("a cookie")
            .to_owned();
        house.secret(cookie.trim_start_matches("rbackup="));
        cookie
    };
    let seen = |cookie: &str| house.curl("/api/v1/overview").header("Cookie", cookie).send().status;
    let first = sign_in();
    house.list_files(&anna.session, None).expect(200);
    let second = sign_in();
    assert_eq!((seen(&first), seen(&second)), (401, 200), "one session for each browser's name");
    house.list_files(&anna.session, None).expect(200);
    let again = house.login(Form, "laptop", "anna", &anna.password).expect(200).json();
    let again = again["session_id"].as_str().expect("a session").to_owned();
    house.list_files(&anna.session, None).refused(401, "no_session");
    assert_eq!(seen(&second), 200);
    let out = house.curl("/api/v1/session").method("DELETE").header("Cookie", &second);
    out.header("RBackup-UI", "1").header("Origin", house.url()).send().expect(204);
    assert_eq!(seen(&second), 401);
    house.list_files(&again, None).expect(200);
    // The secret of the one is nothing in the place of the other.
    let third = sign_in();
    house.list_files(third.trim_start_matches("rbackup="), None).refused(401, "no_session");
    assert_eq!(seen(&format!("rbackup={again}")), 401);
    house.rotate(third.trim_start_matches("rbackup=")).expect(401);
}
