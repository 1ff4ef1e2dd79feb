//! `rbackup serve restic`, in place of `rclone serve restic`; and this program under the name `rest-server`, in place of that.

mod flags;
mod rclone;
mod remote;
mod rest_server;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use super::{Failure, say};

/// Another program's command line, if these words are one.
pub fn run(words: &[OsString]) -> Option<Result<ExitCode, Failure>> {
    let (program, rest) = words.split_first()?;
    if Path::new(program).file_name().is_some_and(|name| name == "rest-server") {
        return Some(text(rest).and_then(|words| rest_server::run(&words)));
    }
    match rest {
        [serve, restic, rest @ ..] if serve == "serve" && restic == "restic" => {
            Some(text(rest).and_then(|words| rclone::run(&words)))
        }
        _ => None,
    }
}

fn text(words: &[OsString]) -> Result<Vec<String>, Failure> {
    let unreadable = |word: OsString| Failure::Usage(format!("{word:?} is not UTF-8"));
    words.iter().cloned().map(|word| word.into_string().map_err(unreadable)).collect()
}

/// One line for all of them: restic shows it to its user each time.
fn say_ignored(ignored: &[String]) {
    if !ignored.is_empty() {
        say(&format!("rbackup: ignored, they mean nothing here: {}\n", ignored.join(" ")));
    }
}

/// A line for people, whatever it holds.
fn say_line(text: &str) {
    let shown: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    say(&format!("{shown}\n"));
}

impl From<flags::Wrong> for Failure {
    fn from(wrong: flags::Wrong) -> Self {
        Self::Usage(wrong.to_string())
    }
}
