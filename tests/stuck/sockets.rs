//! Clients that get stuck, as plain sockets: one stops in the middle of what it sends, one stops reading, one crawls.

use super::house::House;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Everything that a stuck client sends is to be stored below this name.
pub const FOLDER: &str = "/stuck/";

/// How a client is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sends so many bytes of more, and then nothing.
    StopsSending(usize),
    /// Asks for a large file and reads nothing of it.
    StopsReading,
    /// Sends a byte a second.
    Crawls,
}

/// A client that is stuck until it is let go.
pub struct Stuck {
    /// How.
    pub kind: Kind,
    stream: TcpStream,
    crawler_stops: Option<Arc<AtomicBool>>,
}

/// What a stuck upload says it will send.
const PROMISED_BYTES: usize = 8 << 20;

impl Stuck {
    /// Connects and gets stuck.
    pub fn begin(house: &House, number: usize, kind: Kind) -> Stuck {
        let mut stream = TcpStream::connect(house.address()).expect("connect");
        let pass = format!("Host: x\r\nRBackup-Session-Pass: {}\r\n", house.session);
        let head = match kind {
            Kind::StopsReading => format!("GET /download?file_version_id={} HTTP/1.1\r\n{pass}\r\n", house.large),
            _ => format!(
                "PUT /upload?file_path={FOLDER}{number} HTTP/1.1\r\n{pass}Content-Length: {PROMISED_BYTES}\r\n\r\n"
            ),
        };
        stream.write_all(head.as_bytes()).expect("a head is sent");
        let mut crawler_stops = None;
        match kind {
            Kind::StopsSending(bytes) => {
                // Not all of it need be taken: a server may well stop reading.
                stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
                let _ = stream.write_all(&noise(number, bytes));
            }
            Kind::StopsReading => {}
            Kind::Crawls => crawler_stops = Some(crawl(stream.try_clone().expect("a second handle"))),
        }
        Stuck { kind, stream, crawler_stops }
    }

    /// Waits until the server has had enough of it: the status it was told, or 0 when it was cut without a word.
    pub fn given_up(&mut self, patience: Duration) -> Option<u16> {
        self.stream.set_read_timeout(Some(patience)).expect("a timeout");
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => answer.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
                Err(_) => break,
            }
        }
        let text = String::from_utf8_lossy(&answer);
        Some(text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0))
    }

    /// Cuts the connection.
    pub fn cut(self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        if let Some(stops) = self.crawler_stops {
            stops.store(true, Ordering::Relaxed);
        }
    }
}

/// Goes on until it is told to stop or cannot.
fn crawl(mut stream: TcpStream) -> Arc<AtomicBool> {
    let stops = Arc::new(AtomicBool::new(false));
    let stopped = stops.clone();
    std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) && stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    stops
}

fn noise(number: usize, bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    crate::kit::random::Random::new(number as u64).fill(&mut noise);
    noise
}

/// Sends all that such an upload promised: for the check that must see it.
pub fn complete(house: &House, number: usize) {
    let mut stream = TcpStream::connect(house.address()).expect("connect");
    let head = format!(
        "PUT /upload?file_path={FOLDER}{number} HTTP/1.1\r\nHost: x\r\nRBackup-Session-Pass: {}\r\nContent-Length: 9\r\nConnection: close\r\n\r\ncompleted",
        house.session
    );
    stream.write_all(head.as_bytes()).expect("a request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
