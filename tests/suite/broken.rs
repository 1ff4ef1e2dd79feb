//! What no well-meant client sends: cut connections, bodies without an end, two lengths, heads that are bombs.
//!
//! Each time the same three things: an answer of the contract or a closed connection, nothing kept, and a server that
//! serves the next one.

use crate::support::api::newest;
use crate::support::raw::Raw;
use crate::support::{House, Member, noise, sha256_hex};
use std::time::Duration;

/// A house with one file, and what it lists.
struct Calm {
    house: House,
    member: Member,
    before: Vec<serde_json::Value>,
}

fn calm() -> Calm {
    let house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/kept", &noise(1, 300_000));
    let before = house.files(&member);
    Calm { house, member, before }
}

impl Calm {
    fn upload_head(&self, fields: &[(&str, &str)]) -> Raw {
        let mut raw = Raw::to(&self.house);
        let all = [&[("RBackup-Session-Pass", self.member.session.as_str())], fields].concat();
        raw.head("PUT /upload?file_path=%2Fnew", &all);
        raw
    }

    /// Nothing was kept, the server lives, and the next version id is the one after the last.
    #[track_caller]
    fn is_unchanged(&self) {
        assert_eq!(self.house.files(&self.member), self.before);
        assert_eq!(self.house.get(&self.member, 1), noise(1, 300_000));
        let file = self.house.put(&self.member, "/next", b"x");
        assert_eq!(newest(&file), 2, "no id was used");
    }
}

#[test]
fn a_connection_that_is_cut_in_the_body_leaves_nothing() {
    let calm = calm();
    let body = noise(2, 6 << 20);
    let hash = sha256_hex(&body);
    let length = body.len().to_string();
    for sent in [0, 1, 100_000, 3 << 20, body.len() - 1] {
        let mut raw = calm.upload_head(&[("Content-Length", &length), ("RBackup-File-Hash", &hash)]);
        raw.say(&body[..sent]);
        raw.cut();
        let mut half = calm.upload_head(&[("Content-Length", &length)]);
        half.say(&body[..sent]).end();
        let answer = half.answer();
        assert!([0, 400].contains(&answer.status), "{sent}: {}", answer.status);
    }
    std::thread::sleep(Duration::from_millis(300));
    calm.is_unchanged();
}

#[test]
fn a_chunked_body_without_its_end_leaves_nothing() {
    let calm = calm();
    let chunk = [format!("{:x}\r\n", 200_000).into_bytes(), noise(3, 200_000), b"\r\n".to_vec()].concat();
    for tail in [&b""[..], b"5\r\nab", b"zz\r\n", b"0\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n"] {
        let mut raw = calm.upload_head(&[("Transfer-Encoding", "chunked")]);
        raw.say(&chunk).say(tail).end();
        let answer = raw.answer();
        assert!([0, 400].contains(&answer.status), "{tail:?}: {}", answer.status);
    }
    calm.is_unchanged();
}

#[test]
fn a_multipart_body_that_is_cut_or_has_no_end_leaves_nothing() {
    let calm = calm();
    let part = b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc";
    let hash = format!("\r\n--b\r\nContent-Disposition: form-data; name=\"file-hash\"\r\n\r\n{}", sha256_hex(b"abc"));
    for body in [
        &part[..],
        &[&part[..], hash.as_bytes()].concat(),
        &[&part[..], hash.as_bytes(), b"\r\n--b"].concat(),
        b"--b",
        b"",
    ] {
        let length = body.len().to_string();
        let kind = ("Content-Type", "multipart/form-data; boundary=b");
        let mut raw = calm.upload_head(&[kind, ("Content-Length", &length)]);
        let answer = raw.say(body).answer();
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(!answer.code().is_empty(), "{}", answer.text());
    }
    calm.is_unchanged();
}

#[test]
fn a_field_that_never_ends_is_given_up_at_its_bound() {
    let calm = calm();
    let kind = ("Content-Type", "multipart/form-data; boundary=b");
    let starts: [&[u8]; 4] = [
        b"--b\r\nContent-Disposition: form-data; name=\"file-hash\"\r\n\r\n",
        b"--b\r\nX-Long: ",
        b"padding before the first boundary ",
        b"--b",
    ];
    for start in starts {
        let mut raw = calm.upload_head(&[kind, ("Transfer-Encoding", "chunked")]);
        raw.say(format!("{:x}\r\n", start.len()).as_bytes()).say(start).say(b"\r\n");
        let more = [b"10000\r\n".to_vec(), vec![b'a'; 0x10000], b"\r\n".to_vec()].concat();
        for _ in 0..16 {
            raw.say(&more);
        }
        let answer = raw.answer();
        assert!([0, 400].contains(&answer.status), "{}: {}", String::from_utf8_lossy(start), answer.status);
    }
    calm.is_unchanged();
}

#[test]
fn many_bodies_that_stand_still_keep_nobody_else_waiting() {
    let calm = calm();
    let still: Vec<Raw> = (0..40)
        .map(|_| {
            let mut raw = calm.upload_head(&[("Content-Length", "50000000")]);
            raw.say(&[7; 10_000]);
            raw
        })
        .collect();
    let other = calm.house.put(&calm.member, "/other", &noise(4, 3 << 20));
    assert!(calm.house.get(&calm.member, newest(&other)) == noise(4, 3 << 20));
    calm.house.remove_version(&calm.member.session, newest(&other)).expect(200);
    still.into_iter().for_each(Raw::cut);
    assert_eq!(calm.house.files(&calm.member), calm.before);
}

#[test]
fn two_lengths_never_smuggle_a_second_request() {
    let calm = calm();
    let inner = format!("GET /list/files HTTP/1.1\r\nHost: x\r\nRBackup-Session-Pass: {}\r\n\r\n", calm.member.session);
    let both = [("Content-Length", "5"), ("Transfer-Encoding", "chunked")];
    let mut raw = calm.upload_head(&both);
    raw.say(b"0\r\n\r\n").say(inner.as_bytes()).end();
    let told = String::from_utf8_lossy(&raw.rest()).matches("HTTP/1.1 ").count();
    assert!(told <= 1, "length and chunked: read as chunked, then closed: {told} answers");
    let bad: [&[(&str, &str)]; 6] = [
        &[("Content-Length", "5"), ("Content-Length", "6")],
        &[("Content-Length", "+5")],
        &[("Content-Length", "-1")],
        &[("Content-Length", "5, 6")],
        &[("Transfer-Encoding", "chunked, identity")],
        &[("Transfer-Encoding", "gzip")],
    ];
    for fields in bad {
        let mut raw = calm.upload_head(fields);
        let answer = raw.say(b"hello").answer();
        assert!((400..=501).contains(&answer.status) || answer.status == 0, "{fields:?}: {}", answer.status);
    }
    let files = calm.house.files(&calm.member);
    assert!(files.iter().all(|file| file["versions"][0]["hash"] != sha256_hex(b"hello")), "{files:?}");
}

#[test]
fn heads_that_are_none_get_a_bare_4xx_or_a_closed_connection() {
    let calm = calm();
    let bomb = format!("GET /status HTTP/1.1\r\n{}\r\n", "X-Bomb: a\r\n".repeat(2000));
    let long = format!("GET /status HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(1 << 20));
    let line = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000));
    let heads: [&[u8]; 12] = [
        b"CONNECT evil:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /list/files HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nOrigin: http://evil\r\n\r\n",
        bomb.as_bytes(),
        long.as_bytes(),
        line.as_bytes(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /status HTTP/9.9\r\n\r\n",
        b"GET /status HTTP/1.1\r\nHost : x\r\nno colon\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n\r\n\r\n\r\nnothing\r\n\r\n",
    ];
    for head in heads {
        let answer = Raw::to(&calm.house).say(head).end().answer();
        let shown = String::from_utf8_lossy(&head[..head.len().min(40)]).into_owned();
        assert!(answer.status == 0 || (400..500).contains(&answer.status), "{shown:?}: {}", answer.status);
    }
    calm.is_unchanged();
}

#[test]
fn an_answer_that_nobody_reads_stops_nobody() {
    let calm = calm();
    let large = calm.house.put(&calm.member, "/large", &noise(5, 16 << 20));
    let line = format!("GET /download?file_version_id={}", newest(&large));
    let pass = ("RBackup-Session-Pass", calm.member.session.as_str());
    let deaf: Vec<Raw> = (0..12)
        .map(|_| {
            let mut raw = Raw::to(&calm.house);
            raw.head(&line, &[pass]);
            raw
        })
        .collect();
    assert!(calm.house.get(&calm.member, newest(&large)) == noise(5, 16 << 20));
    calm.house.put(&calm.member, "/other", b"x");
    deaf.into_iter().for_each(Raw::cut);
    calm.house.status().expect(200);
}

#[test]
fn what_follows_a_refused_body_on_the_same_connection_is_read_as_a_request_or_not_at_all() {
    let calm = calm();
    let mut raw = Raw::to(&calm.house);
    raw.head("PUT /upload?file_path=x", &[("Content-Length", "64")]);
    raw.say(&b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2)[..64]).end();
    let told = String::from_utf8_lossy(&raw.rest()).into_owned();
    assert!(told.starts_with("HTTP/1.1 401"), "{told}");
    assert!(!told.contains("RBackup running"), "a refused body is never read as a request: {told}");
    calm.is_unchanged();
}

#[test]
fn a_body_that_stands_still_is_given_up_and_one_that_only_crawls_is_not() {
    let mut house = House::empty();
    let config = house.beside("rbackup.toml");
    std::fs::write(&config, "[limits]\nbody_idle_s = 1\nbody_bytes_per_s_min = 0\n").expect("write the config");
    house.open_with(&["--config", &config.to_string_lossy()]);
    let member = house.member("anna", "laptop");
    let fields = [("RBackup-Session-Pass", member.session.as_str()), ("Content-Length", "12")];
    let mut still = Raw::to(&house);
    still.head("PUT /upload?file_path=still", &fields).say(b"hello");
    still.answer().refused(408, "body_timeout");
    let mut crawling = Raw::to(&house);
    crawling.head("PUT /upload?file_path=crawling", &fields);
    for byte in b"hello world!" {
        crawling.say(&[*byte]);
        std::thread::sleep(Duration::from_millis(300));
    }
    crawling.answer().expect(200);
    let files = house.files(&member);
    assert_eq!((files.len(), house.get(&member, 1)), (1, b"hello world!".to_vec()));
}
