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

/// The first line of an answer.
type Answered = Result<String, String>;

/// With so many of the sixteen files of the ballast, more is left than an index must leave: three quarters …
const FOR_AN_INDEX: usize = 13;
/// … and than a lock must: half.
const FOR_A_LOCK: usize = 9;

/// What restic stores before it removes anything is taken, as long as so many `files` of the ballast are there; as much under the same
/// kinds as would be data is not.
fn frees_itself(files: usize, status_line: &mut impl FnMut(&str, &str, &[u8]) -> Answered) -> Result<(), String> {
    for (kind, enough) in [("locks", FOR_A_LOCK), ("index", FOR_AN_INDEX)] {
        if files < enough {
            continue;
        }
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
    let (files, _) = site.ballast();
    let mut status_line = asks(site)?;
    let post = format!("POST /restic/full/data/{NAME}");
    let refused = status_line(&post, "Content-Length: 1048576\r\nExpect: 100-continue\r\n", &[])?;
    if refused != "HTTP/1.1 507 There is no space left; nothing was changed." {
        return Err(format!("case 49: a new object was answered with {refused:?}"));
    }
    row.refused += 1;
    frees_itself(files, &mut status_line)?;
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

/// A client that may only add sends indexes and locks for as long as they are taken: what frees the disk must still be.
pub fn leaves_room_for_removals(site: &mut Site) -> Result<(), String> {
    let mut status_line = asks(site)?;
    let mut taken = Vec::new();
    for (kind, bytes) in [("index", 300_000), ("index", 20_000), ("locks", 16_000), ("locks", 200)] {
        loop {
            let mut content = vec![0; bytes];
            site.random.fill(&mut content);
            let at = format!("/restic/full/{kind}/{}", sha256_hex(&content));
            let length = format!("Content-Length: {bytes}\r\n");
            match status_line(&format!("POST {at}"), &length, &content)? {
                answered if answered.starts_with("HTTP/1.1 200 ") => taken.push(at),
                answered if answered.starts_with("HTTP/1.1 507 ") => break,
                answered => return Err(format!("POST {at}: {answered:?}")),
            }
            if taken.len() > 5_000 {
                return Err("a full disk takes objects without an end".into());
            }
        }
    }
    if taken.is_empty() {
        return Err("nothing of it was taken, so nothing was shown".into());
    }
    for at in &taken {
        let removed = status_line(&format!("DELETE {at}"), "", &[])?;
        if !removed.starts_with("HTTP/1.1 200 ") {
            return Err(format!("after {} objects DELETE {at} was answered with {removed:?}", taken.len()));
        }
    }
    eprintln!("{} objects were taken from the reserve, and all of them removed", taken.len());
    Ok(())
}

/// Asks as somebody who is signed in, and gives the first line of the answer.
fn asks(site: &mut Site) -> Result<impl FnMut(&str, &str, &[u8]) -> Answered + use<>, String> {
    let (device, _) = site.signed_in().ok_or("nobody is signed in")?;
    let account = site.ledger.devices[&device].account.clone();
    let basic = format!("Authorization: Basic {}", STANDARD.encode(format!("{account}:{PASSWORD}")));
    let address = site.server().address;
    Ok(move |request: &str, fields: &str, body: &[u8]| -> Answered {
        let wrong = |error: std::io::Error| format!("{request}: {error}");
        let mut socket = TcpStream::connect(address).map_err(wrong)?;
        socket.set_read_timeout(Some(Duration::from_secs(60))).map_err(wrong)?;
        let head = format!("{request} HTTP/1.1\r\nHost: x\r\n{basic}\r\n{fields}Connection: close\r\n\r\n");
        // An answer may come before all was sent.
        let sent = socket.write_all(&[head.as_bytes(), body].concat());
        let mut answer = [0; 512];
        let read = socket.read(&mut answer).or_else(|error| sent.and(Err(error))).map_err(wrong)?;
        Ok(String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned())
    })
}
