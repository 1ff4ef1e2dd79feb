//! `rbackup account`: an account's password and whether it may be used, for whoever owns the machine.
//!
//! Never: sets a password for an account without its old one or its recovery code, unless its content is given up.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::{Common, Failure, print, say};
use crate::app;
use crate::model::{Password, Secret, Username};
use crate::service::{Ended, Proof, Services};

#[derive(Debug, clap::Args)]
pub struct AccountArgs {
    #[command(subcommand)]
    command: AccountCommand,
}

/// Which account.
#[derive(Debug, clap::Args)]
struct Which {
    #[command(flatten)]
    common: Common,
    /// Its name
    name: String,
}

#[derive(Debug, clap::Subcommand)]
enum AccountCommand {
    /// Set a new password; the old one and the new one are read from stdin, a line each
    Passwd {
        #[command(flatten)]
        which: Which,
        /// Read the recovery code instead of the old password
        #[arg(long, conflicts_with = "forget_content")]
        recovery_code: bool,
        /// When password and recovery code are lost: give up all content and begin with a new key
        #[arg(long)]
        forget_content: bool,
        /// Do it; without this `--forget-content` only says what would be lost
        #[arg(long, requires = "forget_content")]
        yes: bool,
    },
    /// Let nobody use an account; its sessions end
    Disable(Which),
    /// Let an account be used again
    Enable(Which),
}

pub fn run(args: AccountArgs) -> Result<ExitCode, Failure> {
    match args.command {
        AccountCommand::Disable(which) => which.serve(|services, name| set_enabled(services, name, false)),
        AccountCommand::Enable(which) => which.serve(|services, name| set_enabled(services, name, true)),
        AccountCommand::Passwd { which, forget_content: true, yes, .. } => {
            which.serve(|services, name| forget(services, name, yes))
        }
        AccountCommand::Passwd { which, recovery_code, .. } => {
            which.serve(|services, name| passwd(services, name, recovery_code))
        }
    }
}

impl Which {
    /// Opens the store for one piece of work, and closes it in good order whatever came of that.
    fn serve(self, work: impl FnOnce(&Services, &Username) -> Result<(), app::Error>) -> Result<ExitCode, Failure> {
        let config = self.common.load(Vec::new(), false)?;
        app::log_to_stderr(config.log_level);
        let name = Username::parse(self.name).map_err(|error| app::Error::from(crate::service::Error::from(error)))?;
        let services = app::opened(&config)?;
        let done = work(&services, &name);
        services.close().map_err(app::Error::from)?;
        done?;
        Ok(ExitCode::SUCCESS)
    }
}

fn set_enabled(services: &Services, name: &Username, enabled: bool) -> Result<(), app::Error> {
    let Ended { sessions, .. } = services.set_enabled(name, enabled)?;
    let state = if enabled { "may be used" } else { "is disabled" };
    print(&format!("{} {state}; sessions ended: {sessions}\n", name.as_str()));
    Ok(())
}

fn passwd(services: &Services, name: &Username, by_code: bool) -> Result<(), app::Error> {
    let proof = match by_code {
        true => Proof::RecoveryCode(asked("Recovery code: ")?),
        false => Proof::Password(asked("Old password: ")?),
    };
    let new = new_password()?;
    let Ended { sessions, .. } = services.change_password(name, &proof, &new, false)?;
    print(&format!("the password is changed; sessions ended: {sessions}\n"));
    Ok(())
}

fn forget(services: &Services, name: &Username, yes: bool) -> Result<(), app::Error> {
    let content = services.content_of(name)?;
    say(&format!(
        "this gives up {} files with {} versions, {} bytes in all: nobody can read them any more.\n",
        content.files, content.versions, content.bytes
    ));
    if !yes {
        say("nothing was changed; add --yes to do it\n");
        return Ok(());
    }
    let recovered = services.forget_content(name, &new_password()?)?;
    let Ended { sessions, tokens } = recovered.ended;
    print(&format!(
        "the content is given up; sessions ended: {sessions}, tokens: {tokens}\nrecovery code: {}\n",
        recovered.recovery_code.reveal()
    ));
    Ok(())
}

fn new_password() -> Result<Password, app::Error> {
    let text = asked("New password: ")?;
    Password::parse(text.reveal().clone()).map_err(|error| crate::service::Error::from(error).into())
}

/// A line of stdin; from a terminal with a word of what is wanted, and not shown.
fn asked(what: &str) -> Result<Secret<String>, app::Error> {
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
    Ok(Secret::new(line))
}
