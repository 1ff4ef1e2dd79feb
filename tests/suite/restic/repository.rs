//! Cases 1 to 18: making a repository, and its configuration.

use super::{Home, ROOTS, home, play, refused, row};

#[test]
fn cases_1_to_6_a_repository_is_made_and_nothing_else_is_done_to_it() {
    let home = home();
    for root in ROOTS {
        for case in [1, 2] {
            let made = home.get("POST", &format!("{root}?create=true")).expect(200);
            assert!(made.body.is_empty(), "case {case}: {}", made.text());
        }
        home.post(&format!("{root}config"), b"kept").expect(200);
        let rows = [
            row(2, "POST", "?create=true", 200),
            row(3, "POST", "", 400),
            row(3, "POST", "?create=1", 400),
            row(3, "POST", "?create=true&create=true", 400),
            refused(4, "GET", "", "POST"),
            refused(5, "HEAD", "", "POST"),
            refused(5, "PUT", "", "POST"),
            refused(5, "PATCH", "?create=true", "POST"),
            row(6, "DELETE", "", 403),
        ];
        play(&home, root, &rows);
        assert_eq!(home.get("GET", &format!("{root}config")).expect(200).body, b"kept", "case 6: nothing is removed");
    }
}

#[test]
fn cases_7_to_9_paths_and_depth() {
    let home = home();
    let rows = [
        row(7, "POST", "a?create=true", 404),
        row(7, "POST", "a", 404),
        row(7, "GET", "file-5577006791947779410", 404),
        row(8, "GET", "a/b/c/config", 404),
        row(8, "POST", "1/2/3/4/5/6/7/8/?create=true", 200),
        row(8, "POST", "1/2/3/4/5/6/7/8/9/?create=true", 404),
        row(8, "GET", "1/2/3/4/5/6/7/8/9/config", 404),
    ];
    play(&home, "/restic/", &rows);
    for (path, body) in [("a/config", "one"), ("a/b/config", "two"), ("config", "three"), ("a/b/c/config", "four")] {
        home.post(&format!("/restic/{path}"), body.as_bytes()).expect(200);
    }
    for (path, body) in [("a/config", "one"), ("a/b/config", "two"), ("config", "three"), ("a%2Fb%2Fconfig", "two")] {
        assert_eq!(home.get("GET", &format!("/restic/{path}")).expect(200).text(), body, "case 9: {path}");
    }
    for path in ["/restic", "/resticx/config", "/Restic/config"] {
        home.get("GET", path).refused(404, "no_route");
    }
}

#[test]
fn cases_10_to_14_the_configuration_is_written_once() {
    let home = home();
    for root in ROOTS {
        configuration(&home, root);
    }
}

fn configuration(home: &Home, root: &str) {
    play(home, root, &[row(10, "HEAD", "config", 404), row(11, "GET", "config", 404)]);
    let config = format!("{root}config");
    let sent = home.post(&config, b"foobar").expect(200);
    assert!(sent.body.is_empty(), "case 12");
    assert_eq!(home.get("GET", &config).expect(200).body, b"foobar", "case 12");
    let head = home.get("HEAD", &config).expect(200);
    assert_eq!(head.header("Content-Length"), Some("6"), "case 12");
    home.post(&config, b"other").refused(403, "object_exists");
    home.post(&config, b"foobaz").refused(403, "object_exists");
    home.post(&config, b"foobar").expect(200);
    assert_eq!(home.get("GET", &config).expect(200).body, b"foobar", "case 13");
    let part = home.ask("GET", &config).header("Range", "bytes=3-").send().expect(206);
    assert_eq!((part.body.as_slice(), part.header("Content-Range")), (&b"bar"[..], Some("bytes 3-5/6")));
    let rows = [
        refused(14, "PUT", "config", "HEAD, GET, POST, DELETE"),
        row(14, "DELETE", "config", 200),
        row(14, "GET", "config", 404),
        row(14, "DELETE", "config", 200),
        row(14, "GET", "config/", 404),
        row(14, "POST", "config/", 404),
        row(14, "GET", "config/x", 404),
    ];
    play(home, root, &rows);
    home.post(&config, b"another").expect(200);
    assert_eq!(home.get("GET", &config).expect(200).body, b"another", "case 14: free again");
}
