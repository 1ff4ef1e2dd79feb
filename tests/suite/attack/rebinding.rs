//! A page whose own name leads to this machine: in the browser it is the server's own page, and only the `Host` gives it away.

use crate::support::{Answer, House, Member};
use serde_json::json;

/// Names that somebody else can have lead here. What merely begins, or ends, like one of ours is none of ours.
const FOREIGN: [&str; 8] = [
    "evil.example",
    "evil.example:3369",
    "127.0.0.1.evil.example",
    "localhost.evil.example:3369",
    "2130706433.evil.example",
    "rbackup",
    "nas.home.evil.example",
    "localhost, evil.example",
];
/// Names that lead nowhere else, the last two because the configuration says so.
const OWN: [&str; 7] =
    ["localhost", "LOCALHOST:3369", "127.0.0.1", "[::1]:3369", "192.0.2.7:3369", "nas.home", "NAS.home:80"];

fn house(accounts: &str) -> House {
    let mut house = House::empty();
    let file = house.beside("rbackup.toml");
    let text = format!(
        "[server]\nnames = [\"nas.home\"]\n[accounts]\n{accounts}\n[limits]\nfailed_sign_ins_per_address = 0\n"
    );
    std::fs::write(&file, text).expect("write the config");
    house.open_with(&["--config", &file.to_string_lossy()]);
    house
}

fn register(house: &House, host: &str, name: &str) -> Answer {
    let body = format!("username={name}&password=correct+horse");
    let page = format!("http://{host}");
    // What a browser says of such a page: it is the server's own.
    let asked = house.curl("/account/register").header("Host", host).header("Origin", &page);
    let answer = asked.header("Sec-Fetch-Site", "same-origin").data(body.as_bytes()).send();
    if let Some(code) = serde_json::from_slice(&answer.body).unwrap_or(json!(null))["recovery_code"].as_str() {
        house.secret(code);
    }
    answer
}

#[test]
fn no_account_is_made_under_a_name_that_is_not_ours() {
    let house = house("");
    for host in FOREIGN {
        register(&house, host, "eve").refused(403, "setup_code_needed");
    }
    register(&house, "127.0.0.1", "anna").expect(201);
    for host in FOREIGN {
        register(&house, host, "eve").refused(403, "invite_needed");
        let hello = house.curl("/api/v1/hello").header("Host", host).send().expect(200).json();
        assert_eq!(hello["registration"], "invite", "{host}");
    }
    for proxy in ["X-Forwarded-For: 192.0.2.1", "Via: 1.1 proxy", "Forwarded: for=192.0.2.1"] {
        let asked = house.curl("/account/register").args(["-H", proxy]).data(b"username=eve&password=correct+horse");
        asked.send().refused(403, "invite_needed");
    }
    for (number, host) in OWN.into_iter().enumerate() {
        let hello = house.curl("/api/v1/hello").header("Host", host).send().expect(200).json();
        assert_eq!(hello["registration"], "open", "{host}");
        register(&house, host, &format!("guest-{number}")).expect(201);
    }
}

#[test]
fn what_was_said_in_so_many_words_is_done_under_every_name() {
    let open = house("registration = \"open\"");
    register(&open, "127.0.0.1", "anna").expect(201);
    register(&open, "evil.example", "bert").expect(201);
    let closed = house("registration = \"closed\"");
    register(&closed, "127.0.0.1", "anna").expect(201);
    register(&closed, "localhost", "bert").refused(403, "registration_closed");
}

fn sign_in(house: &House, host: &str, member: &Member) -> Answer {
    let body = json!({"username": member.name, "password": member.password, "device_id": "a browser"});
    let page = format!("http://{host}");
    let asked = house.json("POST", "/api/v1/session", &body).header("Host", host).header("Origin", &page);
    let answer = asked.header("RBackup-UI", "1").send();
    if let Some(cookie) = answer.header("Set-Cookie") {
        house.secret(cookie.split(['=', ';']).nth(1).unwrap_or_default());
    }
    answer
}

#[test]
fn no_browser_is_signed_in_under_a_name_that_is_not_ours() {
    let house = house("");
    let anna = house.member("anna", "laptop");
    house.put(&anna, "/f", b"kept");
    let cookie = sign_in(&house, "nas.home", &anna).expect(201).header("Set-Cookie").expect("a cookie").to_owned();
    let pair = cookie.split(';').next().unwrap_or_default();
    let ask = |host: &str, method: &str, path: &str| {
        let curl = house.curl(path).method(method).header("Host", host).header("Cookie", pair);
        curl.header("Origin", &format!("http://{host}")).header("RBackup-UI", "1").send()
    };
    for host in FOREIGN {
        sign_in(&house, host, &anna).refused(403, "foreign_name");
        ask(host, "GET", "/api/v1/overview").refused(403, "foreign_name");
        ask(host, "DELETE", "/api/v1/version?file_version_id=1").refused(403, "foreign_name");
        ask(host, "DELETE", "/api/v1/session").refused(403, "foreign_name");
        // What does not come by itself with every request is the client's own: a device's session goes on.
        house.curl("/list/files").header("Host", host).session(&anna.session).send().expect(200);
    }
    for host in OWN {
        ask(host, "GET", "/api/v1/overview").expect(200);
    }
    assert_eq!(house.files(&anna).len(), 1, "nothing was removed");
    ask("127.0.0.1", "DELETE", "/api/v1/version?file_version_id=1").expect(200);
}

#[test]
fn a_listed_proxy_passes_its_own_name_on() {
    let mut house = House::empty();
    let file = house.beside("rbackup.toml");
    std::fs::write(&file, "[limits]\ntrusted_proxies = [\"127.0.0.2\"]\n").expect("write the config");
    house.open_with(&["--config", &file.to_string_lossy()]);
    let anna = house.member("anna", "laptop");
    let body = json!({"username": "anna", "password": anna.password, "device_id": "a browser"});
    let through = |proxy: &str| {
        let asked = house.json("POST", "/api/v1/session", &body).args(["--interface", proxy]);
        let asked = asked.header("Host", "backup.example").header("Origin", "https://backup.example");
        asked.header("RBackup-UI", "1").header("X-Forwarded-For", "192.0.2.1").send()
    };
    through("127.0.0.3").refused(403, "foreign_name");
    let cookie = through("127.0.0.2").expect(201).header("Set-Cookie").expect("a cookie").to_owned();
    house.secret(cookie.split(['=', ';']).nth(1).unwrap_or_default());
    assert!(cookie.starts_with("__Host-rbackup=") && cookie.contains("; Secure"), "the page came over TLS");
}

#[test]
fn on_a_network_any_name_may_be_the_servers() {
    let mut house = House::empty();
    house.open_at("0.0.0.0:0", &[]);
    let (_, port) = house.address().split_once(':').expect("a port");
    house.meet_at(format!("http://127.0.0.1:{port}"));
    let anna = house.member("anna", "laptop");
    sign_in(&house, "nas.fritz.box", &anna).expect(201);
    register(&house, "127.0.0.1", "eve").refused(403, "invite_needed");
}
