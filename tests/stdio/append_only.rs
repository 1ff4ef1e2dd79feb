//! Append-only, in every way in: over stdio without and with a server, over HTTP under both names. Cases 15, 18, 28–30.

use super::listening::Listening;
use super::relay::Relay;
use super::rights::{is_append_only, prepare};
use super::site::Site;

#[test]
fn over_stdio_without_a_server() {
    let site = Site::new("append-stdio");
    let (full, limited) = (site.over_stdio("photos", ""), site.over_stdio("photos", "--append-only"));
    prepare(&site, &full);
    is_append_only(&site, &full, &limited).unwrap_or_else(|why| panic!("{why}"));
    site.wait_until_free();
}

#[test]
fn over_stdio_beside_a_server_and_a_pump_that_loses_the_flag_is_seen() {
    let site = Site::new("append-served");
    let server = site.serve();
    let (full, limited) = (site.over_stdio("photos", ""), site.over_stdio("photos", "--append-only"));
    prepare(&site, &full);
    is_append_only(&site, &full, &limited).unwrap_or_else(|why| panic!("{why}"));
    let lossy = Relay::saying(&site.data(), |said| said.replace("\"append_only\":true", "\"append_only\":false"));
    let seen = is_append_only(&site, &full, &limited);
    assert!(seen.as_ref().is_err_and(|why| why.contains("was not refused")), "the planted loss was not seen: {seen:?}");
    drop(lossy);
    assert_eq!(site.holder(), None, "nobody else was started");
    server.stop().expect("it ends");
}

#[test]
fn a_pump_that_says_nothing_of_rights_is_refused() {
    let site = Site::new("append-silent");
    let _server = site.serve();
    site.over_stdio("photos", "").must(&["init"]);
    let _relay = Relay::saying(&site.data(), |said| said.replace("\"append_only\":true,", ""));
    let ended = site.over_stdio("photos", "--append-only").run(&["snapshots"]);
    assert_ne!(ended.code, Some(0));
    // Asked without restic, which may end before it repeats what its pump said.
    let words = ["serve", "restic", "--stdio", "--append-only", "photos"];
    let pump = site.program().args(words).output().expect("the pump runs");
    let said = String::from_utf8_lossy(&pump.stderr);
    assert!(!pump.status.success() && said.contains("lacks something"), "{said}");
    assert!(pump.stdout.is_empty(), "stdout is HTTP/2's alone");
}

#[test]
fn over_http_as_rclone_and_as_rest_server() {
    for name in ["rbackup", "rest-server"] {
        let site = Site::new("append-http");
        let start = |append_only: bool| {
            let data = site.data();
            let mut words: Vec<&str> = match name {
                "rbackup" => vec!["serve", "restic", "--addr", "127.0.0.1:0"],
                _ => vec!["--no-auth", "--listen", "127.0.0.1:0", "--path"],
            };
            let data = data.to_string_lossy();
            words.push(&data);
            words.extend(append_only.then_some("--append-only"));
            Listening::start(&site, name, &words)
        };
        let open = start(false);
        prepare(&site, &site.over_http(&open.url("/photos/")));
        open.stop();
        let limited = start(true);
        // The way around is the socket of whoever holds the store, which root may use without limits.
        let (full, limited_http) = (site.over_stdio("photos", ""), site.over_http(&limited.url("/photos/")));
        is_append_only(&site, &full, &limited_http).unwrap_or_else(|why| panic!("{name}: {why}"));
        rows(&limited);
        limited.stop();
    }
}

/// The requests that restic never makes.
fn rows(server: &Listening) {
    let absent = "0".repeat(64);
    let lock = server.put("/photos/locks/", b"a lock");
    let rows: [(&str, &str, String, &[u8], u16); 9] = [
        ("15", "DELETE", "/photos/config".to_owned(), b"", 403),
        ("18", "POST", "/photos/config".to_owned(), b"another", 403),
        ("18", "POST", "/absent/config".to_owned(), b"one", 200),
        ("29", "DELETE", format!("/photos/data/{absent}"), b"", 403),
        ("28", "DELETE", format!("/photos/index/{absent}"), b"", 403),
        ("30", "POST", lock.clone(), b"another lock", 403),
        ("30", "DELETE", lock.clone(), b"", 200),
        ("30", "GET", lock, b"", 404),
        ("6", "DELETE", "/photos/".to_owned(), b"", 403),
    ];
    for (case, method, path, body, status) in rows {
        assert_eq!(server.ask(method, &path, body).status, status, "case {case}: {method} {path}");
    }
}
