//! The command line: its first line, its exit codes, its help, and whose word counts when several are given.

use crate::support::House;
use crate::support::house::program;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

fn run(words: &[&str]) -> Output {
    program().args(words).output().expect("the program runs")
}

fn stderr(ended: &Output) -> String {
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

#[test]
fn the_first_line_names_version_address_and_directory() {
    let house = House::start();
    let line = house.first_line();
    let wanted = format!("rbackup {} listening on {}", env!("CARGO_PKG_VERSION"), house.url());
    assert!(line.starts_with(&wanted), "{line}");
    assert!(line.ends_with(&format!("(data: {})", house.data().display())), "{line}");
    assert!(house.url().starts_with("http://127.0.0.1:") && !house.url().ends_with(":0"), "{line}");
    house.status().expect(200);
}

#[test]
fn help_is_on_stdout_and_ends_with_0() {
    for words in [&["--help"][..], &["serve", "--help"], &["check", "--help"], &["rebuild", "--help"]] {
        let ended = run(words);
        assert_eq!(ended.status.code(), Some(0), "{words:?}");
        assert!(String::from_utf8_lossy(&ended.stdout).contains("--data") || words.len() == 1, "{words:?}");
        assert!(!ended.stdout.is_empty() && ended.stderr.is_empty(), "{words:?}");
    }
    let version = run(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&version.stdout).trim(), concat!("rbackup ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn words_that_are_none_end_with_2() {
    for words in [&["nonsense"][..], &["serve", "--nonsense"], &["serve", "--listen", "nowhere"], &["check", "--data"]]
    {
        let ended = run(words);
        assert_eq!(ended.status.code(), Some(2), "{words:?}: {}", stderr(&ended));
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn a_config_with_an_unknown_key_a_wrong_type_or_no_file_ends_with_2() {
    let house = House::empty();
    let file = house.beside("rbackup.toml");
    let bad =
        ["[server]\nlisten_on = \"127.0.0.1:0\"\n", "[sever]\n", "nonsense", "[server]\nlisten = 7\n", "[server\n"];
    for text in bad {
        std::fs::write(&file, text).expect("write the config");
        let ended = house.run(&["serve", "--config", &file.to_string_lossy()]);
        assert_eq!(ended.status.code(), Some(2), "{text:?}: {}", stderr(&ended));
        assert!(stderr(&ended).contains("rbackup.toml"), "it names the file: {}", stderr(&ended));
    }
    let ended = house.run(&["serve", "--config", "/nowhere/rbackup.toml"]);
    assert_eq!(ended.status.code(), Some(2), "{}", stderr(&ended));
    assert!(!house.data().exists(), "nothing was made");
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_file() {
    let house = House::empty();
    let file = house.beside("rbackup.toml");
    std::fs::write(&file, "[server]\nlisten = \"256.0.0.1:nonsense\"\n").expect("write the config");
    let config = file.to_string_lossy().into_owned();
    let serve = |environment: &str, flag: &[&str]| {
        let mut command = house.program();
        command.args(["serve", "--config", &config, "--data"]).arg(house.data()).args(flag);
        if !environment.is_empty() {
            command.env("RBACKUP_LISTEN", environment);
        }
        command
    };
    let ended = serve("", &[]).output().expect("it runs");
    assert_eq!(ended.status.code(), Some(2), "the file's word counts: {}", stderr(&ended));
    assert!(starts(serve("127.0.0.1:0", &[])), "the environment's word counts");
    assert!(starts(serve("nonsense", &["--listen", "127.0.0.1:0"])), "the flag's word counts");
}

#[test]
fn a_port_that_is_taken_ends_with_1_and_says_which() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("take a port");
    let address = taken.local_addr().expect("an address").to_string();
    let house = House::empty();
    let ended = house.run(&["serve", "--listen", &address]);
    assert_eq!(ended.status.code(), Some(1), "{}", stderr(&ended));
    assert!(stderr(&ended).contains(&address), "{}", stderr(&ended));
}

#[test]
fn check_and_rebuild_of_nothing_end_with_10_and_make_nothing() {
    let house = House::empty();
    for command in ["check", "rebuild"] {
        let ended = house.run(&[command]);
        assert_eq!(ended.status.code(), Some(10), "{command}: {}", stderr(&ended));
        assert!(!house.data().exists(), "{command} makes no store");
    }
}

#[test]
fn a_directory_that_is_no_store_is_refused_and_left_as_it_is() {
    let house = House::empty();
    std::fs::create_dir_all(house.data()).expect("make a directory");
    std::fs::write(house.data().join("holiday.jpg"), b"not a store").expect("put something into it");
    let ended = house.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(ended.status.code().is_some_and(|code| code != 0), "{}", stderr(&ended));
    let names: Vec<_> =
        std::fs::read_dir(house.data()).expect("read it").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["holiday.jpg"]);
}

#[test]
fn the_data_directory_is_ours_alone() {
    let mut house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/a", b"1");
    house.restart();
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("look").permissions().mode() & 0o777;
    assert_eq!(mode(&house.data()), 0o700);
    for entry in std::fs::read_dir(house.data()).expect("read it").flatten() {
        let wanted = if entry.path().is_dir() { 0o700 } else { 0o600 };
        let held = mode(&entry.path());
        assert_eq!(held & 0o077, 0, "{:?} is {held:o}, others see nothing", entry.path());
        assert_eq!(held & wanted, wanted, "{:?} is {held:o}", entry.path());
    }
}

#[test]
fn logs_go_to_stderr_and_name_no_query() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    house.curl("/list/files?device_id=a-name-to-look-for").session(&member.session).send().expect(404);
    house.curl("/account/login?device_id=d&username=anna&password=a-password-to-look-for").send().expect(401);
    house.upload(&member.session, b"/a-path-to-look-for", b"x").expect(200);
    house.status().expect(200);
    let log = house.log();
    assert!(!log.contains("to-look-for"), "{log}");
}

#[test]
fn a_planted_secret_in_the_log_would_be_seen() {
    let house = House::start();
    house.member("anna", "laptop");
    assert!(house.leaks().is_empty(), "{:?}", house.leaks());
    house.secret("/account/register");
    assert_eq!(house.leaks(), ["/account/register"], "the log names routes, so this one is found:\n{}", house.log());
    house.forget_secrets();
}

/// `rbackup`, and not a word more, run by `wrapper`, in an environment that is the test's own.
fn bare(house: &House, wrapper: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(env!("CARGO_BIN_EXE_rbackup")).env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").expect("a PATH")).env("RBACKUP_LISTEN", "127.0.0.1:0");
    command.env("RBACKUP_STATE_DIR", house.beside("home/state")).envs(environment.iter().copied());
    command
}

/// What runs it, its environment, and where its data are.
type Bare<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], String);

/// The user's place where the system's is not ours to write, the system's where it is.
#[test]
fn alone_it_serves_the_directory_that_is_the_default() {
    const NOBODY: [&str; 6] = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    // A /var/lib of its own, which goes with it.
    const ROOT: [&str; 5] = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /var/lib && exec \"$0\""];
    let house = House::reachable();
    let home = house.beside("home");
    std::fs::create_dir(&home).expect("a home");
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).expect("nobody's home");
    let home = home.to_str().expect("a plain path");
    let elsewhere = format!("{home}/elsewhere");
    let rows: [Bare; 4] = [
        (&NOBODY, &[("HOME", home)], format!("{home}/.local/share/rbackup")),
        (&NOBODY, &[("HOME", home), ("XDG_DATA_HOME", "")], format!("{home}/.local/share/rbackup")),
        (&NOBODY, &[("HOME", home), ("XDG_DATA_HOME", &elsewhere)], format!("{elsewhere}/rbackup")),
        (&ROOT, &[("HOME", home), ("XDG_DATA_HOME", &elsewhere)], "/var/lib/rbackup".to_owned()),
    ];
    for (wrapper, environment, data) in rows {
        let line = first_line(bare(&house, wrapper, environment));
        assert!(line.contains(" listening on http://127.0.0.1:"), "{wrapper:?} {environment:?}: {line:?}");
        assert!(line.ends_with(&format!("(data: {data})\n")), "{wrapper:?} {environment:?}: {line:?}");
    }
    let ended = bare(&house, &NOBODY, &[]).output().expect("it runs");
    assert_eq!(ended.status.code(), Some(2), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("no data directory"), "{}", stderr(&ended));
}

/// Whether it says that it listens; it is ended either way.
fn starts(command: Command) -> bool {
    first_line(command).contains(" listening on ")
}

/// What it says first; it is ended then.
fn first_line(mut command: Command) -> String {
    use std::io::{BufRead, BufReader};
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut line = String::new();
    let _ = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
    let _ = (child.kill(), child.wait());
    line
}
