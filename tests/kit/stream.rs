//! Uploads too large for memory: noise is made, hashed and sent piece by piece, and never kept.

use super::api::{self, Failure, Listed};
use super::http::Connection;
use super::random::{Random, hex};
use sha2::{Digest, Sha256};
use std::io::{self, Write};

const PIECE: usize = 1 << 20;

/// Bytes that do not compress and do not repeat; the same seed is the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// What they are made from.
    pub seed: u64,
    /// How many.
    pub bytes: u64,
}

impl Noise {
    /// Writes them all and gives their SHA-256.
    pub fn write(self, out: &mut dyn Write) -> io::Result<String> {
        let (mut random, mut hash, mut piece) = (Random::new(self.seed), Sha256::new(), vec![0; PIECE]);
        let mut left = self.bytes;
        while left > 0 {
            let take = (PIECE as u64).min(left) as usize;
            random.fill(&mut piece);
            hash.update(&piece[..take]);
            out.write_all(&piece[..take])?;
            left -= take as u64;
        }
        Ok(hex(&hash.finalize()))
    }

    /// Their SHA-256.
    pub fn sha256(self) -> String {
        self.write(&mut io::sink()).expect("a sink takes everything")
    }
}

/// As `curl -T` sends it.
pub fn upload_raw(wire: &mut Connection, session: &str, path: &str, noise: Noise) -> Result<Listed, Failure> {
    let target = format!("/upload?file_path={}", api::escape(path));
    let answer = wire.send_from("PUT", &target, &[("RBackup-Session-Pass", session)], noise.bytes, |socket| {
        noise.write(socket).map(drop)
    })?;
    accepted(answer)
}

/// As `curl -F file=@… -F file-hash=…` sends it: the hash comes last.
pub fn upload_form(wire: &mut Connection, session: &str, path: &str, noise: Noise) -> Result<Listed, Failure> {
    let target = format!("/upload?file_path={}", api::escape(path));
    let head = "--rbackup-border\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: application/octet-stream\r\n\r\n";
    let hash_head = "\r\n--rbackup-border\r\nContent-Disposition: form-data; name=\"file-hash\"\r\n\r\n";
    let end = "\r\n--rbackup-border--\r\n";
    let length = (head.len() + hash_head.len() + 64 + end.len()) as u64 + noise.bytes;
    let headers = [("RBackup-Session-Pass", session), ("Content-Type", "multipart/form-data; boundary=rbackup-border")];
    let answer = wire.send_from("POST", &target, &headers, length, |socket| {
        socket.write_all(head.as_bytes())?;
        let hash = noise.write(socket)?;
        write!(socket, "{hash_head}{hash}{end}")
    })?;
    accepted(answer)
}

fn accepted(answer: super::http::Answer) -> Result<Listed, Failure> {
    if answer.status == 200 {
        return api::newest(answer);
    }
    Err(Failure::Refused(answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
}
