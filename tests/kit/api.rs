//! One call per endpoint of the RBackup API, over one kept-alive connection.

use super::http::{Answer, Connection};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;
use std::io;

/// Why a call gave no result.
#[derive(Debug)]
pub enum Failure {
    /// The connection broke: whether the server did it is not known.
    Cut(io::Error),
    /// The server answered something else.
    Refused(u16, String),
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Cut(error) => write!(out, "connection: {error}"),
            Failure::Refused(status, body) => write!(out, "status {status}: {body}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Cut(error)
    }
}

/// One listed version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The file's id.
    pub file: u64,
    /// The device it is listed under.
    pub device: String,
    /// Its name.
    pub path: String,
    /// The version's id.
    pub version: u64,
    /// Its length.
    pub size: u64,
    /// Its SHA-256.
    pub hash: String,
}

/// A query value: everything but unreserved bytes is escaped.
pub fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Creates an account; true when it is new, false when it was there.
pub fn register(wire: &mut Connection, name: &str, password: &str) -> Result<bool, Failure> {
    let target = format!("/account/register?username={}&password={}", escape(name), escape(password));
    let answer = wire.send("POST", &target, &[], b"")?;
    match answer.status {
        201 => Ok(true),
        409 => Ok(false),
        _ => Err(refused(answer)),
    }
}

/// Signs a device in: the session, and whether an older one was replaced.
pub fn login(wire: &mut Connection, name: &str, password: &str, device: &str) -> Result<(String, bool), Failure> {
    let who = format!("username={}&password={}", escape(name), escape(password));
    let answer = wire.send("POST", &format!("/account/login?device_id={}&{who}", escape(device)), &[], b"")?;
    if answer.status != 200 && answer.status != 201 {
        return Err(refused(answer));
    }
    let renewed = answer.status == 200;
    let parsed = parse(&answer)?;
    let session =
        parsed["session_id"].as_str().ok_or_else(|| Failure::Refused(answer.status, "no session_id".into()))?;
    Ok((session.to_owned(), renewed))
}

/// Uploads bytes as a raw body: the new version as the answer lists it, which is its file's last.
pub fn upload(
    wire: &mut Connection,
    session: &str,
    path: &str,
    hash: Option<&str>,
    bytes: &[u8],
) -> Result<Listed, Failure> {
    let mut headers = vec![("RBackup-Session-Pass", session)];
    headers.extend(hash.map(|hash| ("RBackup-File-Hash", hash)));
    let answer = wire.send("PUT", &format!("/upload?file_path={}", escape(path)), &headers, bytes)?;
    newest(expect_200(answer)?)
}

/// The last version of the file that an upload answered with.
pub fn newest(answer: Answer) -> Result<Listed, Failure> {
    let file = parse(&answer)?;
    listed(&file).and_then(|mut all| all.pop()).ok_or_else(|| refused(answer))
}

/// Every version of every file of the session's account.
pub fn list(wire: &mut Connection, session: &str) -> Result<Vec<Listed>, Failure> {
    let answer = expect_200(wire.send("GET", "/list/files", &[("RBackup-Session-Pass", session)], b"")?)?;
    let parsed = parse(&answer)?;
    let files = parsed.as_array().map(|files| files.iter().map(listed).collect::<Option<Vec<_>>>());
    files.flatten().map(|lists| lists.concat()).ok_or_else(|| refused(answer))
}

/// The account's devices.
pub fn devices(wire: &mut Connection, session: &str) -> Result<Vec<String>, Failure> {
    let answer = expect_200(wire.send("GET", "/list/devices", &[("RBackup-Session-Pass", session)], b"")?)?;
    let parsed = parse(&answer)?;
    let names = parsed.as_array().map(|all| all.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect());
    names.ok_or_else(|| refused(answer))
}

/// Downloads a version and gives length and SHA-256 of what really came.
pub fn download(wire: &mut Connection, session: &str, version: u64) -> Result<(u64, String), Failure> {
    let (mut hash, mut length, mut begin) = (Sha256::new(), 0, Vec::new());
    let target = format!("/download?file_version_id={version}");
    let answer = wire.fetch(&target, &[("RBackup-Session-Pass", session)], |piece| {
        hash.update(piece);
        length += piece.len() as u64;
        if begin.len() < 300 {
            begin.extend_from_slice(&piece[..piece.len().min(300)]);
        }
    })?;
    if answer.status != 200 {
        // What was hashed is the refusal.
        return Err(refused(Answer { body: begin, ..answer }));
    }
    let actual = super::random::hex(&hash.finalize());
    match answer.header("rbackup-file-hash") {
        Some(said) if said != actual => {
            Err(Failure::Refused(200, format!("RBackup-File-Hash says {said}, the bytes {actual}")))
        }
        _ => Ok((length, actual)),
    }
}

/// Removes one version.
pub fn remove_version(wire: &mut Connection, session: &str, version: u64) -> Result<(), Failure> {
    let target = format!("/remove/fileVersion?file_version_id={version}");
    expect_200(wire.send("DELETE", &target, &[("RBackup-Session-Pass", session)], b"")?).map(drop)
}

/// Removes a file with all its versions.
pub fn remove_file(wire: &mut Connection, session: &str, file: u64) -> Result<(), Failure> {
    let target = format!("/remove/file?file_id={file}");
    expect_200(wire.send("DELETE", &target, &[("RBackup-Session-Pass", session)], b"")?).map(drop)
}

fn listed(file: &Value) -> Option<Vec<Listed>> {
    let versions = file["versions"].as_array()?;
    versions
        .iter()
        .map(|version| {
            Some(Listed {
                file: file["id"].as_u64()?,
                device: file["device_id"].as_str()?.to_owned(),
                path: file["original_name"].as_str()?.to_owned(),
                version: version["version"].as_u64()?,
                size: version["size"].as_u64()?,
                hash: version["hash"].as_str()?.to_owned(),
            })
        })
        .collect()
}

fn parse(answer: &Answer) -> Result<Value, Failure> {
    serde_json::from_slice(&answer.body).map_err(|error| Failure::Refused(answer.status, format!("not JSON: {error}")))
}

fn expect_200(answer: Answer) -> Result<Answer, Failure> {
    if answer.status == 200 { Ok(answer) } else { Err(refused(answer)) }
}

fn refused(answer: Answer) -> Failure {
    let text = String::from_utf8_lossy(&answer.body);
    Failure::Refused(answer.status, text.chars().take(300).collect())
}
