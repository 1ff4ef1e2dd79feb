//! What a command asks of whoever typed it. Never: shows a secret that is typed.

use std::io::{self, BufRead, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::super::{Failure, say};
use crate::app;
use crate::model::Password;
use crate::wire::admin::Hidden;

/// A new password, refused here already where it cannot be one.
pub fn new_password() -> Result<Hidden, Failure> {
    let text = asked("New password: ")?;
    Password::parse(text.0.reveal().clone()).map_err(|invalid| Failure::Usage(invalid.to_string()))?;
    Ok(text)
}

/// A line of stdin; from a terminal with a word of what is wanted, and not shown.
pub fn asked(what: &str) -> Result<Hidden, Failure> {
    let stdin = io::stdin();
    let shown = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten();
    if let Some(terminal) = &shown {
        say(what);
        let mut hidden = terminal.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        let _ = tcsetattr(&stdin, OptionalActions::Flush, &hidden);
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if let Some(terminal) = &shown {
        let _ = tcsetattr(&stdin, OptionalActions::Flush, terminal);
        say("\n");
    }
    read.map_err(app::Error::Start)?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(Hidden::new(line))
}
