//! Listeners: ports, unix sockets, base URLs, TLS, HTTP/1.1 and HTTP/2. Cases 87 to 92 and 102.

use super::listening::Listening;
use super::site::Site;
use std::process::Command;

fn rows_of_88(server: &Listening, host: &[&str]) {
    for (method, path, status) in [
        ("POST", "/repo1/?create=true", 200),
        ("GET", "/repo1/", 405),
        ("GET", "/repo1/config", 200),
        ("GET", "/repo2/config", 404),
    ] {
        if path == "/repo1/config" {
            let made = server.with(host).ask("POST", path, b"config").status;
            assert!([200, 403].contains(&made), "case 88: {made}");
        }
        assert_eq!(server.with(host).ask(method, path, b"").status, status, "case 88: {method} {path}");
    }
}

#[test]
fn a_port_any_port_and_the_same_one_again() {
    let site = Site::new("ports");
    let server = Listening::start(&site, "rbackup", &["serve", "restic", "--addr", "127.0.0.1:0", ""]);
    rows_of_88(&server, &[]);
    let address = server.url("").replace("http://", "");
    assert!(!address.ends_with(":0"), "case 87: {address}");
    server.stop();
    for _ in 0..2 {
        let server = Listening::start(&site, "rbackup", &["serve", "restic", "--addr", &address, ""]);
        assert_eq!(server.url(""), format!("http://{address}"), "case 87");
        rows_of_88(&server, &[]);
        server.stop();
    }
    let server = Listening::start_in(&site, "rbackup", &["serve", "restic", ""], &[("RCLONE_ADDR", "localhost:0")]);
    assert!(server.url("").starts_with("http://127.0.0.1:"), "case 102");
    server.stop();
}

#[test]
fn two_addresses_and_a_unix_socket_twice() {
    let site = Site::new("unix");
    let path = site.path("http.sock");
    let shown = path.to_string_lossy().into_owned();
    for _ in 0..2 {
        let unix = format!("unix://{shown}");
        let words = ["serve", "restic", "--addr", "127.0.0.1:0", "--addr", &unix, ""];
        let mut server = Listening::start(&site, "rbackup", &words);
        server.says(&format!("Serving restic REST API on {unix}\n"));
        rows_of_88(&server, &[]);
        let server = server.at("http://nonsense", &["--unix-socket", &shown]);
        rows_of_88(&server, &[]);
        rows_of_88(&server, &["-H", "Host: !!nonsense!!"]);
        server.stop();
        assert!(!path.exists(), "case 87: its file goes with it");
    }
    let data = site.path("other").to_string_lossy().into_owned();
    for _ in 0..2 {
        let words = ["--no-auth", "--path", &data, "--listen", &format!("unix:{shown}")];
        let mut server =
            Listening::start(&site, "rest-server", &words).at("http://localhost", &["--unix-socket", &shown]);
        server.says(&format!("start server on {shown}\n"));
        rows_of_88(&server, &[]);
        server.stop();
    }
}

#[test]
fn below_a_base_url_and_nowhere_else() {
    let site = Site::new("base");
    for base in ["x", "/x", "/x/"] {
        let words = ["serve", "restic", "--addr", "127.0.0.1:0", "--baseurl", base, "photos"];
        let server = Listening::start(&site, "rbackup", &words);
        assert!(server.url("").ends_with("/x"), "{}", server.url(""));
        rows_of_88(&server, &[]);
        server.stop();
    }
    let words = ["serve", "restic", "--addr", "127.0.0.1:0", "--baseurl", "x", "photos"];
    let server = Listening::start(&site, "rbackup", &words);
    let root = server.url("").trim_end_matches("/x").to_owned();
    let server = server.at(&root, &[]);
    for path in ["/repo1/config", "/config", "/", "/xx/repo1/config", "/status", "/restic/repo1/config", "/x"] {
        assert_eq!(server.ask("GET", path, b"").status, 404, "case 90: {path}");
    }
    server.stop();
}

#[test]
fn both_protocols_on_one_port_with_and_without_tls() {
    let site = Site::new("tls");
    let (certificate, key) = (site.path("cert.pem"), site.path("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"]).arg(&key).arg("-out");
    let made = openssl.arg(&certificate).output().expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (certificate, key) = (certificate.to_string_lossy().into_owned(), key.to_string_lossy().into_owned());
    let data = site.data().to_string_lossy().into_owned();
    let rclone = ["serve", "restic", "--addr", "127.0.0.1:0", "--cert", &certificate, "--key", &key, &data];
    let rest_server = [
        "--no-auth",
        "--tls",
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
        "--listen",
        "127.0.0.1:0",
        "--path",
        &data,
    ];
    for (name, words) in [("rbackup", &rclone[..]), ("rest-server", &rest_server[..])] {
        let server = Listening::start(&site, name, words);
        let base = server.url("").replace("http://", "https://");
        let server = server.at(&base, &["--cacert", &certificate]);
        for (flag, version) in [("--http1.1", "http/1.1"), ("--http2", "http/2"), ("--tls-max", "http/2")] {
            let words = if flag == "--tls-max" { vec![flag, "1.2"] } else { vec![flag] };
            let answer = server.with(&words).ask("GET", "/repo1/config", b"");
            assert!(answer.status == 404 && answer.head.starts_with(version), "case 92: {flag}: {}", answer.head);
        }
        let old = server.with(&["--tls-max", "1.1"]).ask("GET", "/repo1/config", b"");
        assert_eq!(old.status, 0, "TLS 1.1 is refused");
        let restic = super::restic::Restic::new(
            &site,
            &format!("rest:{}/r-{name}/", server.url("")),
            &["--cacert", &certificate],
        );
        restic.must(&["init"]);
        restic.must(&["backup", &site.tree("tree", 2).to_string_lossy()]);
        restic.must(&["check", "--read-data"]);
        server.stop();
    }
    let server = Listening::start(&site, "rbackup", &["serve", "restic", "--addr", "127.0.0.1:0", &data]);
    for (flag, version) in [("--http1.1", "http/1.1"), ("--http2-prior-knowledge", "http/2")] {
        let answer = server.with(&[flag]).ask("GET", "/repo3/config", b"");
        assert!(answer.status == 404 && answer.head.starts_with(version), "case 91: {}", answer.head);
    }
    server.stop();
}
