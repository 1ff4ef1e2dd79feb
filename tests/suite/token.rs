//! Tokens beyond the table of `rights`: what they are made with, what they see, where they end.

use crate::support::api::{file_id, newest};
use crate::support::{House, Member, sha256_hex};
use serde_json::{Value, json};

fn make(house: &House, session: &str, wish: &Value) -> crate::support::Answer {
    house.json("POST", "/api/v1/tokens", wish).session(session).send()
}

fn home() -> (House, Member, Member) {
    let house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    (house, laptop, phone)
}

fn paths(house: &House, secret: &str) -> Vec<String> {
    let listed = house.list_files(secret, None).expect(200).json();
    let mut names: Vec<String> = listed
        .as_array()
        .expect("an array")
        .iter()
        .map(|file| file["original_name"].as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_token_is_shown_once_and_listed_without_its_secret() {
    let (mut house, laptop, _) = home();
    let (id, token) = house.token(&laptop.session, &json!({"name": "cron", "scopes": ["append", "read"], "device_id": "laptop", "path": "/home", "expires_days": 30}));
    assert!(token.starts_with("rbt_"));
    let listed = || house.curl("/api/v1/tokens").session(&laptop.session).send().expect(200);
    let answer = listed();
    assert!(!answer.text().contains(&token[4..]), "the secret is stored nowhere");
    let row = answer.json()[0].clone();
    assert_eq!((&row["id"], &row["name"], &row["scopes"]), (&json!(id), &json!("cron"), &json!(["append", "read"])));
    assert_eq!((&row["device_id"], &row["path"], &row["last_used"]), (&json!("laptop"), &json!("/home"), &Value::Null));
    assert!(row["expires"].as_str() > row["created"].as_str());
    house.curl("/list/devices").session(&token).header("User-Agent", "a cron job").send().expect(200);
    let begun = std::time::Instant::now();
    while listed().json()[0]["last_used"].is_null() && begun.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let row = listed().json()[0].clone();
    assert_eq!((&row["user_agent"], &row["address"]), (&json!("a cron job"), &json!("127.0.0.1")), "{row}");
    house.restart();
    house.list_files(&token, None).expect(200);
    house.stop();
    assert_eq!(house.run(&["rebuild"]).status.code(), Some(0));
    house.open();
    house.list_files(&token, None).expect(200);
}

#[test]
fn a_wish_that_makes_no_sense_is_400_and_makes_nothing() {
    let (house, laptop, _) = home();
    let long = "x".repeat(129);
    let rows = [
        (json!({"scopes": ["read"]}), "missing_parameter"),
        (json!({"name": "a"}), "missing_parameter"),
        (json!({"name": "a", "scopes": []}), "invalid"),
        (json!({"name": "a", "scopes": ["write"]}), "invalid"),
        (json!({"name": "", "scopes": ["read"]}), "invalid"),
        (json!({"name": long, "scopes": ["read"]}), "invalid"),
        (json!({"name": "a\nb", "scopes": ["read"]}), "invalid"),
        (json!({"name": "a", "scopes": ["read"], "expires_days": 0}), "invalid"),
        (json!({"name": "a", "scopes": ["read"], "expires_days": -1}), "invalid"),
        (json!({"name": "a", "scopes": ["read"], "expires_days": 3661}), "invalid"),
        (json!({"name": "a", "scopes": ["read"], "path": ""}), "invalid"),
        (json!({"name": "a", "scopes": ["read"], "expire_days": 3}), "unknown_field"),
        (json!({"name": "a", "scopes": ["read"], "device": "laptop"}), "unknown_field"),
        (json!({"name": 1, "scopes": ["read"]}), "invalid_json"),
        (json!(["a"]), "invalid_json"),
    ];
    for (wish, code) in rows {
        make(&house, &laptop.session, &wish).refused(400, code);
    }
    make(&house, &laptop.session, &json!({"name": "a", "scopes": ["read"], "device_id": "nobody"}))
        .refused(404, "not_found");
    assert_eq!(house.curl("/api/v1/tokens").session(&laptop.session).send().expect(200).json(), json!([]));
    let form =
        house.curl("/api/v1/tokens").session(&laptop.session).data(b"name=form&scopes=append,restore&expires_days=7");
    let made = form.send().expect(201).json();
    house.secret(made["token"].as_str().expect("a token"));
}

#[test]
fn a_token_comes_from_a_session_or_the_password_and_from_no_token() {
    let (house, laptop, _) = home();
    let (_, admin) = house.token(&laptop.session, &json!({"name": "admin", "scopes": ["admin"]}));
    make(&house, &admin, &json!({"name": "more", "scopes": ["read"]})).refused(403, "forbidden");
    let by_password = |pair: &str| {
        house.json("POST", "/api/v1/tokens", &json!({"name": "p", "scopes": ["restore"]})).args(["-u", pair]).send()
    };
    let made = by_password(&format!("anna:{}", laptop.password)).expect(201).json();
    let token = made["token"].as_str().expect("a token");
    house.secret(token);
    let version = newest(&house.put(&laptop, "/x", b"content"));
    assert_eq!(house.download(token, version).expect(200).body, b"content", "its wrap opens the same key");
    by_password("anna:wrong password").refused(401, "bad_credentials");
    by_password("nobody:wrong password").refused(401, "bad_credentials");
    let basic = house.curl("/list/files").args(["-u", &format!("nobody:{token}")]).send();
    basic.refused(401, "no_session");
    house.curl("/list/files").args(["-u", &format!("ANNA:{token}")]).send().expect(200);
}

#[test]
fn a_token_of_a_device_sees_and_touches_that_device_alone() {
    let (house, laptop, phone) = home();
    let (ours, others) = (house.put(&laptop, "/ours", b"1"), house.put(&phone, "/others", b"2"));
    let (_, token) =
        house.token(&laptop.session, &json!({"name": "t", "scopes": ["append", "delete"], "device_id": "laptop"}));
    assert_eq!(paths(&house, &token), ["/ours"]);
    assert_eq!(house.list_devices(&token).json(), json!(["laptop"]));
    house.list_files(&token, Some("laptop")).expect(200);
    house.list_files(&token, Some("phone")).refused(404, "not_found");
    house.download(&token, newest(&ours)).expect(200);
    house.download(&token, newest(&others)).refused(404, "not_found");
    house.remove_version(&token, newest(&others)).refused(404, "not_found");
    house.remove_file(&token, file_id(&others)).refused(404, "not_found");
    let uploaded = house.upload(&token, b"/new", b"3").expect(200).json();
    assert_eq!(uploaded["device_id"], "laptop");
    let other = house.curl("/list/files").session(&token).header("RBackup-Device", "phone").send();
    other.refused(401, "wrong_device");
    house.curl("/restic/r/config").args(["-u", &format!("anna:{token}")]).send().refused(403, "forbidden");
    house.remove_file(&token, file_id(&ours)).expect(200);
    assert_eq!(house.files(&phone).len(), 2);
}

#[test]
fn a_token_to_append_works_for_the_device_it_names_and_reads_nothing() {
    let (house, laptop, phone) = home();
    let known = house.put(&laptop, "/known", b"1");
    house.put(&phone, "/phone", b"2");
    let (_, token) = house.token(&laptop.session, &json!({"name": "t", "scopes": "append"}));
    house.upload(&token, b"/new", b"3").refused(400, "device_needed");
    house.list_files(&token, None).refused(400, "device_needed");
    let named = |path: &str| house.curl(path).session(&token).header("RBackup-Device", "laptop");
    named("/upload?file_path=/new").upload_file(b"3").send().expect(200);
    let listed = named("/list/files").send().expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    named("/list/files?device_id=phone").send().refused(404, "not_found");
    named(&format!("/download?file_version_id={}", newest(&known))).send().refused(403, "forbidden");
    named(&format!("/remove/file?file_id={}", file_id(&known))).method("DELETE").send().refused(403, "forbidden");
}

#[test]
fn a_token_of_a_path_sees_and_touches_what_lies_below_it() {
    let (house, laptop, _) = home();
    for path in ["/home/anna/a", "/home/anna", "/home/annabel", "/etc/x"] {
        house.put(&laptop, path, path.as_bytes());
    }
    let files = house.files(&laptop);
    let version = |path: &str| newest(files.iter().find(|file| file["original_name"] == path).expect("there"));
    let (_, token) = house.token(
        &laptop.session,
        &json!({"name": "t", "scopes": ["append", "delete"], "path": "/home/anna", "device_id": "laptop"}),
    );
    assert_eq!(paths(&house, &token), ["/home/anna", "/home/anna/a"]);
    house.download(&token, version("/home/anna/a")).expect(200);
    for other in ["/home/annabel", "/etc/x"] {
        house.download(&token, version(other)).refused(404, "not_found");
        house.remove_version(&token, version(other)).refused(404, "not_found");
        house.upload(&token, other.as_bytes(), b"changed").refused(403, "forbidden");
    }
    house.upload(&token, b"/home/anna/new", b"3").expect(200);
    house.remove_version(&token, version("/home/anna/a")).expect(200);
}

#[test]
fn a_token_of_a_path_opens_the_repositories_below_it() {
    let (house, laptop, _) = home();
    let (_, token) = house.token(&laptop.session, &json!({"name": "t", "scopes": ["append"], "path": "photos"}));
    let (_, slashed) = house.token(&laptop.session, &json!({"name": "t", "scopes": ["read"], "path": "/photos/"}));
    let put = |repo: &str, secret: &str| {
        let object = format!("/restic/{repo}/data/{}", sha256_hex(b"x"));
        house.curl(&object).args(["-u", &format!("anna:{secret}")]).data(b"x").send().status
    };
    assert_eq!((put("photos", &token), put("photos/2018", &token)), (200, 200));
    assert_eq!((put("photosets", &token), put("other", &token)), (403, 403));
    assert_eq!(put("other", &laptop.password), 200);
    let repos = |secret: &str| {
        let listed = house.curl("/api/v1/repos").session(secret).send().expect(200).json();
        listed
            .as_array()
            .expect("an array")
            .iter()
            .map(|repo| repo["name"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(repos(&slashed), ["photos/2018"]);
    assert_eq!(repos(&laptop.session), ["other", "photos", "photos/2018"]);
}

#[test]
fn tokens_are_bounded_and_of_one_account() {
    let (house, laptop, _) = home();
    let bert = house.member("bert", "laptop");
    let (id, token) = house.token(&laptop.session, &json!({"name": "t", "scopes": ["admin"]}));
    house
        .curl(&format!("/api/v1/tokens?id={id}"))
        .method("DELETE")
        .session(&bert.session)
        .send()
        .refused(404, "not_found");
    assert_eq!(house.curl("/api/v1/tokens").session(&bert.session).send().expect(200).json(), json!([]));
    house.list_files(&token, None).expect(200);
    for _ in 1..256 {
        house.token(&laptop.session, &json!({"name": "t", "scopes": ["read"]}));
    }
    make(&house, &laptop.session, &json!({"name": "t", "scopes": ["read"]})).refused(409, "too_many_tokens");
    let all = house.curl("/api/v1/tokens?id=all").method("DELETE").session(&token).send().expect(200).json();
    assert_eq!(all["tokens_revoked"], 256);
    house.list_files(&token, None).refused(401, "no_session");
}
