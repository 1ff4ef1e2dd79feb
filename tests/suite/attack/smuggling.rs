//! Requests hidden in the bodies of others: none is ever executed.
//!
//! Each head is sent with a body in which a request stands that would remove anna's only file. A server between that reads the head
//! otherwise would have passed all of it on as one request.

use crate::support::raw::Raw;
use crate::support::{House, Member};

/// How a body's end is told, and what is sent as a body before the hidden request. Bytes that matter are written out.
const HEADS: [(&str, &str, &str); 24] = [
    ("both lengths", "Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("both lengths, the other way", "Transfer-Encoding: chunked\r\nContent-Length: 4", "0\r\n\r\n"),
    ("a length too short for its chunks", "Content-Length: 1\r\nTransfer-Encoding: chunked", "1\r\nx\r\n0\r\n\r\n"),
    ("two lengths", "Content-Length: 0\r\nContent-Length: 5", "hello"),
    ("two lengths in one", "Content-Length: 0, 5", "hello"),
    ("a signed length", "Content-Length: +0", ""),
    ("a length in hexadecimal", "Content-Length: 0x0", ""),
    ("a length with a space in it", "Content-Length: 0 0", ""),
    ("a length of white space", "Content-Length: ", ""),
    ("a length of too many digits", "Content-Length: 18446744073709551616", ""),
    ("a space before the colon", "Transfer-Encoding : chunked", "0\r\n\r\n"),
    ("a coding that is none", "Transfer-Encoding: xchunked", "0\r\n\r\n"),
    ("chunked not last", "Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
    ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("a coding behind a vertical tab", "Transfer-Encoding: \u{b}chunked", "0\r\n\r\n"),
    ("a coding in quotes", "Transfer-Encoding: \"chunked\"", "0\r\n\r\n"),
    ("a folded line", "X: y\r\n Transfer-Encoding: chunked", "0\r\n\r\n"),
    ("a bare line feed", "X: y\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("a name with a NUL", "Transfer-Encoding\0: chunked", "0\r\n\r\n"),
    ("a chunk's size with a sign", "Transfer-Encoding: chunked", "+0\r\n\r\n"),
    ("a chunk's size in hexadecimal of C", "Transfer-Encoding: chunked", "0x0\r\n\r\n"),
    ("a chunk's size that overflows", "Transfer-Encoding: chunked", "10000000000000000\r\n\r\n"),
    ("a chunk's end that is none", "Transfer-Encoding: chunked", "1\r\nxyz0\r\n\r\n"),
    ("a chunk's size behind a line feed", "Transfer-Encoding: chunked", "0\n\r\n"),
];

struct Home {
    house: House,
    anna: Member,
}

fn home() -> Home {
    let house = House::start();
    let anna = house.member("anna", "laptop");
    house.put(&anna, "/kept", b"kept");
    Home { house, anna }
}

impl Home {
    fn hidden(&self) -> String {
        let session = &self.anna.session;
        format!("DELETE /remove/file?file_id=1 HTTP/1.1\r\nHost: localhost\r\nRBackup-Session-Pass: {session}\r\n\r\n")
    }

    /// Statuses of all that is answered to these bytes until the connection ends.
    fn told(&self, bytes: &[u8]) -> Vec<u16> {
        let said = Raw::to(&self.house).say(bytes).end().rest();
        let said = String::from_utf8_lossy(&said).into_owned();
        let heads = said.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok());
        heads.filter(|status| *status != 100).collect()
    }

    fn is_there(&self) -> bool {
        self.house.files(&self.anna).iter().any(|file| file["id"] == 1)
    }
}

#[test]
fn a_hidden_request_is_never_executed() {
    let home = home();
    let mut counts = [0; 3];
    for (what, fields, body) in HEADS {
        for line in ["POST /account/login", "PUT /upload?file_path=/x", "GET /status", "POST /restic/r/config"] {
            let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n{body}");
            let told = home.told(&[head.as_bytes(), home.hidden().as_bytes()].concat());
            assert!(home.is_there(), "{what}: {line}: the hidden request was executed: {told:?}");
            assert!(told.len() <= 1, "{what}: {line}: more than one answer: {told:?}");
            counts[0] += 1;
            counts[1] += usize::from(told == [400]);
            counts[2] += usize::from(told.is_empty());
        }
    }
    eprintln!("{} heads: {} answered 400, {} with nothing", counts[0], counts[1], counts[2]);
    assert!(counts[1] * 2 > counts[0], "most are plainly wrong, and told so");
    home.house.put(&home.anna, "/other", b"the server goes on");
}

#[test]
fn planted_the_same_request_in_the_open_is_executed() {
    let home = home();
    let open = format!("GET /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n{}", home.hidden());
    assert_eq!(home.told(open.as_bytes()), [200, 200], "two whole requests on one connection are two");
    assert!(!home.is_there(), "what the test looks for can be seen");
}

#[test]
fn a_body_behind_a_guarded_route_that_refuses_is_no_request() {
    let home = home();
    let hidden = home.hidden();
    for line in
        ["PUT /upload?file_path=/x", "POST /api/v1/tokens", "POST /restic/r/config", "DELETE /nothing", "GET /status"]
    {
        for length in [hidden.len(), hidden.len() + 7, 1 << 30] {
            let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{hidden}");
            let told = home.told(head.as_bytes());
            assert!(told.len() <= 1 && home.is_there(), "{line} with {length}: {told:?}");
        }
    }
}

#[test]
fn an_upgrade_to_http2_in_the_clear_is_not_taken_up() {
    let home = home();
    let head = format!(
        "GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\
         Content-Length: 0\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{}",
        home.hidden()
    );
    let told = home.told(head.as_bytes());
    assert!(told.first() == Some(&200) && told.len() <= 2, "{told:?}");
    assert!(home.is_there(), "{told:?}");
}
