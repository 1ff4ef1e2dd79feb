//! The two programs that this one stands in for: their words, their manners, and what of them is refused. Cases 8, 100 and 102.

use super::listening::Listening;
use super::restic::{Ended, Running};
use super::site::{Site, signal};

fn run(site: &Site, name: &str, words: &[&str]) -> Ended {
    Running::of(site.program_as(name).args(words)).end()
}

#[test]
fn rclones_words_are_taken_before_and_behind_remote_and_said_in_one_line() {
    let site = Site::new("words");
    for (words, ignored) in [
        (&["--stdio", "--b2-hard-delete", "photos"][..], "--b2-hard-delete"),
        (&["--stdio", "--b2-hard-delete", "--drive-use-trash=false", ""], "--b2-hard-delete --drive-use-trash"),
        (&["-vv", "--stdio", "photos", "--bwlimit", "1M", "--transfers", "4"], "-vv --bwlimit --transfers"),
        (&["--stdio", "--never-heard-of", "photos", "--cache-objects=false"], "--never-heard-of --cache-objects"),
        (&["--stdio", "--config", "/etc/rclone/rclone.conf", "photos"], "--config"),
        (&["--stdio", "--append-only=true", "--private-repos=false", "photos"], ""),
    ] {
        let ended = run(&site, "rbackup", &[&["serve", "restic"], words].concat());
        assert_eq!(ended.code, Some(0), "case 100: {words:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "case 98");
        let lines: Vec<&str> = ended.stderr.lines().collect();
        match ignored {
            "" => assert_eq!(lines, [""; 0], "{words:?}"),
            _ => assert!(lines.len() == 1 && lines[0].ends_with(ignored), "{words:?}: {lines:?}"),
        }
    }
}

#[test]
fn what_cannot_be_meant_ends_with_2_and_makes_nothing() {
    let site = Site::new("usage");
    for words in [
        &["serve", "restic"][..],
        &["serve", "restic", "--stdio"],
        &["serve", "restic", "--stdio", "a", "b"],
        &["serve", "restic", "--stdio", "--append-only=perhaps", "photos"],
        &["serve", "restic", "--stdio", "--user", "ann", "--pass", "word", "photos"],
        &["serve", "restic", "--stdio", "--htpasswd", "/users", "photos"],
        &["serve", "restic", "--user", "ann", "photos"],
        &["serve", "restic", "--cert", "/cert.pem", "photos"],
        &["serve", "restic", "photos", "--addr"],
        &["serve", "restic", "--stdio", "--log", "loud", "photos"],
        &["serve", "restic", "--client-ca", "/ca.pem", "photos"],
        &["serve", "restic", "photos", "--client-ca=/ca.pem"],
        &["serve", "restic", "--user-from-header", "X-User", "photos"],
        &["serve", "restic", "--stdio", "--user-from-header=X-User", "photos"],
        &["serve", "restic", "--auth-proxy", "/bin/who", "photos"],
        &["serve", "restic", "--read-only", "photos"],
        &["serve", "restic", "--min-tls-version", "tls1.3", "photos"],
    ] {
        let ended = run(&site, "rbackup", words);
        assert_eq!(ended.code, Some(2), "{words:?}: {}", ended.stderr);
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{words:?}");
    }
    for words in [
        &["photos"][..],
        &["--no-auth", "--max-size", "1000"],
        &["--proxy-auth-username", "X-User"],
        &["--no-auth", "--tls-cert", "/cert.pem"],
        &["--no-auth", "--tls", "--tls-min-ver", "1.3"],
    ] {
        let ended = run(&site, "rest-server", words);
        assert_eq!(ended.code, Some(2), "rest-server {words:?}: {}", ended.stderr);
    }
    assert!(!site.data().exists());
}

#[test]
fn what_says_who_may_come_is_obeyed_or_refused_in_the_environment_too() {
    let site = Site::new("refused");
    let listen = ["serve", "restic", "--addr", "127.0.0.1:0", "photos"];
    let said =
        [("RCLONE_CLIENT_CA", "/ca.pem"), ("RCLONE_USER_FROM_HEADER", "X-User"), ("RCLONE_MIN_TLS_VERSION", "tls1.3")];
    for (name, value) in said {
        let ended = Running::of(site.program_as("rbackup").args(listen).env(name, value)).end();
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains("who may do what"), "{name}: {}", ended.stderr);
        assert!(!site.data().exists(), "{name}");
    }
    let stdio = ["serve", "restic", "--stdio", "photos"];
    let ended = Running::of(site.program_as("rbackup").args(stdio).envs(said)).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "nothing listens there");
    let kept = [("RCLONE_MIN_TLS_VERSION", "tls1.2"), ("RCLONE_CLIENT_CA", "")];
    let words = [&listen[..], &["--realm", "nas", "--salt", "x", "--allow-origin", "*"]].concat();
    let server = Listening::start_in(&site, "rbackup", &words, &kept);
    assert_eq!(server.ask("GET", "/a/config", b"").status, 404, "what closes nothing is ignored");
    server.stop();
}

#[test]
fn help_is_on_stdout() {
    let site = Site::new("help");
    for (name, words, named) in
        [("rbackup", &["serve", "restic", "--help"][..], "--stdio"), ("rest-server", &["--help"], "--htpasswd-file")]
    {
        let ended = run(&site, name, words);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains(named), "{}", ended.stdout);
    }
}

#[test]
fn rest_server_wants_users_unless_told_otherwise() {
    let site = Site::new("no-users");
    let data = site.data().to_string_lossy().into_owned();
    let ended = run(&site, "rest-server", &["--listen", "127.0.0.1:0", "--path", &data]);
    assert_eq!(ended.code, Some(10), "{}", ended.stderr);
    assert!(ended.stderr.contains(".htpasswd"), "{}", ended.stderr);
    assert!(!site.data().exists(), "nothing was made");
    let server = Listening::start(&site, "rest-server", &["--no-auth", "--listen", "127.0.0.1:0", "--path", &data]);
    for (path, status) in [("/a/b/config", 404), ("/a/b/c/config", 404), ("/a/b/c/?create=true", 404)] {
        let method = if path.ends_with("true") { "POST" } else { "GET" };
        assert_eq!(server.ask(method, path, b"").status, status, "case 8: {path}");
    }
    signal("HUP", server.pid());
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(server.ask("GET", "/a/config", b"").status, 404, "case 84: SIGHUP ends nothing");
    server.stop();
    let server = Listening::start(&site, "rbackup", &["serve", "restic", "--addr", "127.0.0.1:0", &data]);
    for (path, status) in [("/a/b/c/?create=true", 200), ("/a/b/c/config", 200)] {
        assert_eq!(server.ask("POST", path, b"").status, status, "case 8: rclone takes any depth: {path}");
    }
    server.stop();
}

#[test]
fn uploads_are_verified_unless_told_otherwise() {
    let site = Site::new("verify");
    let wrong = format!("/a/data/{}", "0".repeat(64));
    let server = Listening::start(&site, "rbackup", &["serve", "restic", "--addr", "127.0.0.1:0", ""]);
    assert_eq!(server.ask("POST", &wrong, b"something else").status, 400, "case 23");
    server.stop();
    let words = ["serve", "restic", "--addr", "127.0.0.1:0", "--no-verify-upload", ""];
    let server = Listening::start(&site, "rbackup", &words);
    assert_eq!(server.ask("POST", &wrong, b"something else").status, 200, "case 23, as rclone has it");
    server.stop();
}
