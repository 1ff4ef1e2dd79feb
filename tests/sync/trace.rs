//! Reads what `strace -f -y` wrote: looks for the sync between the last write of a version and its 200, and adds up what was written.
#![allow(dead_code, reason = "each harness is its own crate and uses a part of it")]

use std::collections::{BTreeMap, HashMap};

/// One system call; begin and end are line numbers, different when threads took turns.
#[derive(Clone, Debug)]
struct Call {
    name: String,
    text: String,
    begin: usize,
    end: usize,
    injected: bool,
    result: i64,
}

/// What was found when all is well.
#[derive(Debug, PartialEq, Eq)]
pub struct Synced {
    /// Writes to volumes between the answer before and the 200.
    pub writes: usize,
    /// The volumes they went to.
    pub volumes: usize,
}

/// Holds the one `200` of a trace against the rule: every volume's `db` written since the answer before it was synced
/// after its last write and before the 200 was sent.
pub fn verdict(trace: &str) -> Result<Synced, String> {
    let calls = parse(trace);
    let answers = |status: &str| -> Vec<&Call> {
        let head = format!("\"HTTP/1.1 {status}");
        calls.iter().filter(|call| call.text.contains(&head)).collect()
    };
    let [answer] = answers("200")[..] else {
        return Err(format!("{} answers with 200, not one", answers("200").len()));
    };
    let before = answers("201").last().map_or(0, |call| call.end);
    let mut last_write: BTreeMap<&str, usize> = BTreeMap::new();
    let mut writes = 0;
    for call in calls.iter().filter(|call| call.is_write() && call.begin > before && call.begin < answer.begin) {
        if let Some(volume) = call.volume() {
            writes += 1;
            let last = last_write.entry(volume).or_default();
            *last = (*last).max(call.end);
        }
    }
    if last_write.is_empty() {
        return Err("nothing was written to a volume between the answer before and the 200".into());
    }
    for (volume, last) in &last_write {
        let synced = |call: &Call| {
            call.is_sync()
                && call.volume() == Some(volume)
                && call.begin > *last
                && call.end < answer.begin
                && call.result == 0
                && !call.injected
        };
        if !calls.iter().any(synced) {
            return Err(format!(
                "{volume}: no sync between its last write (line {last}) and the 200 (line {})",
                answer.begin
            ));
        }
    }
    Ok(Synced { writes, volumes: last_write.len() })
}

/// Bytes that were written to volumes, but for what sled notes beside its `db`.
pub fn written_to_volumes(trace: &str) -> u64 {
    let calls = parse(trace);
    let written = calls.iter().filter(|call| call.is_write() && call.volume().is_some());
    written.map(|call| u64::try_from(call.result).unwrap_or(0)).sum()
}

impl Call {
    fn is_write(&self) -> bool {
        ["write", "writev", "pwrite64", "pwritev", "pwritev2"].contains(&self.name.as_str())
    }

    fn is_sync(&self) -> bool {
        self.name == "fdatasync" || self.name == "fsync"
    }

    /// The volume's `db` this call's descriptor stands for.
    fn volume(&self) -> Option<&str> {
        let path = self.text.split_once('<')?.1.split_once('>')?.0;
        (path.contains("/volumes/") && path.ends_with("/db")).then_some(path)
    }
}

fn parse(trace: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, Call> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            if let Some(call) = begin(start, number) {
                unfinished.insert(thread, call);
            }
        } else if rest.starts_with("<... ") {
            if let Some(mut call) = unfinished.remove(thread) {
                call.finish(rest, number);
                calls.push(call);
            }
        } else if let Some(mut call) = begin(rest, number) {
            call.finish(rest, number);
            calls.push(call);
        }
    }
    calls.extend(unfinished.into_values());
    calls.sort_by_key(|call| call.begin);
    calls
}

fn begin(text: &str, line: usize) -> Option<Call> {
    let (name, _) = text.split_once('(')?;
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    // Not finished counts as never: the end is behind everything.
    plain.then(|| Call {
        name: name.into(),
        text: text.into(),
        begin: line,
        end: usize::MAX,
        injected: false,
        result: -1,
    })
}

impl Call {
    fn finish(&mut self, text: &str, line: usize) {
        self.end = line;
        let result = text.rsplit_once(" = ").map_or("", |(_, result)| result);
        self.injected = result.contains("(INJECTED)");
        self.result = result.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(-1);
    }
}
