//! openssl as the other end: a look at a handshake, a connection that stays open, and certificates to serve.

use super::house::House;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What `openssl s_client` saw.
pub struct Handshake {
    /// All it printed.
    pub said: String,
    /// The certificate as PEM; empty when there was none.
    pub certificate: String,
    /// Its SHA-256 as openssl writes it; empty when there was none.
    pub fingerprint: String,
}

impl Handshake {
    /// Shakes hands once, with these options.
    pub fn with(house: &House, words: &[&str]) -> Self {
        Self::at(house.address(), words)
    }

    /// The same with any server.
    pub fn at(address: &str, words: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", address]).args(words).stdin(Stdio::null());
        let ended = command.output().expect("openssl is installed");
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        let end = "-----END CERTIFICATE-----";
        let shown = said.split_once("-----BEGIN CERTIFICATE").and_then(|(_, rest)| rest.split_once(end));
        let certificate = shown.map(|(body, _)| format!("-----BEGIN CERTIFICATE{body}{end}\n")).unwrap_or_default();
        let fingerprint = if certificate.is_empty() { String::new() } else { fingerprint(&certificate) };
        Self { said, certificate, fingerprint }
    }
}

fn fingerprint(certificate: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-fingerprint", "-sha256"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("openssl is installed");
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(certificate.as_bytes()));
    assert!(matches!(written, Some(Ok(()))), "openssl takes a certificate");
    let ended = child.wait_with_output().expect("openssl ends");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    said.trim().split_once('=').map(|(_, text)| text.to_owned()).unwrap_or_default()
}

/// A key and a certificate for 127.0.0.1, signed by itself; the key is its owner's alone.
pub fn make_certificate(certificate: &Path, key: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]);
    let made = openssl.arg("-keyout").arg(key).arg("-out").arg(certificate).output().expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A connection over TLS that stays open between requests.
pub struct Speaking {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Speaking {
    /// Connects.
    pub fn to(house: &House) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-connect", house.address()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("openssl is installed");
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Self { child, stdin, stdout }
    }

    /// A request without a body; what is answered, up to the end of its JSON. The connection must still be there.
    pub fn ask(&mut self, line: &str) -> String {
        let head = format!("{line} HTTP/1.1\r\nHost: rbackup\r\n\r\n");
        self.stdin.write_all(head.as_bytes()).and_then(|()| self.stdin.flush()).expect("openssl takes it");
        let mut answer = Vec::new();
        let mut byte = [0];
        while !(answer.windows(4).any(|end| end == b"\r\n\r\n") && balanced(&answer)) {
            let read = self.stdout.read(&mut byte).expect("openssl answers");
            assert_eq!(read, 1, "the connection ended: {}", String::from_utf8_lossy(&answer));
            answer.push(byte[0]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn balanced(answer: &[u8]) -> bool {
    let count = |wanted: u8| answer.iter().filter(|byte| **byte == wanted).count();
    count(b'{') > 0 && count(b'{') == count(b'}')
}

impl Drop for Speaking {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// A server that speaks every version openssl has.
pub struct OldServer {
    child: Child,
    /// Where it listens.
    pub address: String,
}

impl OldServer {
    /// Starts it, with files beside the house's data.
    pub fn start(house: &House) -> Self {
        let (certificate, key) = (house.beside("old-cert.pem"), house.beside("old-key.pem"));
        make_certificate(&certificate, &key);
        let mut command = Command::new("openssl");
        command.args([
            "s_server",
            "-www",
            "-accept",
            "127.0.0.1:0",
            "-min_protocol",
            "TLSv1",
            "-cipher",
            "ALL:@SECLEVEL=0",
        ]);
        command.arg("-cert").arg(certificate).arg("-key").arg(key);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("openssl is installed");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned));
        // It goes on saying things; nobody has to read them, but the pipe must not fill.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.expect("openssl says where it listens") }
    }
}

impl Drop for OldServer {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}
