//! Pages of other sites that use somebody's browser: with its cookie, and by driving past.

use crate::support::raw::Raw;
use crate::support::{House, Member};
use serde_json::json;

/// Routes that everybody may ask; the others need something that is presented.
const OPEN: [&str; 11] = [
    "/",
    "/favicon.ico",
    "/status",
    "/account/register",
    "/account/login",
    "/account/session/rotate",
    "/api/v1/status",
    "/api/v1/hello",
    "/api/v1/openapi.json",
    "/api/v1/account/password",
    "/api/v1/account/recover",
];

fn home() -> (House, Member, String) {
    let mut house = House::empty();
    let file = house.beside("rbackup.toml");
    std::fs::write(&file, "[limits]\nrefused_calls_per_address = 0\n").expect("write the config");
    house.open_with(&["--config", &file.to_string_lossy()]);
    let anna = house.member("anna", "laptop");
    house.put(&anna, "/f", b"kept");
    let body = json!({"username": "anna", "password": anna.password, "device_id": "a browser"});
    let page = house.json("POST", "/api/v1/session", &body).header("Origin", house.url()).header("RBackup-UI", "1");
    let answer = page.send().expect(201);
    let cookie = answer.header("Set-Cookie").and_then(|text| text.split(';').next()).expect("a cookie").to_owned();
    house.secret(cookie.trim_start_matches("rbackup="));
    (house, anna, cookie)
}

/// All routes that need something, with a query that would be answered.
fn guarded() -> Vec<(String, String)> {
    let query = "?file_id=1&file_version_id=1&id=all&device_id=laptop&q=f&file_path=/x&expires_days=1";
    let table = rbackup::server::route_table().into_iter();
    let own = table.filter(|(_, path)| !OPEN.contains(&path.as_str()) && !path.starts_with("/restic/"));
    own.filter(|route| *route != ("POST".to_owned(), "/api/v1/session".to_owned()))
        .map(|(method, path)| (method, format!("{path}{query}")))
        .collect()
}

#[test]
fn another_page_does_nothing_with_the_cookie_on_any_route() {
    let (house, anna, cookie) = home();
    let port = house.address().rsplit(':').next().unwrap_or_default().to_owned();
    let pages = [
        vec![("Origin", "http://evil.example".to_owned())],
        vec![("Origin", "null".to_owned())],
        // Another service of this machine is another site, whatever else it is.
        vec![("Origin", "http://127.0.0.1:1".to_owned()), ("Sec-Fetch-Site", "same-site".to_owned())],
        vec![("Origin", format!("https://127.0.0.1:{port}")), ("Sec-Fetch-Site", "same-site".to_owned())],
        vec![("Origin", format!("http://localhost:{port}"))],
        vec![("Sec-Fetch-Site", "cross-site".to_owned())],
        vec![("Origin", "http://evil.example".to_owned()), ("RBackup-UI", "1".to_owned())],
    ];
    let routes = guarded();
    assert!(routes.len() > 30, "the table has more: {}", routes.len());
    for (method, path) in &routes {
        for page in &pages {
            let asked = house.curl(path).method(method).header("Cookie", &cookie);
            let answer = page.iter().fold(asked, |asked, (name, value)| asked.header(name, value)).send();
            answer.refused(403, "foreign_origin");
        }
        // An old browser says nothing of the page. What it does not say, no change is done for.
        if method != "GET" {
            let answer = house.curl(path).method(method).header("Cookie", &cookie).send();
            let expected = if path.starts_with("/api/v1/") { (403, "foreign_origin") } else { (401, "no_session") };
            assert_eq!((answer.status, answer.code().as_str()), expected, "{method} {path}");
        }
    }
    assert_eq!(house.files(&anna).len(), 1, "nothing was changed");
    let seen = house.curl("/api/v1/overview").header("Cookie", &cookie).send();
    seen.expect(200);
}

#[test]
fn two_origins_or_two_hosts_are_one_too_many() {
    let (house, _, cookie) = home();
    let (own, address) = (house.url().to_owned(), house.address().to_owned());
    let ask = |fields: &str| {
        let head = format!("GET /api/v1/overview HTTP/1.1\r\nCookie: {cookie}\r\nConnection: close\r\n{fields}\r\n");
        Raw::to(&house).say(head.as_bytes()).answer().status
    };
    let (host, origin) = (format!("Host: {address}\r\n"), format!("Origin: {own}\r\n"));
    let (foreign_host, foreign_origin) = ("Host: evil.example\r\n", "Origin: http://evil.example\r\n");
    assert_eq!(ask(&format!("{host}{origin}")), 200);
    for fields in [
        format!("{host}{origin}{foreign_origin}"),
        format!("{host}{foreign_origin}{origin}"),
        format!("{host}{foreign_host}{origin}"),
        format!("{foreign_host}{host}{origin}"),
        format!("{foreign_host}{origin}"),
        format!("{host}{foreign_origin}"),
        // A page that is foreign by nothing but its name.
        format!("{foreign_host}{foreign_origin}"),
        origin.clone(),
        String::new(),
    ] {
        let status = ask(&fields);
        assert!([400, 403].contains(&status), "{fields:?}: {status}");
    }
}

#[test]
fn who_drives_past_makes_no_account_and_no_session() {
    let house = House::start();
    let anna = house.member("anna", "laptop");
    let fields = "username=eve&password=correct%20horse&device_id=eve";
    let own = "username=anna&password=the%20password%20of%20anna&device_id=eve";
    for path in [format!("/account/register?{fields}"), format!("/account/login?{own}")] {
        // An image, a frame, a prefetched link: the browser says whose they are.
        for site in ["cross-site", "same-site"] {
            for mode in ["no-cors", "navigate", "cors", "websocket"] {
                let asked = house.curl(&path).header("Sec-Fetch-Site", site).header("Sec-Fetch-Mode", mode);
                asked.header("Referer", "http://evil.example/").send().refused(403, "foreign_origin");
            }
        }
        // A form that posts itself, as text so that no browser asks first.
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let (path, body) = path.split_once('?').expect("a query");
            let asked = house.curl(path).header("Content-Type", kind).header("Origin", "http://evil.example");
            asked.data(body.as_bytes()).send().refused(403, "foreign_origin");
        }
    }
    house.login(crate::support::api::Way::Form, "x", "eve", "correct horse").refused(401, "bad_credentials");
    assert_eq!(house.list_devices(&anna.session).json(), json!(["laptop"]), "no device was made");
}

#[test]
fn no_answer_repeats_the_host_or_leads_elsewhere() {
    let (house, anna, _) = home();
    for path in [
        "/",
        "/status",
        "/api/v1/hello",
        "/api/v1/openapi.json",
        "/nothing",
        "/list/files",
        "/restic/r/config",
        "/download",
    ] {
        for (name, value) in [
            ("Host", "evil.example"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Proto", "https"),
            ("X-Original-URL", "/list/files"),
            ("X-Rewrite-URL", "/list/files"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("Forwarded", "host=evil.example"),
        ] {
            let plain = house.curl(path).session(&anna.session).send();
            let answer = house.curl(path).session(&anna.session).header(name, value).send();
            assert_eq!(answer.status, plain.status, "{path} {name}");
            assert_eq!(answer.header("Location"), None, "{path} {name}");
            let all = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
            assert!(!all.contains("evil.example"), "{path} {name}: {all}");
        }
    }
    let absolute = house.curl("/list/files").args(["--request-target", "http://evil.example/list/files"]);
    absolute.send().refused(401, "no_session");
    let listed = house.curl("/").session(&anna.session).args(["--request-target", "http://evil.example/list/files"]);
    assert!(!listed.send().text().contains("evil.example"));
}
