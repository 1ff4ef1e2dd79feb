//! HTTP/1.1 on one kept-alive socket, as plainly as it can be said.
//!
//! It reads what the server sends and nothing else: no retries, no redirects, no reconnects. A server that is killed
//! shows as an error, and what it had answered before that stays answered.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer for so long is a hang.
const SILENCE_LIMIT: Duration = Duration::from_secs(120);

/// One connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
    /// Our side's port: the recorder names answers by it.
    pub local_port: u16,
}

/// What came back; the body is empty when it was streamed to a sink.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_LIMIT))?;
        stream.set_write_timeout(Some(SILENCE_LIMIT))?;
        let local_port = stream.local_addr()?.port();
        Ok(Connection { stream: BufReader::with_capacity(256 << 10, stream), local_port })
    }

    /// Gives up on an answer earlier than after two minutes.
    pub fn be_patient_for(&mut self, patience: Duration) {
        self.stream.get_ref().set_read_timeout(Some(patience)).expect("a socket takes a timeout");
    }

    /// One request with a body in memory.
    pub fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        self.send_from(method, target, headers, body.len() as u64, |socket| socket.write_all(body))
    }

    /// One request whose body of known length is written piece by piece.
    pub fn send_from(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        length: u64,
        body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Answer> {
        self.write_head(method, target, headers, length)?;
        // A server that refuses closes early: its answer says why, so look for it before giving up.
        let written = if length == 0 { Ok(()) } else { body(self.stream.get_mut()) };
        let mut kept = Vec::new();
        match (self.read_answer(|piece| kept.extend_from_slice(piece)), written) {
            (Ok(mut answer), _) => {
                answer.body = kept;
                Ok(answer)
            }
            (Err(_), Err(writing)) => Err(writing),
            (Err(reading), Ok(())) => Err(reading),
        }
    }

    /// GET with the body handed to a sink as it arrives.
    pub fn fetch(&mut self, target: &str, headers: &[(&str, &str)], sink: impl FnMut(&[u8])) -> io::Result<Answer> {
        self.write_head("GET", target, headers, 0)?;
        self.read_answer(sink)
    }

    fn write_head(&mut self, method: &str, target: &str, headers: &[(&str, &str)], length: u64) -> io::Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if length > 0 || method != "GET" {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str("\r\n");
        self.stream.get_mut().write_all(head.as_bytes())
    }

    fn read_answer(&mut self, mut sink: impl FnMut(&[u8])) -> io::Result<Answer> {
        let answer = self.read_head()?;
        if answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            self.read_chunks(&mut sink)?;
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().map_err(|_| bad("Content-Length is not a number"))?;
            self.read_exactly(length, &mut sink)?;
        }
        Ok(answer)
    }

    fn read_head(&mut self) -> io::Result<Answer> {
        let status_line = self.read_line()?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| bad("not a status line"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(Answer { status, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad("not a header"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn read_chunks(&mut self, sink: &mut impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let line = self.read_line()?;
            let length = u64::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16);
            let length = length.map_err(|_| bad("not a chunk length"))?;
            self.read_exactly(length, sink)?;
            self.read_line()?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    fn read_exactly(&mut self, mut left: u64, sink: &mut impl FnMut(&[u8])) -> io::Result<()> {
        while left > 0 {
            let piece = self.stream.fill_buf()?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let take = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            sink(&piece[..take]);
            self.stream.consume(take);
            left -= take as u64;
        }
        Ok(())
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.by_ref().take(64 << 10).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| bad("a head that is not text"))
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
