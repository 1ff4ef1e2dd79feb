//! A socket for what curl cannot be talked into: heads that are none, bodies that stop, connections that are cut.

use super::curl::Answer;
use super::house::House;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// No answer for so long is a hang.
const SILENCE: Duration = Duration::from_secs(30);

/// A connection to the house.
pub struct Raw(TcpStream);

impl Raw {
    /// Connects.
    pub fn to(house: &House) -> Self {
        let stream = TcpStream::connect(house.address()).expect("connect to the server");
        stream.set_read_timeout(Some(SILENCE)).and_then(|()| stream.set_nodelay(true)).expect("set up the socket");
        Self(stream)
    }

    /// Sends bytes; a server that has closed already is not an error here.
    pub fn say(&mut self, bytes: &[u8]) -> &mut Self {
        let _ = self.0.write_all(bytes);
        self
    }

    /// Sends a request's head: its line, `Host`, and these fields, with CRLF and the empty line.
    pub fn head(&mut self, line: &str, fields: &[(&str, &str)]) -> &mut Self {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.say(format!("{line} HTTP/1.1\r\nHost: rbackup\r\n{fields}\r\n").as_bytes())
    }

    /// Says that nothing more will come.
    pub fn end(&mut self) -> &mut Self {
        let _ = self.0.shutdown(Shutdown::Write);
        self
    }

    /// Cuts the connection without a word.
    pub fn cut(self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }

    /// So many bytes as they come.
    pub fn read_exact(&mut self, bytes: &mut [u8]) {
        self.0.read_exact(bytes).expect("the server answers");
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        match self.0.read_to_end(&mut all) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => assert!(!all.is_empty(), "the server neither answered nor closed: {error}"),
        }
        all
    }

    /// The next answer, by its `Content-Length`. Status 0 when the connection was closed without one.
    pub fn answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < 1 << 16 {
            match self.byte() {
                Some(byte) => head.push(byte),
                None => break,
            }
        }
        let mut answer = Answer::from_heads(&head);
        if answer.status == 100 {
            return self.answer();
        }
        let length = answer.header("Content-Length").and_then(|text| text.parse().ok()).unwrap_or(0);
        while answer.body.len() < length {
            match self.byte() {
                Some(byte) => answer.body.push(byte),
                None => break,
            }
        }
        answer
    }

    /// The same when its body may come in chunks.
    pub fn answer_with_any_body(&mut self) -> Answer {
        let mut answer = self.answer();
        if answer.header("Transfer-Encoding") != Some("chunked") {
            return answer;
        }
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                match self.byte() {
                    Some(byte) => line.push(byte),
                    None => return answer,
                }
            }
            let digits = String::from_utf8_lossy(&line);
            let length = usize::from_str_radix(digits.trim(), 16).unwrap_or(0);
            for _ in 0..length + 2 {
                answer.body.extend(self.byte());
            }
            answer.body.truncate(answer.body.len().saturating_sub(2));
            if length == 0 {
                return answer;
            }
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let mut one = [0];
        match self.0.read(&mut one) {
            Ok(read) => (read == 1).then_some(one[0]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the server neither answered nor closed: {error}");
                None
            }
        }
    }
}
