//! restic on a full disk: case 49 of its protocol, and what must go on.

use super::site::Site;
use super::table::Row;
use crate::kit::ledger::PASSWORD;
use crate::kit::random::sha256_hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const NAME: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What restic stores before it removes anything is taken; as much under the same kinds as would be data is not.
fn frees_itself(status_line: &mut impl FnMut(&str, &str, &[u8]) -> Result<String, String>) -> Result<(), String> {
    for kind in ["locks", "index"] {
        let content = format!("what a {kind} says");
        let at = format!("/restic/full/{kind}/{}", sha256_hex(content.as_bytes()));
        let length = format!("Content-Length: {}\r\n", content.len());
        for (request, fields, body) in [
            (format!("POST {at}"), length.as_str(), content.as_bytes()),
            (format!("GET {at}"), "", &b""[..]),
            (format!("DELETE {at}"), "", &b""[..]),
        ] {
            let answered = status_line(&request, fields, body)?;
            if !answered.starts_with("HTTP/1.1 200 ") {
                return Err(format!("{request} on a full disk: {answered:?}"));
            }
        }
        let large = "Content-Length: 1048577\r\nExpect: 100-continue\r\n";
        let answered = status_line(&format!("POST /restic/full/{kind}/{NAME}"), large, &[])?;
        if !answered.starts_with("HTTP/1.1 507 ") {
            return Err(format!("a large object of {kind} on a full disk: {answered:?}"));
        }
    }
    Ok(())
}

/// A new object is refused before its body with a phrase that restic shows to people; lists and removals go on.
pub fn is_refused_in_words(site: &mut Site, row: &mut Row) -> Result<(), String> {
    let (device, _) = site.signed_in().ok_or("nobody is signed in")?;
    let account = site.ledger.devices[&device].account.clone();
    let basic = format!("Authorization: Basic {}", STANDARD.encode(format!("{account}:{PASSWORD}")));
    // Behind the last of it nothing can be promised.
    let has_ballast = site.ballast().0 > 0;
    let address = site.server().address;
    let mut status_line = |request: &str, fields: &str, body: &[u8]| -> Result<String, String> {
        let wrong = |error: std::io::Error| format!("{request}: {error}");
        let mut socket = TcpStream::connect(address).map_err(wrong)?;
        socket.set_read_timeout(Some(Duration::from_secs(60))).map_err(wrong)?;
        let head = format!("{request} HTTP/1.1\r\nHost: x\r\n{basic}\r\n{fields}Connection: close\r\n\r\n");
        socket.write_all(&[head.as_bytes(), body].concat()).map_err(wrong)?;
        let mut answer = [0; 512];
        let read = socket.read(&mut answer).map_err(wrong)?;
        Ok(String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned())
    };
    let post = format!("POST /restic/full/data/{NAME}");
    let refused = status_line(&post, "Content-Length: 1048576\r\nExpect: 100-continue\r\n", &[])?;
    if refused != "HTTP/1.1 507 There is no space left; nothing was changed." {
        return Err(format!("case 49: a new object was answered with {refused:?}"));
    }
    row.refused += 1;
    if has_ballast {
        frees_itself(&mut status_line)?;
    }
    for (request, status) in [
        ("GET /restic/full/data/".to_owned(), "HTTP/1.1 200 "),
        (format!("GET /restic/full/data/{NAME}"), "HTTP/1.1 404 "),
    ] {
        let answered = status_line(&request, "", &[])?;
        if !answered.starts_with(status) {
            return Err(format!("{request} on a full disk: {answered:?}"));
        }
    }
    Ok(())
}
