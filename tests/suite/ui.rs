//! What the server answers to a browser: the page and its parts, the cookie, and what is refused to everybody else's page.

use super::support::House;
use super::support::api::Way;
use serde_json::Value;

const POLICY_PARTS: [&str; 5] =
    ["default-src 'none'", "script-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"];

#[test]
fn the_page_and_its_parts_come_from_the_binary() {
    let house = House::start();
    let page = house.curl("/").send().expect(200);
    let policy = page.header("Content-Security-Policy").expect("a policy").to_owned();
    for part in POLICY_PARTS {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("Cache-Control"), Some("no-cache"));
    let text = String::from_utf8(page.body.clone()).expect("text");
    let script = text.split('"').find(|word| word.ends_with("/app.js")).expect("the page names its script").to_owned();
    let part = house.curl(&script).send().expect(200);
    assert!(part.header("Cache-Control").is_some_and(|caching| caching.contains("immutable")));
    assert_eq!(part.header("Content-Type"), Some("text/javascript; charset=utf-8"));
    let etag = part.header("ETag").expect("a tag").to_owned();
    let again = house.curl(&script).header("If-None-Match", &etag).send().expect(304);
    assert!(again.body.is_empty());
    let packed = house.curl(&script).header("Accept-Encoding", "br, gzip").send().expect(200);
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    assert!(packed.body.len() < part.body.len());
    assert_ne!(packed.header("ETag"), Some(etag.as_str()));
    house.curl("/ui/0000000000000000/app.js").send().expect(404);
    house.curl(&script.replace("app.js", "../Cargo.toml")).send().expect(404);
    house.curl("/").method("POST").send().expect(405);
}

fn sign_in(house: &House, name: &str) -> String {
    let origin = house.url().to_owned();
    let body =
        serde_json::json!({"username": name, "password": format!("the password of {name}"), "device_id": "a browser"});
    let curl = house.curl("/api/v1/session").header("Content-Type", "application/json").header("Origin", &origin);
    let answer = curl.header("RBackup-UI", "1").data(body.to_string().as_bytes()).send().expect(201);
    let cookie = answer.header("Set-Cookie").expect("a cookie").to_owned();
    assert!(
        cookie.starts_with("rbackup=") && cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "attributes"
    );
    let pair = cookie.split(';').next().unwrap_or_default().to_owned();
    house.secret(pair.trim_start_matches("rbackup="));
    assert!(
        !String::from_utf8_lossy(&answer.body).contains(pair.trim_start_matches("rbackup=")),
        "no script can read it"
    );
    pair
}

#[test]
fn a_cookie_opens_the_interfaces_routes_and_no_others() {
    let house = House::start();
    let ann = house.member("ann", "laptop");
    let file = house.put(&ann, "/f", b"content");
    let cookie = sign_in(&house, "ann");
    let shown = house.curl("/api/v1/session").header("Cookie", &cookie).send().expect(200).json();
    assert_eq!(shown, serde_json::json!({"account": "ann", "browser": "a browser"}));
    for path in ["/api/v1/overview", "/api/v1/repos", "/api/v1/folder?device_id=laptop", "/api/v1/search?q=f"] {
        house.curl(path).header("Cookie", &cookie).send().expect(200);
        house.curl(path).send().expect(401);
    }
    for path in ["/list/files", "/list/devices", "/download?file_version_id=1"] {
        house.curl(path).header("Cookie", &cookie).send().expect(401);
    }
    let secret = cookie.trim_start_matches("rbackup=");
    house.list_devices(secret).expect(401);
    // The device's own session goes on, and its own header opens the interface's routes too.
    house.files(&ann);
    house.curl("/api/v1/overview").session(&ann.session).send().expect(200);
    assert_eq!(house.list_devices(&ann.session).expect(200).json(), serde_json::json!(["laptop"]));
    let id = file["id"].as_u64().expect("an id");
    let versions = house.curl(&format!("/api/v1/versions?file_id={id}")).header("Cookie", &cookie).send().expect(200);
    assert_eq!(versions.json()["versions"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_change_needs_the_interfaces_own_page() {
    let house = House::start();
    let ann = house.member("ann", "laptop");
    house.put(&ann, "/f", b"content");
    let cookie = sign_in(&house, "ann");
    let url = house.url().to_owned();
    let remove = |headers: &[(&str, &str)]| {
        let curl = house.curl("/api/v1/version?file_version_id=1").method("DELETE").header("Cookie", &cookie);
        headers.iter().fold(curl, |curl, (name, value)| curl.header(name, value)).send()
    };
    remove(&[]).expect(403);
    remove(&[("Origin", &url)]).expect(403);
    remove(&[("RBackup-UI", "1")]).expect(403);
    remove(&[("RBackup-UI", "1"), ("Origin", "http://evil.example")]).expect(403);
    assert_eq!(house.files(&ann).len(), 1, "nothing was changed");
    remove(&[("RBackup-UI", "1"), ("Origin", &url)]).expect(200);
    let out = house.curl("/api/v1/session").method("DELETE").header("Cookie", &cookie);
    let out = out.header("RBackup-UI", "1").header("Origin", &url).send().expect(204);
    assert!(
        out.header("Set-Cookie").is_some_and(|cookie| cookie.starts_with("rbackup=;") && cookie.contains("Max-Age=0"))
    );
    house.curl("/api/v1/overview").header("Cookie", &cookie).send().expect(401);
    house.files(&ann);
}

#[test]
fn bad_questions_get_a_sentence() {
    let house = House::start();
    let ann = house.member("ann", "laptop");
    let bob = house.member("bob", "phone");
    house.put(&bob, "/secret of bob", b"x");
    for (path, status) in [
        ("/api/v1/folder", 400),
        ("/api/v1/folder?device_id=nobody", 404),
        ("/api/v1/folder?device_id=phone", 404),
        ("/api/v1/folder?device_id=laptop&folder=x", 400),
        ("/api/v1/folder?device_id=laptop&at=soon", 400),
        ("/api/v1/folder?device_id=laptop&sort=colour", 400),
        ("/api/v1/folder?device_id=laptop&removed=maybe", 400),
        ("/api/v1/folder?device_id=laptop&limit=0", 400),
        ("/api/v1/folder?device_id=laptop&limit=1001", 400),
        ("/api/v1/folder?device_id=laptop&cursor=%21", 400),
        ("/api/v1/folder?device_id=laptop&cursor=AA", 400),
        ("/api/v1/versions?file_id=1", 404),
        ("/api/v1/versions?file_id=x", 400),
        ("/api/v1/search?q=", 400),
        ("/api/v1/nothing", 404),
    ] {
        let answer = house.curl(path).session(&ann.session).send().expect(status).json();
        assert!(answer["error"].as_str().is_some_and(|sentence| sentence.ends_with('.')), "{path}: {answer}");
    }
    let found = house.curl("/api/v1/search?q=secret").session(&ann.session).send().expect(200).json();
    assert_eq!(found["matches"], Value::Array(Vec::new()), "another account's names are not found");
    let hello = house.curl("/api/v1/hello").send().expect(200).json();
    assert_eq!(hello["first_run"], false);
    let elsewhere = house.curl("/api/v1/hello").header("Host", "nas.example:3369").send().expect(200).json();
    assert_eq!(elsewhere["setup_code"], false, "it is of no use any more");
    house.register(Way::Form, "carl", "a long password").expect(201);
}

#[test]
fn a_fresh_server_says_that_it_is_fresh() {
    let house = House::start();
    let hello = house.curl("/api/v1/hello").send().expect(200).json();
    assert_eq!(hello["first_run"], true);
    assert_eq!(hello["registration"], "open");
    assert_eq!(hello["setup_code"], false, "somebody at this machine needs none");
    let elsewhere = house.curl("/api/v1/hello").header("Host", "nas.example:3369").send().expect(200).json();
    assert_eq!(elsewhere["setup_code"], true);
    let described = house.curl("/api/v1/openapi.json").send().expect(200).json();
    assert_eq!(described["openapi"], "3.1.0");
}

#[test]
fn a_preview_is_what_its_bytes_are_and_nothing_that_runs() {
    let house = House::start();
    let ann = house.member("ann", "laptop");
    let shown = |version: u64, range: &str| {
        let curl = house.curl(&format!("/api/v1/preview?file_version_id={version}")).session(&ann.session);
        curl.header("Range", range).send()
    };
    for (name, content, media_type) in [
        ("/page.html", &b"%PDF-1.7 <script>alert(1)</script>"[..], "application/pdf"),
        ("/movie.html", b"\0\0\0 ftypisom<script>", "video/mp4"),
        ("/song.html", b"ID3\x04 <script>", "audio/mpeg"),
    ] {
        let file = house.put(&ann, name, content);
        let answer = shown(crate::support::api::newest(&file), "bytes=2-5").expect(206);
        assert_eq!(answer.body, &content[2..6]);
        assert_eq!(answer.header("Content-Type"), Some(media_type));
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        let policy = answer.header("Content-Security-Policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert_eq!(policy.contains("sandbox"), media_type != "application/pdf", "{policy}");
    }
    for content in [&b"<html><script>alert(1)</script>"[..], b"<svg onload='alert(1)'/>", b""] {
        let file = house.put(&ann, "/innocent.pdf", content);
        shown(crate::support::api::newest(&file), "bytes=0-").refused(404, "no_preview");
    }
}
