//! Ids of another account on every route: none of them is found, and nothing behind them changes.
//!
//! The routes come from the server's own table. One that is added fails here until it says which ids it takes.

use crate::support::api::{file_id, newest};
use crate::support::{House, Member, sha256_hex};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What stands for an id of anna's in a query or a body: `{file}`, `{version}`, `{session}`, `{token}`, `{invite}`.
struct Row(&'static str, &'static str, &'static str, &'static [u16]);

/// Method, route, query or body with ids of anna's, and what bert is told: never a 2xx with anything of hers in it.
const ROWS: [Row; 26] = [
    Row("GET", "/list/files", "?device_id=annas", &[404]),
    Row("GET", "/download", "?file_version_id={version}", &[404]),
    Row("DELETE", "/remove/file", "?file_id={file}", &[404]),
    Row("DELETE", "/remove/fileVersion", "?file_version_id={version}", &[404]),
    Row("DELETE", "/api/v1/sessions", "?id={session}", &[404]),
    Row("DELETE", "/api/v1/tokens", "?id={token}", &[404]),
    // He may not at all, so that he learns nothing either.
    Row("DELETE", "/api/v1/invites", "?id={invite}", &[403]),
    Row("GET", "/api/v1/folder", "?device_id=annas", &[404]),
    Row("GET", "/api/v1/versions", "?file_id={file}", &[404]),
    Row("GET", "/api/v1/download", "?file_version_id={version}", &[404]),
    Row("GET", "/api/v1/preview", "?file_version_id={version}", &[404]),
    Row("GET", "/api/v1/zip", "?device_id=annas", &[404]),
    Row("GET", "/api/v1/zip", "?device_id=berts&files={file}", &[404]),
    Row("POST", "/api/v1/restore", "?file_version_id={version}", &[404]),
    Row("DELETE", "/api/v1/file", "?file_id={file}", &[404]),
    Row("DELETE", "/api/v1/version", "?file_version_id={version}", &[404]),
    // A device sends for itself whatever it says; the others name one of their account's.
    Row("PUT", "/api/v1/upload", "?device_id=annas&file_path=/x", &[404, 200, 400]),
    Row("POST", "/api/v1/upload", "?device_id=annas&file_path=/x", &[404, 200, 400]),
    // He may search for what he likes: it is looked for among his own.
    Row("GET", "/api/v1/search", "?q=secret", &[200]),
    Row("GET", "/restic/{repo}/{kind}/", "/restic/annas/data/", &[404, 200]),
    Row("GET", "/restic/{repo}/{kind}/{name}", "/restic/annas/data/{object}", &[404]),
    Row("HEAD", "/restic/{repo}/{kind}/{name}", "/restic/annas/data/{object}", &[404]),
    Row("DELETE", "/restic/{repo}/{kind}/{name}", "/restic/annas/data/{object}", &[404, 200]),
    Row("DELETE", "/restic/{repo}/", "/restic/annas/", &[403, 404, 405]),
    // A repository of his own, of the same name.
    Row("POST", "/restic/{repo}/?create=true", "/restic/annas/?create=true", &[200]),
    Row("POST", "/restic/{repo}/{kind}/{name}", "/restic/annas/data/{object}", &[200, 400]),
];

/// Routes that take no id of anybody's.
const WITHOUT: [&str; 26] = [
    "/status",
    "/api/v1/status",
    "/account/register",
    "/account/login",
    "/account/session/rotate",
    "/api/v1/account/password",
    "/api/v1/account/recover",
    "/list/devices",
    // New files and devices are the caller's own.
    "/upload",
    "/api/v1/devices",
    "/api/v1/repos",
    "/api/v1/account",
    "GET /api/v1/sessions",
    "POST /api/v1/invites",
    "GET /api/v1/invites",
    // Everybody's own; the administrator's is the server's.
    "/api/v1/audit",
    "GET /api/v1/tokens",
    "POST /api/v1/tokens",
    "/",
    "/favicon.ico",
    "/api/v1/openapi.json",
    "/api/v1/hello",
    "GET /api/v1/session",
    "POST /api/v1/session",
    "DELETE /api/v1/session",
    "/api/v1/overview",
];

fn unlisted(rows: &[Row]) -> Vec<String> {
    let table = rbackup::server::route_table().into_iter();
    let is_listed = |(method, path): &(String, String)| {
        let whole = format!("{method} {path}");
        rows.iter().any(|row| row.0 == method && row.1 == path)
            || WITHOUT.iter().any(|known| *known == path || *known == whole)
    };
    table.filter(|route| !is_listed(route)).map(|(method, path)| format!("{method} {path}")).collect()
}

#[test]
fn every_route_says_which_ids_it_takes() {
    assert_eq!(unlisted(&ROWS), [""; 0]);
    assert_eq!(unlisted(&ROWS[1..]), ["GET /list/files"], "planted: a route that says nothing");
}

/// What anna has, as somebody who may sees it.
fn belongings(house: &House, anna: &Member) -> Value {
    let list = |path: &str| {
        let mut listed = house.curl(path).session(&anna.session).send().expect(200).json();
        if let Some(rows) = listed.as_array_mut() {
            rows.iter_mut().filter_map(Value::as_object_mut).for_each(|row| drop(row.remove("last_used")));
        }
        listed
    };
    let repo = house.curl("/restic/annas/data/").args(["-u", &format!("anna:{}", anna.password)]).send().expect(200);
    json!([
        list("/list/files"),
        list("/list/devices"),
        list("/api/v1/sessions"),
        list("/api/v1/tokens"),
        list("/api/v1/invites"),
        repo.text()
    ])
}

fn ids(house: &House, anna: &Member) -> BTreeMap<&'static str, String> {
    let file = house.put(anna, "/secret plans", b"the content of the secret plans");
    let token = house.token(&anna.session, &json!({"name": "secret token", "scopes": ["admin"]})).0;
    let sessions = house.curl("/api/v1/sessions").session(&anna.session).send().expect(200).json();
    let invited = house.curl("/api/v1/invites").method("POST").session(&anna.session).send().expect(201).json();
    house.secret(invited["invite"].as_str().expect("a code"));
    let object = sha256_hex(b"x");
    let basic = format!("anna:{}", anna.password);
    let post = |path: &str| house.curl(path).method("POST").args(["-u", &basic]);
    post("/restic/annas/?create=true").send().expect(200);
    post(&format!("/restic/annas/data/{object}")).data(b"x").send().expect(200);
    BTreeMap::from([
        ("{file}", file_id(&file).to_string()),
        ("{version}", newest(&file).to_string()),
        ("{token}", token),
        ("{session}", sessions[0]["id"].as_str().expect("an id").to_owned()),
        ("{invite}", invited["id"].as_str().expect("an id").to_owned()),
        ("{object}", object),
    ])
}

#[test]
fn ids_of_another_account_open_nothing_on_any_route() {
    let house = House::start();
    let (anna, bert) = (house.member("anna", "annas"), house.member("bert", "berts"));
    let ids = ids(&house, &anna);
    let before = belongings(&house, &anna);
    let (_, admin) = house.token(&bert.session, &json!({"name": "x", "scopes": ["admin"]}));
    let basic = |password: &str| vec!["-u".to_owned(), format!("bert:{password}")];
    let presented = [
        ("session", vec!["-H".to_owned(), format!("RBackup-Session-Pass: {}", bert.session)]),
        ("a token for all", basic(&admin)),
        ("password", basic(&bert.password)),
    ];
    for Row(method, route, query, allowed) in &ROWS {
        let mut asked = (*query).to_owned();
        ids.iter().for_each(|(name, id)| asked = asked.replace(name, id));
        let (path, is_restic) =
            if route.starts_with("/restic/") { (asked, true) } else { (format!("{route}{asked}"), false) };
        for (what, words) in &presented {
            // Restic knows no sessions, and an account's files no passwords.
            let is_known = match *what {
                "session" => !is_restic,
                "password" => is_restic || path.starts_with("/api/v1/sessions") || path.starts_with("/api/v1/tokens"),
                _ => true,
            };
            let curl =
                if *method == "HEAD" { house.curl(&path).args(["-I"]) } else { house.curl(&path).method(method) };
            let curl = if ["POST", "PUT"].contains(method) { curl.data(b"x") } else { curl };
            let answer = curl.args(words).send();
            let seen = answer.status;
            assert!(!is_known || allowed.contains(&seen), "{method} {path} with {what}: {seen} {}", answer.text());
            assert!(is_known || seen == 401 || seen == 403, "{method} {path} with {what}: {seen} {}", answer.text());
            let told = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
            assert!(!told.contains("secret plans"), "{method} {path} with {what}: {told}");
        }
    }
    assert_eq!(belongings(&house, &anna), before, "nothing of hers has changed");
    assert_eq!(house.get(&anna, 1), b"the content of the secret plans");
}
