//! Users without accounts: `--user`, htpasswd files as Apache writes them, private repositories. Cases 76 to 85.

use super::listening::Listening;
use super::site::Site;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// Adds a user with Apache's own program.
fn htpasswd(file: &Path, words: &[&str], user: &str, password: &str) {
    let mut command = Command::new("htpasswd");
    if !file.exists() {
        std::fs::write(file, "").unwrap();
    }
    let ran = command.args(["-b"]).args(words).arg(file).args([user, password]).output();
    let ran = ran.expect("htpasswd is needed: apt-get install apache2-utils");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

fn statuses(server: &Listening, rows: &[(&str, &str, &str, &str, u16)]) {
    for (case, credentials, method, path, status) in rows {
        let words: Vec<&str> = if credentials.is_empty() { Vec::new() } else { vec!["-u", credentials] };
        let answer = server.with(&words).ask(method, path, b"");
        assert_eq!(answer.status, *status, "case {case}: {method} {path} as {credentials:?}: {}", answer.head);
    }
}

#[test]
fn one_user_of_the_command_line_or_the_environment() {
    for environment in [false, true] {
        let site = Site::new("one-user");
        let mut words = vec!["serve", "restic", "--addr", "127.0.0.1:0", "photos"];
        let variables: &[(&str, &str)] = match environment {
            true => &[("RCLONE_USER", "ann"), ("RCLONE_PASS", "s3cret word")],
            false => &[],
        };
        if !environment {
            words.extend(["--user", "ann", "--pass", "s3cret word"]);
        }
        let server = Listening::start_in(&site, "rbackup", &words, variables);
        statuses(
            &server,
            &[
                ("76", "", "GET", "/config", 401),
                ("76", "ann:wrong", "GET", "/config", 401),
                ("76", "bob:s3cret word", "GET", "/config", 401),
                ("76", ":", "GET", "/config", 401),
                ("76", "ann:", "GET", "/config", 401),
                ("76", ":s3cret word", "GET", "/config", 401),
                ("102", "ann:s3cret word", "GET", "/config", 404),
                ("102", "ann:s3cret word", "POST", "/?create=true", 200),
            ],
        );
        let challenge = server.ask("GET", "/config", b"").head;
        assert!(challenge.contains("www-authenticate: basic"), "case 76: {challenge}");
        let empty = server.with(&["-H", "Authorization: Basic Og=="]).ask("GET", "/config", b"");
        assert_eq!(empty.status, 401, "case 77");
        assert!(!server.said().contains("s3cret"), "{}", server.said());
        server.stop();
    }
}

#[test]
fn an_open_server_ignores_credentials() {
    let site = Site::new("open");
    let server = Listening::start(&site, "rbackup", &["serve", "restic", "--addr", "127.0.0.1:0", "photos"]);
    let answer = server.with(&["-H", "Authorization: Basic Og=="]).ask("GET", "/config", b"");
    assert_eq!(answer.status, 404, "case 77");
    server.stop();
}

#[test]
fn an_htpasswd_file_counts_as_it_changes() {
    let site = Site::new("htpasswd");
    let file = site.path("users");
    htpasswd(&file, &["-B", "-C", "5"], "ann", "first word");
    htpasswd(&file, &["-s"], "bob", "second word");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "sl/ash:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n").unwrap();
    let users = file.to_string_lossy();
    let words = ["serve", "restic", "--addr", "127.0.0.1:0", "--htpasswd", &users, "photos"];
    let server = Listening::start(&site, "rbackup", &words);
    for _ in 0..10 {
        statuses(
            &server,
            &[
                ("83", "ann:first word", "GET", "/config", 404),
                ("83", "ann:second word", "GET", "/config", 401),
                ("83", "bob:second word", "GET", "/config", 404),
                ("83", "bob:first word", "GET", "/config", 401),
                ("85", "sl/ash:password", "GET", "/config", 401),
            ],
        );
    }
    std::fs::remove_file(&file).unwrap();
    htpasswd(&file, &["-B", "-C", "5"], "cid", "third word");
    let old = SystemTime::now() - Duration::from_secs(5);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
    statuses(
        &server,
        &[("84", "cid:third word", "GET", "/config", 404), ("84", "ann:first word", "GET", "/config", 401)],
    );
    // A password is verified once and not with each request: fifty of them cost less than a few of bcrypt's runs.
    htpasswd(&file, &["-B", "-C", "12"], "slow", "fourth word");
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(old + Duration::from_secs(1)).unwrap();
    let begun = Instant::now();
    statuses(&server, &[("84", "slow:fourth word", "GET", "/config", 404)]);
    let first = begun.elapsed();
    let begun = Instant::now();
    for _ in 0..10 {
        statuses(&server, &[("84", "slow:fourth word", "GET", "/config", 404)]);
    }
    assert!(begun.elapsed() < first * 10, "remembered: {:?} after {first:?}", begun.elapsed());
    server.stop();
}

#[test]
fn private_repositories_as_each_program_has_them() {
    for (name, foreign) in [("rbackup", 403), ("rest-server", 401)] {
        let site = Site::new("private");
        std::fs::create_dir(site.data()).unwrap();
        let file = site.data().join(".htpasswd");
        htpasswd(&file, &["-s"], "alice", "first word");
        htpasswd(&file, &["-s"], "bob", "second word");
        let (data, users) = (site.data().to_string_lossy().into_owned(), file.to_string_lossy().into_owned());
        let words = match name {
            "rbackup" => {
                vec!["serve", "restic", "--addr", "127.0.0.1:0", "--private-repos", "--htpasswd", &users, &data]
            }
            _ => vec!["--listen", "127.0.0.1:0", "--private-repos", "--path", &data],
        };
        let server = Listening::start(&site, name, &words);
        let (alice, bob) = ("alice:first word", "bob:second word");
        let refused = if name == "rbackup" { [400, 404] } else { [401, 404] };
        statuses(
            &server,
            &[
                ("78", alice, "POST", "/alice/?create=true", 200),
                ("78", alice, "GET", "/alice/data/", 200),
                ("78", alice, "POST", "/alice/sub/?create=true", 200),
                ("79", alice, "POST", "/?create=true", foreign),
                ("79", alice, "GET", "/other/data/", foreign),
                ("79", alice, "GET", "/other/config", foreign),
                ("79", alice, "GET", "/alicex/config", foreign),
                ("79", bob, "GET", "/alice/config", foreign),
                ("79", alice, "GET", "/config", foreign),
                ("78", bob, "POST", "/bob/?create=true", 200),
            ],
        );
        let config = server.with(&["-u", bob]).ask("POST", "/bob/config", b"bob's");
        assert_eq!(config.status, 200);
        for path in [
            "/alice/../bob/config",
            "/alice/%2e%2e/bob/config",
            "/alice/..%2fbob/config",
            "/alice/./../bob/config",
            "//bob/config",
            "/alice//config",
            "/../x",
            "/./x",
            "/%00/config",
            "/alice%5c..%5cbob/config",
        ] {
            for method in ["GET", "HEAD", "POST", "DELETE"] {
                let answer = server.with(&["-u", alice]).ask(method, path, b"");
                assert!(refused.contains(&answer.status), "cases 80 and 81: {method} {path}: {}", answer.head);
                assert!(!answer.head.contains("location:"), "never a redirect");
            }
        }
        let config = server.with(&["-u", bob]).ask("GET", "/bob/config", b"");
        assert_eq!(config.body, b"bob's", "case 80: bob's is untouched");
        server.stop();
    }
}

#[test]
fn private_repositories_without_users_are_nobodys_or_everybodys() {
    let site = Site::new("private-open");
    let words = ["serve", "restic", "--addr", "127.0.0.1:0", "--private-repos", "photos"];
    let server = Listening::start(&site, "rbackup", &words);
    statuses(&server, &[("79", "", "GET", "/alice/config", 403), ("79", "alice:x", "GET", "/alice/config", 403)]);
    server.stop();
    let data = site.path("other").to_string_lossy().into_owned();
    let words = ["--no-auth", "--private-repos", "--listen", "127.0.0.1:0", "--path", &data];
    let server = Listening::start(&site, "rest-server", &words);
    statuses(&server, &[("79", "", "GET", "/alice/config", 404)]);
    server.stop();
}
