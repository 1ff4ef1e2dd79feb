//! This program under the name `rest-server`: that program's flags, its manners, its first line.

use std::path::PathBuf;
use std::process::ExitCode;

use super::flags::{Kind, Typed};
use super::{say_ignored, say_line};
use crate::app::{self, Address, Restic, SignIn};
use crate::cli::{Failure, errand, print};
use crate::config::{Config, Overrides};

const HELP: &str = "\
Serve restic repositories, as rest-server does; this is rbackup under another name

Usage: rest-server [flags]

  --path DIR             the data directory, made on first use [restic in the system's temporary directory]
  --listen ADDRESS       HOST:PORT or unix:/PATH [:8000]
  --htpasswd-file FILE   users of a file of Apache's htpasswd, bcrypt or {SHA} [.htpasswd in DIR]
  --no-auth              everybody may come
  --append-only          nothing may be removed except locks
  --private-repos        a user sees only what lies below its own name
  --no-verify-upload     take objects whose content is not what their name says
  --tls                  TLS with --tls-cert FILE [public_key in DIR] and --tls-key FILE [private_key in DIR]
";

const VALUED: [&str; 5] = ["path", "listen", "htpasswd-file", "tls-cert", "tls-key"];
const SWITCHES: [&str; 6] = ["no-auth", "append-only", "private-repos", "no-verify-upload", "tls", "help"];
const FOREIGN_VALUED: [&str; 2] = ["log", "cpu-profile"];
const FOREIGN_SWITCHES: [&str; 4] = ["debug", "prometheus", "prometheus-no-auth", "group-accessible-repos"];
/// They bound or open what is served: not obeying them silently would be worse than not starting.
const REFUSED: [&str; 2] = ["max-size", "proxy-auth-username"];
/// No TLS is spoken here below 1.2, so only what asks for more is refused.
const MIN_TLS: &str = "tls-min-ver";
const MIN_TLS_KEPT: [&str; 3] = ["1.0", "1.1", "1.2"];

fn kind(name: &str) -> Kind {
    let lists: [(Kind, &[&str]); 7] = [
        (Kind::Valued, &VALUED),
        (Kind::Valued, &[MIN_TLS]),
        (Kind::Valued, &REFUSED),
        (Kind::Switch, &SWITCHES),
        (Kind::Switch, &["h"]),
        (Kind::ForeignValued, &FOREIGN_VALUED),
        (Kind::ForeignSwitch, &FOREIGN_SWITCHES),
    ];
    Kind::of(name, &lists)
}

pub fn run(words: &[String]) -> Result<ExitCode, Failure> {
    let typed = Typed::sort(words, kind)?;
    if typed.is_on("help")? || typed.is_on("h")? {
        print(HELP);
        return Ok(ExitCode::SUCCESS);
    }
    refuse(&typed)?;
    say_ignored(&typed.ignored);
    let data = typed.one("path")?.map_or_else(|| std::env::temp_dir().join("restic"), PathBuf::from);
    let config =
        Config::load(Overrides { data: Some(data.clone()), ..Overrides::default() }).map_err(app::Error::from)?;
    let below =
        |flag: &str, name: &str| typed.one(flag).map(|given| given.map_or_else(|| data.join(name), PathBuf::from));
    let certificate = match typed.is_on("tls")? {
        true => Some((below("tls-cert", "public_key")?, below("tls-key", "private_key")?)),
        false => None,
    };
    let sign_in = match typed.is_on("no-auth")? {
        true => SignIn::Open,
        false => SignIn::File(below("htpasswd-file", ".htpasswd")?),
    };
    let plan = Restic {
        addresses: vec![address(&typed.one("listen")?.unwrap_or_else(|| ":8000".to_owned()))],
        account: None,
        repo: String::new(),
        append_only: typed.is_on("append-only")?,
        private_repos: typed.is_on("private-repos")?,
        sign_in,
        url_base: "/".to_owned(),
        tls: certificate,
        rest_server: true,
        verify: !typed.is_on("no-verify-upload")?,
    };
    app::log_to_stderr(config.log_level);
    errand::instead_of_a_holder(&config, || app::serve_restic(&config, plan.clone(), &say_line))?;
    Ok(ExitCode::SUCCESS)
}

fn refuse(typed: &Typed) -> Result<(), Failure> {
    let wrong = |sentence: String| Err(Failure::Usage(sentence));
    if let Some(word) = typed.words.first() {
        return wrong(format!("rest-server takes flags only, not {word:?}"));
    }
    if let Some(name) = REFUSED.into_iter().find(|name| typed.has(name)) {
        return wrong(format!("--{name} is not supported here, and leaving it out would change who may do what"));
    }
    if let Some(version) = typed.one(MIN_TLS)?.filter(|version| !MIN_TLS_KEPT.contains(&version.as_str())) {
        return wrong(format!("--{MIN_TLS} {version} is not supported here; TLS 1.2 is the least that is spoken"));
    }
    if !typed.is_on("tls")? && (typed.has("tls-cert") || typed.has("tls-key")) {
        return wrong("--tls-cert and --tls-key need --tls".to_owned());
    }
    Ok(())
}

fn address(text: &str) -> Address {
    match text.strip_prefix("unix:") {
        Some(path) => Address::Unix(PathBuf::from(path)),
        None => Address::Tcp(text.to_owned()),
    }
}
