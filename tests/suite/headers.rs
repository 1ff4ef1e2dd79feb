//! What every answer carries against web pages, whatever is asked and however it ends.

use crate::support::House;
use crate::support::api::Way::Form;

const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// Every header with what it has to say.
const WANTED: [(&str, &str); 6] = [
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
];

#[test]
fn every_answer_tells_browsers_to_do_nothing_with_it() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let put = house.put(&member, "/page.html", b"<script>alert(1)</script>");
    let version = put["versions"][0]["version"].clone();
    let asks = [
        ("GET", "/status".to_owned(), 200),
        ("GET", "/api/v1/status".to_owned(), 200),
        ("GET", "/list/files".to_owned(), 200),
        ("GET", format!("/download?file_version_id={version}"), 200),
        ("GET", "/download?file_version_id=77".to_owned(), 404),
        ("GET", "/nothing".to_owned(), 404),
        ("DELETE", "/status".to_owned(), 405),
        ("OPTIONS", "/upload".to_owned(), 405),
        ("GET", "/account/login".to_owned(), 400),
        ("GET", "/restic/r/config".to_owned(), 401),
        ("POST", "/restic/r/keys/".to_owned(), 405),
    ];
    for (method, path, status) in asks {
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let asked = house.curl(&path).method(method).session(&member.session).args([version]);
            let answer = asked.header("Access-Control-Request-Method", "PUT").send().expect(status);
            for (name, value) in WANTED {
                assert_eq!(answer.header(name), Some(value), "{method} {path}: {name}");
            }
            let open = answer.headers.iter().find(|(name, _)| name.starts_with("access-control-"));
            assert_eq!(open, None, "{method} {path}: CORS is closed");
            for name in ["Strict-Transport-Security", "Server", "Set-Cookie"] {
                assert_eq!(answer.header(name), None, "{method} {path}");
            }
        }
    }
    let made = house.register(Form, "bert", "correct horse").expect(201);
    assert_eq!(made.header("Content-Security-Policy"), Some(POLICY));
}

#[test]
fn a_preflight_of_another_page_is_refused() {
    let house = House::start();
    let asked = house.curl("/upload?file_path=x").method("OPTIONS").header("Origin", "http://evil.example");
    let answer = asked.header("Access-Control-Request-Method", "PUT").send().refused(403, "foreign_origin");
    assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control-")));
}
