//! Cases 43 and 44: uploads over HTTP/2 that are reset or too short, frame by frame on a socket. curl cannot be talked into either.

use super::{Home, home};
use crate::support::{noise, sha256_hex};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// What a stream came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Status(u16),
    Reset,
}

struct Wire<'a> {
    home: &'a Home,
    socket: TcpStream,
    next_stream: u32,
}

impl<'a> Wire<'a> {
    fn open(home: &'a Home) -> Self {
        let socket = TcpStream::connect(home.house.address()).expect("connect");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let mut wire = Self { home, socket, next_stream: 1 };
        wire.socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("sent");
        wire.frame(SETTINGS, 0, 0, &[]);
        wire
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.socket.write_all(&bytes).expect("sent");
    }

    /// Begins a request; fields are literals that no table keeps.
    fn request(&mut self, method: &str, path: &str, length: Option<usize>, end: bool) -> u32 {
        let (basic, length) = (self.home.basic(), length.map(|length| length.to_string()));
        let mut fields = vec![
            (":method", method),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("authorization", &basic),
        ];
        fields.extend(length.as_ref().map(|length| ("content-length", length.as_str())));
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0x10);
            for text in [name, value] {
                assert!(text.len() < 127, "longer ones take another form");
                block.push(text.len() as u8);
                block.extend(text.as_bytes());
            }
        }
        let stream = self.next_stream;
        self.next_stream += 2;
        self.frame(HEADERS, END_HEADERS | if end { END_STREAM } else { 0 }, stream, &block);
        stream
    }

    fn data(&mut self, stream: u32, bytes: &[u8], end: bool) {
        let pieces: Vec<&[u8]> = bytes.chunks(16_384).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let last = end && number + 1 == pieces.len();
            self.frame(DATA, if last { END_STREAM } else { 0 }, stream, piece);
        }
    }

    /// Reads until this stream has an answer's head or is reset.
    fn outcome(&mut self, wanted: u32) -> Outcome {
        loop {
            let mut head = [0; 9];
            self.socket.read_exact(&mut head).expect("a frame");
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut payload = vec![0; length];
            self.socket.read_exact(&mut payload).expect("a payload");
            match kind {
                HEADERS if stream == wanted => return Outcome::Status(status(&payload)),
                RST_STREAM if stream == wanted => return Outcome::Reset,
                SETTINGS if flags & ACK == 0 => self.frame(SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => self.frame(PING, ACK, 0, &payload),
                _ => {}
            }
        }
    }

    fn ask(&mut self, method: &str, path: &str) -> Outcome {
        let stream = self.request(method, path, None, true);
        self.outcome(stream)
    }
}

/// `:status` comes first; the usual ones are in the static table. Another is 0.
fn status(block: &[u8]) -> u16 {
    match block.first() {
        Some(0x88) => 200,
        Some(0x8A) => 206,
        Some(0x8C) => 400,
        Some(0x8D) => 404,
        Some(0x8E) => 500,
        _ => 0,
    }
}

#[test]
fn case_43_an_upload_that_is_reset_leaves_nothing_and_its_connection_lives() {
    let home = home();
    let body = noise(43, 1_500_000);
    let path = format!("/restic/a/data/{}", sha256_hex(&body));
    let mut wire = Wire::open(&home);
    for sent in [0, 100_000, body.len() - 1] {
        let stream = wire.request("POST", &path, Some(body.len()), false);
        wire.data(stream, &body[..sent], false);
        std::thread::sleep(Duration::from_millis(100));
        const CANCEL: u32 = 8;
        wire.frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
        assert_eq!(wire.ask("HEAD", &path), Outcome::Status(404), "case 43, after {sent} bytes");
    }
    assert_eq!(home.list("/restic/a/", "data"), [], "case 43");
    let stream = wire.request("POST", &path, Some(body.len()), false);
    wire.data(stream, &body, true);
    assert_eq!(wire.outcome(stream), Outcome::Status(200), "case 43: the connection is as good as before");
    assert!(home.get("GET", &path).expect(200).body == body);
}

#[test]
fn case_44_an_upload_shorter_than_it_said_leaves_nothing() {
    let home = home();
    let body = noise(44, 50_000);
    let path = format!("/restic/a/data/{}", sha256_hex(&body));
    let mut wire = Wire::open(&home);
    for (said, sent) in [(body.len(), 20_000), (body.len() - 1, body.len())] {
        let stream = wire.request("POST", &path, Some(said), false);
        wire.data(stream, &body[..sent], true);
        let outcome = wire.outcome(stream);
        assert!([Outcome::Reset, Outcome::Status(400)].contains(&outcome), "case 44: {outcome:?}");
        assert_eq!(wire.ask("HEAD", &path), Outcome::Status(404), "case 44");
    }
    let stream = wire.request("POST", &path, None, false);
    wire.data(stream, &body, true);
    assert_eq!(wire.outcome(stream), Outcome::Status(200), "case 41 over HTTP/2: no length at all");
    assert_eq!(wire.ask("GET", "/file-5577006791947779410"), Outcome::Status(404), "case 94's question");
}
