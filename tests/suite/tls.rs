//! TLS on the main listener as openssl and curl see it: whose certificate, which versions, read again without a connection lost.

use crate::support::House;
use crate::support::house::signal;
use crate::support::openssl::{Handshake, OldServer, Speaking, make_certificate};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A signal that is not heeded for so long was lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was printed as the certificate's fingerprint.
fn printed(house: &House) -> String {
    let said = house.said("fingerprint (SHA-256): ");
    let (_, rest) = said.split_once("fingerprint (SHA-256): ").unwrap_or_default();
    rest.lines().next().unwrap_or_default().to_owned()
}

fn trusted(house: &House, certificate: &Path, path: &str, words: &[&str]) -> crate::support::Answer {
    house.curl(path).args(["--cacert".into(), certificate.as_os_str().to_owned()]).args(words).try_send()
}

#[test]
fn a_certificate_of_its_own_is_made_once_and_its_fingerprint_is_said_everywhere() {
    let mut house = House::empty();
    house.open_with(&["--tls", "auto"]);
    assert!(house.url().starts_with("https://127.0.0.1:"), "{}", house.first_line());
    let fingerprint = printed(&house);
    assert_eq!(fingerprint.len(), 32 * 3 - 1, "{fingerprint}");
    let seen = Handshake::with(&house, &[]);
    assert_eq!(seen.fingerprint, fingerprint, "openssl sees the one that was printed");
    let certificate = house.beside("seen.pem");
    std::fs::write(&certificate, &seen.certificate).expect("keep what openssl saw");
    let status = trusted(&house, &certificate, "/api/v1/status", &[]).expect(200).json();
    assert_eq!(status["tls"]["fingerprint_sha256"], fingerprint.as_str(), "{status}");
    let stranger = house.curl("/status").try_send();
    assert_eq!(stranger.curl_exit, 60, "curl does not trust a certificate that it was not given");
    let kept = house.data().join("tls.pem");
    let text = std::fs::read_to_string(&kept).expect("it is kept in the data directory");
    assert_eq!(std::fs::metadata(&kept).expect("look").permissions().mode() & 0o777, 0o600);
    let key = text.split("-----BEGIN PRIVATE KEY-----").nth(1).and_then(|rest| rest.trim().lines().next());
    house.secret(key.expect("the key is in it"));
    house.stop();
    house.open_with(&["--tls", "auto"]);
    assert_eq!(printed(&house), fingerprint, "the same after a restart");
    trusted(&house, &certificate, "/status", &[]).expect(200);
    house.stop();
    house.open();
    assert_eq!(house.curl("/api/v1/status").send().expect(200).json()["tls"], serde_json::Value::Null);
}

#[test]
fn tls_1_2_and_1_3_with_h2_and_http_1_1_and_nothing_older_and_no_hsts() {
    let mut house = House::empty();
    house.open_with(&["--tls", "auto"]);
    let certificate = house.beside("seen.pem");
    std::fs::write(&certificate, Handshake::with(&house, &[]).certificate).expect("keep it");
    for version in ["-tls1_2", "-tls1_3"] {
        for protocol in ["h2", "http/1.1"] {
            let seen = Handshake::with(&house, &[version, "-alpn", protocol]);
            assert!(seen.said.contains(&format!("ALPN protocol: {protocol}")), "{version} {protocol}: {}", seen.said);
        }
    }
    assert!(Handshake::with(&house, &["-alpn", "http/1.1,h2"]).said.contains("ALPN protocol: h2"), "h2 is preferred");
    let lax = OldServer::start(&house);
    for old in ["-tls1", "-tls1_1"] {
        let planted = Handshake::at(&lax.address, &[old, "-cipher", "ALL:@SECLEVEL=0"]);
        assert_ne!(planted.certificate, "", "a server that speaks {old} would be found out: {}", planted.said);
        let seen = Handshake::with(&house, &[old, "-cipher", "ALL:@SECLEVEL=0"]);
        assert_eq!(seen.certificate, "", "{old} is refused: {}", seen.said);
    }
    for (word, head) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let answer = trusted(&house, &certificate, "/status", &[word, "-w", "%{http_version}"]).expect(200);
        assert_eq!(answer.header("Strict-Transport-Security"), None, "HTTP/{head}");
    }
}

/// A server with files of ours: the house, the certificate, its key.
fn with_files() -> (House, PathBuf, PathBuf) {
    let house = House::empty();
    let (certificate, key) = (house.beside("cert.pem"), house.beside("key.pem"));
    make_certificate(&certificate, &key);
    (house, certificate, key)
}

#[test]
fn files_are_read_again_at_sighup_and_no_connection_is_lost() {
    let (mut house, certificate, key) = with_files();
    let config = house.beside("rbackup.toml");
    let text = format!("[server]\ncert = {certificate:?}\nkey = {key:?}\n");
    std::fs::write(&config, text).expect("write the config");
    house.open_with(&["--config", &config.to_string_lossy()]);
    let first = Handshake::with(&house, &[]).fingerprint;
    assert_eq!(printed(&house), first);
    let mut held = Speaking::to(&house);
    assert!(held.ask("GET /api/v1/status").contains(&first));
    make_certificate(&certificate, &key);
    signal("HUP", house.pid());
    let second = changed(&house, &first);
    assert!(held.ask("GET /api/v1/status").contains(&first), "the connection from before goes on");
    trusted(&house, &certificate, "/status", &[]).expect(200);
    std::fs::write(&key, "no key at all").expect("spoil the key");
    signal("HUP", house.pid());
    said_in_log(&house, "the one in use stays");
    assert_eq!(Handshake::with(&house, &[]).fingerprint, second, "what cannot be used changes nothing");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("open it to all");
    make_certificate(&certificate, &house.beside("other-key.pem"));
    std::fs::copy(house.beside("other-key.pem"), &key).expect("a good key that others can read");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("open it to all");
    signal("HUP", house.pid());
    said_in_log(&house, "can be read by others");
    assert_eq!(Handshake::with(&house, &[]).fingerprint, second);
    assert!(held.ask("GET /status").contains("RBackup running"), "and the first connection still goes on");
}

fn changed(house: &House, from: &str) -> String {
    let begun = Instant::now();
    loop {
        let seen = Handshake::with(house, &[]).fingerprint;
        if !seen.is_empty() && seen != from {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "SIGHUP was not heeded:\n{}", house.log());
    }
}

fn said_in_log(house: &House, wanted: &str) {
    let begun = Instant::now();
    while !house.log().contains(wanted) {
        assert!(begun.elapsed() < PATIENCE, "the log never says {wanted:?}:\n{}", house.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_key_that_others_can_read_is_refused_at_start_and_nothing_is_made() {
    let (house, certificate, key) = with_files();
    let words = ["--cert", &certificate.to_string_lossy(), "--key", &key.to_string_lossy()].map(str::to_owned);
    for mode in [0o604, 0o644, 0o666, 0o601] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).expect("change the mode");
        let mut command = house.program();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(house.data()).args(&words);
        let ended = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{mode:o}: {said}");
        assert!(said.contains("can be read by others") && said.contains("key.pem"), "{said}");
        assert!(!house.data().exists(), "nothing was made");
    }
    let mut house = house;
    for mode in [0o600, 0o640, 0o400] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).expect("change the mode");
        house.open_with(&words.each_ref().map(String::as_str));
        house.stop();
    }
}

#[test]
fn half_a_pair_and_two_choices_end_with_2() {
    let (house, certificate, key) = with_files();
    let (certificate, key) = (certificate.to_string_lossy().into_owned(), key.to_string_lossy().into_owned());
    for words in [
        &["--cert", certificate.as_str()][..],
        &["--key", &key],
        &["--tls", "auto", "--cert", &certificate, "--key", &key],
        &["--tls", "yes"],
    ] {
        let ended = house.run(&[&["serve", "--listen", "127.0.0.1:0"], words].concat());
        assert_eq!(ended.status.code(), Some(2), "{words:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    assert!(!house.data().exists(), "nothing was made");
}

#[test]
fn on_loopback_the_exact_command_for_the_network_is_printed_and_works() {
    let mut house = House::start();
    let said = house.said("--tls auto");
    let line = said.lines().find(|line| line.contains("--tls auto")).unwrap_or_default().trim().to_owned();
    let (_, port) = house.address().split_once(':').expect("a port");
    assert_eq!(line, format!("rbackup serve --listen 0.0.0.0:{port} --tls auto"));
    house.stop();
    let words: Vec<&str> = line.split(' ').collect();
    house.open_at(words[3], &words[4..]);
    assert!(house.url().starts_with("https://0.0.0.0:"), "{}", house.first_line());
    let said = house.said("fingerprint");
    assert!(!said.contains("WARNING") && !said.contains("only this machine"), "{said}");
    house.curl("/status").args(["-k"]).send().expect(200);
}

#[test]
fn listening_elsewhere_without_tls_is_said_loudly_on_every_start() {
    let mut house = House::empty();
    for log in ["info", "error"] {
        house.open_at("0.0.0.0:0", &["--log", log]);
        let said = house.said("examples/curl");
        assert!(said.contains("WARNING: 0.0.0.0:") && said.contains("WITHOUT TLS"), "{said}");
        house.stop();
    }
    assert_eq!(house.log().matches("WITHOUT TLS").count(), 1, "{}", house.log());
    house.open_at("0.0.0.0:0", &["--tls", "auto"]);
    assert!(!house.said("examples/curl").contains("WITHOUT TLS"));
    house.stop();
    house.open();
    assert!(!house.said("examples/curl").contains("WITHOUT TLS"), "loopback needs none");
}
