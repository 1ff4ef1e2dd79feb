//! Everything that has a size, too large: refused with a 4xx or by closing, nothing changed, and no memory kept.

use crate::support::raw::Raw;
use crate::support::{House, Member};
use base64::Engine as _;

/// What may stay in the server's memory of all of it.
const MEMORY_BYTES_MAX: u64 = 16 << 20;
const MEBIBYTE: usize = 1 << 20;

fn resident(house: &House) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", house.pid())).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// A head as text, and a body.
type Sent = (&'static str, String, Vec<u8>);

fn head(line: &str, fields: &str, body: &[u8]) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n{fields}\r\n", body.len())
}

fn with_body(what: &'static str, line: &str, fields: &str, body: Vec<u8>) -> Sent {
    (what, head(line, fields, &body), body)
}

/// Heads that are too long, one way or the other.
fn heads(member: &Member) -> Vec<Sent> {
    let long = "a".repeat(MEBIBYTE);
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("anna:{}", "x".repeat(200_000)));
    let own = format!("RBackup-Session-Pass: {}\r\n", member.session);
    let of = |what, line: &str, fields: &str| with_body(what, line, fields, Vec::new());
    vec![
        of("a path", &format!("GET /{long}"), ""),
        of("a query", &format!("GET /list/files?device_id={long}"), &own),
        of("a method", &long, ""),
        of("a header", "GET /status", &format!("X: {long}\r\n")),
        of("a header's name", "GET /status", &format!("{long}: x\r\n")),
        of("a thousand headers", "GET /status", &"X: y\r\n".repeat(1000)),
        of("a cookie", "GET /api/v1/overview", &format!("Cookie: {}\r\n", "rbackup=x; ".repeat(50_000))),
        of("a session", "GET /list/files", &format!("RBackup-Session-Pass: rbs_{}\r\n", "A".repeat(200_000))),
        of("a bearer", "GET /list/files", &format!("Authorization: Bearer rbt_{}\r\n", "A".repeat(200_000))),
        of("basic credentials", "GET /restic/r/config", &format!("Authorization: Basic {basic}\r\n")),
        of("a device", "GET /list/files", &format!("{own}RBackup-Device: {}\r\n", "d".repeat(200_000))),
        of(
            "a repository",
            &format!("POST /restic/{}?create=true", "a/".repeat(20_000)),
            &format!("Authorization: Basic {basic}\r\n"),
        ),
        of("forwarded addresses", "GET /list/files", &format!("X-Forwarded-For: {}\r\n", "10.0.0.1, ".repeat(50_000))),
    ]
}

/// Heads that are fine, with too much behind them.
fn bodies(member: &Member) -> Vec<Sent> {
    let own = format!("RBackup-Session-Pass: {}\r\n", member.session);
    let json = "Content-Type: application/json\r\n";
    let form = format!("{own}Content-Type: multipart/form-data; boundary=b\r\n");
    let part = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\ny\r\n";
    let wordy = format!("--b\r\nContent-Disposition: form-data; name=\"file\"\r\n{}\r\n", "X: y\r\n".repeat(100_000));
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let wish = format!("{{\"name\":\"x\",\"scopes\":[{}\"read\"]}}", "\"read\",".repeat(100_000));
    vec![
        with_body("a form", "POST /account/login", "", vec![b'a'; 8 * MEBIBYTE]),
        with_body("fields of a form", "POST /account/login", "", "a=b&".repeat(200_000).into_bytes()),
        with_body(
            "a password",
            "POST /account/register",
            "",
            format!("username=eve&password={}", "x".repeat(3000)).into_bytes(),
        ),
        with_body(
            "a password of megabytes",
            "POST /account/register",
            "",
            format!("username=eve&password={}", "x".repeat(MEBIBYTE)).into_bytes(),
        ),
        with_body(
            "a name",
            "POST /account/register",
            "",
            format!("password=correct+horse&username={}", "x".repeat(5000)).into_bytes(),
        ),
        with_body(
            "JSON",
            "POST /account/login",
            json,
            format!("{{\"username\":\"{}\"}}", "x".repeat(4 * MEBIBYTE)).into_bytes(),
        ),
        with_body("depth of JSON", "POST /account/login", json, deep.into_bytes()),
        with_body("a list of scopes", "POST /api/v1/tokens", &format!("{own}{json}"), wish.into_bytes()),
        with_body("parts", "PUT /upload?file_path=/x", &form, part.repeat(50_000).into_bytes()),
        with_body("headers of a part", "PUT /upload?file_path=/x", &form, wordy.into_bytes()),
        with_body(
            "a boundary",
            "PUT /upload?file_path=/x",
            &format!("{own}Content-Type: multipart/form-data; boundary={}\r\n", "b".repeat(5000)),
            b"x".to_vec(),
        ),
        with_body("a path of a file", &format!("PUT /upload?file_path=/{}", "x".repeat(30_000)), &own, b"x".to_vec()),
        with_body(
            "a recovery code",
            "POST /api/v1/account/recover",
            "",
            format!("username=anna&new_password=correct+horse&recovery_code={}", "A".repeat(60_000)).into_bytes(),
        ),
    ]
}

#[test]
fn everything_that_is_too_large_is_refused_and_leaves_nothing() {
    let mut house = House::empty();
    let file = house.beside("rbackup.toml");
    std::fs::write(&file, "[limits]\nrefused_calls_per_address = 0\nfailed_sign_ins_per_address = 0\n").expect("write");
    house.open_with(&["--config", &file.to_string_lossy()]);
    let anna = house.member("anna", "laptop");
    house.put(&anna, "/kept", b"kept");
    let before = (house.files(&anna), house.curl("/api/v1/tokens").session(&anna.session).send().expect(200).json());
    let mut memory = 0;
    for round in 0..3 {
        for (what, head, body) in heads(&anna).into_iter().chain(bodies(&anna)) {
            let answer = Raw::to(&house).say(head.as_bytes()).say(&body).answer();
            assert!(
                answer.status == 0 || (400..500).contains(&answer.status),
                "{what}: {} {}",
                answer.status,
                answer.text()
            );
        }
        // What the server keeps of the first round it keeps once.
        if round == 0 {
            memory = resident(&house);
        }
    }
    let tokens = house.curl("/api/v1/tokens").session(&anna.session).send().expect(200).json();
    assert_eq!((house.files(&anna), tokens), before, "nothing was changed");
    let begun = std::time::Instant::now();
    while resident(&house) > memory + MEMORY_BYTES_MAX {
        assert!(begun.elapsed().as_secs() < 60, "{memory} became {}", resident(&house));
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    eprintln!("resident {} then {} KiB", memory >> 10, resident(&house) >> 10);
}

#[test]
fn a_length_that_is_only_claimed_costs_nothing() {
    let house = House::start();
    let anna = house.member("anna", "laptop");
    let before = resident(&house);
    let pass = ("RBackup-Session-Pass", anna.session.as_str());
    let mut held: Vec<Raw> = Vec::new();
    for (line, length) in [
        ("PUT /upload?file_path=/x", "999999999999999"),
        ("POST /account/login", "65536"),
        ("POST /restic/r/config", "999999999999"),
    ] {
        for _ in 0..20 {
            let mut raw = Raw::to(&house);
            raw.head(line, &[("Content-Length", length), pass]).say(b"x");
            held.push(raw);
        }
    }
    house.put(&anna, "/served", b"meanwhile");
    let now = resident(&house);
    assert!(now < before + 4 * MEMORY_BYTES_MAX, "sixty claims of a petabyte: {before} then {now}");
    held.into_iter().for_each(Raw::cut);
    house.put(&anna, "/served", b"afterwards");
}

#[test]
fn a_range_of_many_ranges_is_not_worked_through() {
    let house = House::start();
    let anna = house.member("anna", "laptop");
    house.put(&anna, "/kept", &[7; 100_000]);
    let many = format!("bytes={}0-0", "0-,".repeat(1000));
    let answer = house.curl("/download?file_version_id=1").session(&anna.session).header("Range", &many).send();
    assert!(matches!(answer.status, 200 | 206 | 416), "{}", answer.status);
    assert!(answer.body.len() <= 100_000, "never more than the file: {}", answer.body.len());
}
