//! What everybody else asks for while a sync hangs or clients are stuck, and who is not answered.
//!
//! Each question has a connection and a thread of its own. It counts as answered when the hindrance is still there behind
//! its answer; the patience is only how long the harness waits before it calls somebody blocked.

use super::house::House;
use crate::kit::api;
use crate::kit::http::Connection;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A question with the status that answers it.
pub struct Question {
    name: &'static str,
    method: &'static str,
    target: String,
    body: &'static [u8],
    wanted: u16,
}

/// What must go on: everything that only reads.
pub fn readers(house: &House) -> Vec<Question> {
    let ask = |name, target: String| Question { name, method: "GET", target, body: b"", wanted: 200 };
    vec![
        ask("status", "/status".into()),
        ask("list of files", "/list/files".into()),
        ask("list of devices", "/list/devices".into()),
        ask("download", format!("/download?file_version_id={}", house.large)),
    ]
}

/// What must be refused at once: everything that changes something.
pub fn changes(house: &House) -> Vec<Question> {
    let ask = |name, method, target: String, body| Question { name, method, target, body, wanted: 503 };
    let who = format!("username=anna&password={}", api::escape(crate::kit::ledger::PASSWORD));
    vec![
        ask("upload", "PUT", "/upload?file_path=/refused".into(), b"some bytes"),
        ask("removal of a version", "DELETE", format!("/remove/fileVersion?file_version_id={}", house.large), b""),
        ask("removal of a file", "DELETE", "/remove/file?file_id=1".into(), b""),
        ask("registration", "POST", "/account/register?username=bert&password=long-enough".into(), b""),
        ask("login", "POST", format!("/account/login?device_id=phone&{who}"), b""),
    ]
}

/// A question that waits for the hanging sync, as long as it is not refused: for the check that must see it.
pub fn one_that_waits() -> Question {
    let target = "/upload?file_path=/waits".into();
    Question { name: "upload", method: "PUT", target, body: b"waits for the sync", wanted: 200 }
}

/// Asks everything at once; names those that were not answered as they should be while it was still so.
pub fn unanswered(
    house: &House,
    questions: Vec<Question>,
    is_still_so: &dyn Fn() -> bool,
    patience: Duration,
) -> Vec<String> {
    let (say, hear) = mpsc::channel();
    let mut open: Vec<&'static str> = questions.iter().map(|question| question.name).collect();
    for question in questions {
        let (say, address, session) = (say.clone(), house.address(), house.session.clone());
        std::thread::spawn(move || drop(say.send((question.name, ask(address, &session, &question)))));
    }
    let (begun, mut wrong) = (Instant::now(), Vec::new());
    while !open.is_empty() {
        let Ok((name, answer)) = hear.recv_timeout(patience.saturating_sub(begun.elapsed())) else { break };
        open.retain(|other| *other != name);
        wrong.extend(answer.err().map(|error| format!("{name}: {error}")));
        if !is_still_so() {
            wrong.push(format!("{name} was answered when all was well again"));
        }
    }
    wrong.extend(open.iter().map(|name| format!("{name}: blocked, no answer within {patience:?}")));
    wrong
}

fn ask(address: SocketAddr, session: &str, question: &Question) -> Result<(), String> {
    let mut wire = Connection::open(address).map_err(|error| error.to_string())?;
    let answer = wire.send(question.method, &question.target, &[("RBackup-Session-Pass", session)], question.body);
    let answer = answer.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]).into_owned();
    let right = answer.status == question.wanted && (answer.status != 503 || said.contains("\"unavailable\""));
    if right { Ok(()) } else { Err(format!("{} instead of {}: {said}", answer.status, question.wanted)) }
}
