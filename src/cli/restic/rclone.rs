//! `rbackup serve restic [flags] REMOTE`: rclone's flags, and ours.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::flags::{Kind, Typed};
use super::remote::Remote;
use super::{say_ignored, say_line};
use crate::app::{self, Address, Restic, SignIn};
use crate::cli::{Failure, errand, print};
use crate::client::{self, Pump};
use crate::config::{Config, Overrides};
use crate::model::Secret;
use crate::wire::preamble::Preamble;

const HELP: &str = "\
Serve restic repositories, as `rclone serve restic` does

Usage: rbackup serve restic [--stdio] [flags] REMOTE

REMOTE is account:repo/path, or repo/path in the local realm, which belongs to no account; or a path that begins with / or .:
that directory is the data directory. It is made on first use.

  --stdio              HTTP/2 on stdin and stdout; starts a process that holds the data directory if nobody serves it
  --addr ADDRESS       where to listen, HOST:PORT or unix:///PATH; may be repeated [127.0.0.1:8080]
  --user U --pass P    one user and its password (RCLONE_USER, RCLONE_PASS)
  --htpasswd FILE      users of a file of Apache's htpasswd, bcrypt or {SHA}; without any everybody may come
  --append-only        nothing may be removed except locks
  --private-repos      a user sees only what lies below its own name
  --baseurl PATH       what the URL begins with
  --cert FILE --key FILE   TLS with this certificate and key
  --no-verify-upload   take objects whose content is not what their name says
  --data DIR           the data directory (RBACKUP_DATA)
  --config FILE.toml   RBackup's own configuration (RBACKUP_CONFIG); other files are rclone's and ignored
  --log LEVEL          what goes to stderr: error, warn, info, debug or trace (RBACKUP_LOG)

Each flag of the first part can be given as RCLONE_FLAG_NAME. Other flags of rclone's are ignored, except those that say who may
come: --client-ca and --user-from-header and --min-tls-version tls1.3 are refused.
  restic -r rclone:photos -o rclone.program=rbackup init
  restic -r rclone:photos -o rclone.program='ssh nas rbackup' init
";

/// Flags that mean the same as rclone's; the environment may give them too.
const VALUED: [&str; 7] = ["addr", "user", "pass", "htpasswd", "baseurl", "cert", "key"];
const SWITCHES: [&str; 3] = ["stdio", "append-only", "private-repos"];
/// Ours.
const OWN_VALUED: [&str; 3] = ["data", "config", "log"];
const OWN_SWITCHES: [&str; 2] = ["no-verify-upload", "help"];
/// They say who may come, and are not obeyed here: ignoring one would open what it closes. The environment may give the first three.
const REFUSED_VALUED: [&str; 3] = ["client-ca", "user-from-header", "auth-proxy"];
const REFUSED_SWITCHES: [&str; 1] = ["read-only"];
/// No TLS is spoken here below 1.2, so only what asks for more is refused.
const MIN_TLS: &str = "min-tls-version";
const MIN_TLS_KEPT: [&str; 3] = ["tls1.0", "tls1.1", "tls1.2"];
const REFUSED_ENVIRONMENT: [&str; 3] = ["client-ca", "user-from-header", MIN_TLS];
/// What people give rclone besides; those that take a value must not swallow REMOTE, nor leave theirs to be taken for it.
const FOREIGN_VALUED: [&str; 25] = [
    "bwlimit",
    "transfers",
    "checkers",
    "stats",
    "log-file",
    "log-level",
    "log-format",
    "cache-dir",
    "buffer-size",
    "timeout",
    "contimeout",
    "retries",
    "low-level-retries",
    "tpslimit",
    "tpslimit-burst",
    "user-agent",
    "realm",
    "salt",
    "server-read-timeout",
    "server-write-timeout",
    "max-header-bytes",
    "allow-origin",
    "template",
    "response-header",
    "temp-dir",
];
const FOREIGN_SWITCHES: [&str; 14] = [
    "v",
    "vv",
    "vvv",
    "q",
    "verbose",
    "quiet",
    "b2-hard-delete",
    "drive-use-trash",
    "cache-objects",
    "fast-list",
    "use-mmap",
    "no-check-certificate",
    "checksum",
    "inplace",
];

fn kind(name: &str) -> Kind {
    let lists: [(Kind, &[&str]); 10] = [
        (Kind::Valued, &VALUED),
        (Kind::Valued, &OWN_VALUED),
        (Kind::Valued, &REFUSED_VALUED),
        (Kind::Valued, &[MIN_TLS]),
        (Kind::Switch, &REFUSED_SWITCHES),
        (Kind::Switch, &SWITCHES),
        (Kind::Switch, &OWN_SWITCHES),
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
    let typed_credentials = ["user", "pass", "htpasswd"].into_iter().find(|name| typed.has(name));
    let typed = typed.with_environment("RCLONE", &[&VALUED[..], &SWITCHES[..]].concat(), environment);
    let typed = typed.with_environment("RBACKUP", &OWN_VALUED, environment);
    let typed = match typed.is_on("stdio")? {
        // What closes a listener says nothing where none is opened.
        true => typed,
        false => typed.with_environment("RCLONE", &REFUSED_ENVIRONMENT, environment),
    };
    refuse(&typed)?;
    let [remote] = &typed.words[..] else {
        return Err(Failure::Usage("give one REMOTE; see rbackup serve restic --help".to_owned()));
    };
    let remote = Remote::parse(remote).map_err(|invalid| Failure::Usage(invalid.to_string()))?;
    let mut ignored = typed.ignored.clone();
    let config = load(&typed, &remote, &mut ignored)?;
    say_ignored(&ignored);
    if !typed.is_on("stdio")? {
        return listen(&typed, remote, &config.1);
    }
    if let Some(name) = typed_credentials {
        let sentence = format!("--{name} cannot be used with --stdio: restic signs in to nobody there");
        return Err(Failure::Usage(sentence));
    }
    pump(&typed, remote, config)
}

fn refuse(typed: &Typed) -> Result<(), Failure> {
    let mut wanted = None;
    for name in REFUSED_VALUED {
        wanted = wanted.or(typed.one(name)?.map(|_| name.to_owned()));
    }
    for name in REFUSED_SWITCHES {
        wanted = wanted.or(typed.is_on(name)?.then(|| name.to_owned()));
    }
    let tls = typed.one(MIN_TLS)?.filter(|version| !MIN_TLS_KEPT.contains(&version.as_str()));
    match wanted.or(tls.map(|version| format!("{MIN_TLS} {version}"))) {
        None => Ok(()),
        Some(flag) => {
            let wrong = "typed or as an RCLONE_ variable, is not supported here, and leaving it out would change who may do what";
            Err(Failure::Usage(format!("--{flag}, {wrong}")))
        }
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The configuration and its file.
fn load(typed: &Typed, remote: &Remote, ignored: &mut Vec<String>) -> Result<(Option<PathBuf>, Config), Failure> {
    let given = typed.one("config")?.map(PathBuf::from);
    let ours = given.clone().filter(|path| path.extension().is_some_and(|kind| kind == "toml"));
    if ours.is_none() && given.is_some() {
        ignored.push("--config".to_owned());
    }
    let data = remote.data.clone().or(typed.one("data")?.map(PathBuf::from));
    let data = data.as_deref().map(absolute).transpose()?;
    let log_level = typed.one("log")?;
    let overrides = Overrides { config: ours.clone(), data, log_level, ..Overrides::default() };
    let mut config = Config::load(overrides).map_err(app::Error::from)?;
    // Whoever holds the directory may live elsewhere than its pump.
    config.data = absolute(&config.data)?;
    Ok((ours, config))
}

/// Beside what is remembered of data directories: not in one, whose disk may be full.
const HOLDER_LOG: &str = "holder.log";

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|source| Failure::file(path, source))
}

fn pump(typed: &Typed, remote: Remote, (file, config): (Option<PathBuf>, Config)) -> Result<ExitCode, Failure> {
    if io::stdout().is_terminal() {
        return Err(Failure::Usage("--stdio speaks HTTP/2 on stdout, which is no terminal's language".to_owned()));
    }
    let mut holder: Vec<OsString> = vec!["hold".into(), "--data".into(), config.data.clone().into()];
    if let Some(file) = file {
        holder.extend(["--config".into(), absolute(&file)?.into()]);
    }
    let preamble = Preamble {
        account: remote.account,
        repo: remote.repo,
        append_only: typed.is_on("append-only")?,
        private_repos: typed.is_on("private-repos")?,
    };
    let log = config.known.map(|state| state.join(HOLDER_LOG));
    let pump = Pump { data: config.data, preamble, holder, log };
    client::run(&pump, &|sentence| say_line(&format!("rbackup: {sentence}")))?;
    Ok(ExitCode::SUCCESS)
}

fn listen(typed: &Typed, remote: Remote, config: &Config) -> Result<ExitCode, Failure> {
    let mut addresses = typed.all("addr");
    if addresses.is_empty() {
        addresses.push("127.0.0.1:8080".to_owned());
    }
    let tls = match (typed.one("cert")?, typed.one("key")?) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        _ => return Err(Failure::Usage("--cert and --key go together".to_owned())),
    };
    let plan = Restic {
        // The environment may name several, as flags do one by one.
        addresses: addresses.iter().flat_map(|text| text.split(',')).map(address).collect(),
        account: remote.account,
        repo: remote.repo,
        append_only: typed.is_on("append-only")?,
        private_repos: typed.is_on("private-repos")?,
        sign_in: sign_in(typed)?,
        url_base: url_base(&typed.one("baseurl")?.unwrap_or_default()),
        tls,
        rest_server: false,
        verify: !typed.is_on("no-verify-upload")?,
    };
    app::log_to_stderr(config.log_level);
    errand::instead_of_a_holder(config, || app::serve_restic(config, plan.clone(), &say_line))?;
    Ok(ExitCode::SUCCESS)
}

fn sign_in(typed: &Typed) -> Result<SignIn, Failure> {
    let (name, password) = (typed.one("user")?, typed.one("pass")?);
    match (name, password, typed.one("htpasswd")?) {
        (None, None, None) => Ok(SignIn::Open),
        (None, None, Some(file)) => Ok(SignIn::File(file.into())),
        (Some(name), Some(password), None) => Ok(SignIn::One { name, password: Secret::new(password) }),
        (_, _, Some(_)) => {
            Err(Failure::Usage("--htpasswd names the users already; leave --user and --pass out".to_owned()))
        }
        _ => Err(Failure::Usage("--user and --pass go together".to_owned())),
    }
}

fn address(text: &str) -> Address {
    let text = text.trim();
    let path = text.strip_prefix("unix://").or(Some(text).filter(|text| text.starts_with('/')));
    match path {
        Some(path) => Address::Unix(PathBuf::from(path)),
        None => Address::Tcp(text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/').to_owned()),
    }
}

/// `x`, `/x` and `/x/` are the same.
fn url_base(text: &str) -> String {
    match text.trim_matches('/') {
        "" => "/".to_owned(),
        path => format!("/{path}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_bases_as_rclone_writes_them() {
        for (text, wanted) in [
            (":8080", Address::Tcp(":8080".to_owned())),
            ("http://127.0.0.1:0/", Address::Tcp("127.0.0.1:0".to_owned())),
            ("unix:///run/x.sock", Address::Unix("/run/x.sock".into())),
            ("/run/x.sock", Address::Unix("/run/x.sock".into())),
        ] {
            assert_eq!(address(text), wanted);
        }
        assert_eq!(["", "/", "x", "/x", "/x/y/"].map(url_base), ["/", "/", "/x/", "/x/", "/x/y/"]);
    }

    #[test]
    fn every_flag_of_the_help_is_known() {
        let flags = HELP.split("--").skip(1).filter_map(|text| text.split([' ', '\n', ']']).next());
        for flag in flags {
            assert!(matches!(kind(flag), Kind::Valued | Kind::Switch), "{flag}");
        }
    }
}
