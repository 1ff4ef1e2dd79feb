//! Every route for everybody: route × what is presented × the state it is in, cell by cell.
//!
//! The routes come from the server's own table, so a route that is added fails here until it is listed with who may use it.
//! Planted: a table that misses a row, and rows with one right too many or too few, must be noticed.

use crate::support::api::Way::Form;
use crate::support::raw::Raw;
use crate::support::{House, Member, sha256_hex};
use base64::Engine as _;
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Everybody, also who presents nothing.
    All,
    /// Those whose letters stand here; the others are refused with 403: Session, Password, a token to Append, Read, rEstore,
    /// Delete, aDmin (in lower case). A letter that stands behind a bar is refused with 401.
    Some(&'static str),
}

/// Method, route, what is asked for there, a body, who may.
type Row = (&'static str, &'static str, &'static str, &'static str, For);

const CREDENTIALS: [(char, &str); 7] = [
    ('S', "session"),
    ('P', "password"),
    ('a', "append"),
    ('r', "read"),
    ('e', "restore"),
    ('d', "delete"),
    ('m', "admin"),
];

const TOKEN: &str = r#"{"name":"x","scopes":["read"]}"#;
const OBJECT: &str = "/restic/r/data/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";

const ROWS: [Row; 56] = [
    ("GET", "/status", "/status", "", For::All),
    ("GET", "/api/v1/status", "/api/v1/status", "", For::All),
    ("GET", "/account/register", "/account/register", "", For::All),
    ("POST", "/account/register", "/account/register", "", For::All),
    ("GET", "/account/login", "/account/login", "", For::All),
    ("POST", "/account/login", "/account/login", "", For::All),
    ("POST", "/api/v1/account/password", "/api/v1/account/password", "", For::All),
    ("POST", "/api/v1/account/recover", "/api/v1/account/recover", "", For::All),
    ("GET", "/list/files", "/list/files", "", For::Some("Saredm|P")),
    ("GET", "/list/devices", "/list/devices", "", For::Some("Saredm|P")),
    ("GET", "/download", "/download?file_version_id=9999", "", For::Some("Sedm|P")),
    ("PUT", "/upload", "/upload?file_path=/x", "x", For::Some("Sam|P")),
    ("POST", "/upload", "/upload?file_path=/x", "x", For::Some("Sam|P")),
    ("DELETE", "/remove/file", "/remove/file?file_id=9999", "", For::Some("Sdm|P")),
    ("DELETE", "/remove/fileVersion", "/remove/fileVersion?file_version_id=9999", "", For::Some("Sdm|P")),
    ("POST", "/account/session/rotate", "/account/session/rotate", "", For::Some("S|Paredm")),
    ("GET", "/api/v1/repos", "/api/v1/repos", "", For::Some("Sredm|P")),
    ("GET", "/api/v1/account", "/api/v1/account", "", For::Some("SPredm")),
    ("GET", "/api/v1/sessions", "/api/v1/sessions", "", For::Some("SPm")),
    ("DELETE", "/api/v1/sessions", "/api/v1/sessions?id=00", "", For::Some("SPm")),
    ("POST", "/api/v1/invites", "/api/v1/invites?expires_days=1", "", For::Some("SPm")),
    ("GET", "/api/v1/invites", "/api/v1/invites", "", For::Some("SPm")),
    ("DELETE", "/api/v1/invites", "/api/v1/invites?id=00", "", For::Some("SPm")),
    ("GET", "/api/v1/audit", "/api/v1/audit?limit=1", "", For::Some("SPm")),
    ("GET", "/api/v1/tokens", "/api/v1/tokens", "", For::Some("SPm")),
    ("POST", "/api/v1/tokens", "/api/v1/tokens", TOKEN, For::Some("SP")),
    ("DELETE", "/api/v1/tokens", "/api/v1/tokens?id=999999", "", For::Some("SPm")),
    ("GET", "/", "/", "", For::All),
    ("GET", "/favicon.ico", "/favicon.ico", "", For::All),
    ("GET", "/api/v1/openapi.json", "/api/v1/openapi.json", "", For::All),
    ("GET", "/api/v1/hello", "/api/v1/hello", "", For::All),
    ("POST", "/api/v1/session", "/api/v1/session", "", For::All),
    ("GET", "/api/v1/session", "/api/v1/session", "", For::Some("Saredm|P")),
    // Browsers alone end theirs here.
    ("DELETE", "/api/v1/session", "/api/v1/session", "", For::Some("|P")),
    ("GET", "/api/v1/devices", "/api/v1/devices", "", For::Some("Saredm|P")),
    ("POST", "/api/v1/devices", "/api/v1/devices?device_id=x", "", For::Some("Sm|P")),
    ("GET", "/api/v1/overview", "/api/v1/overview", "", For::Some("Sredm|P")),
    ("GET", "/api/v1/folder", "/api/v1/folder?device_id=laptop", "", For::Some("Saredm|P")),
    ("GET", "/api/v1/versions", "/api/v1/versions?file_id=9999", "", For::Some("Saredm|P")),
    ("GET", "/api/v1/search", "/api/v1/search?q=x", "", For::Some("Saredm|P")),
    ("GET", "/api/v1/download", "/api/v1/download?file_version_id=9999", "", For::Some("Sedm|P")),
    ("GET", "/api/v1/preview", "/api/v1/preview?file_version_id=9999", "", For::Some("Sedm|P")),
    ("GET", "/api/v1/zip", "/api/v1/zip?device_id=laptop", "", For::Some("Sedm|P")),
    ("PUT", "/api/v1/upload", "/api/v1/upload?file_path=/x", "x", For::Some("Sam|P")),
    ("POST", "/api/v1/upload", "/api/v1/upload?file_path=/x", "x", For::Some("Sam|P")),
    ("POST", "/api/v1/restore", "/api/v1/restore?file_version_id=9999", "", For::Some("Sm|P")),
    ("DELETE", "/api/v1/file", "/api/v1/file?file_id=9999", "", For::Some("Sdm|P")),
    ("DELETE", "/api/v1/version", "/api/v1/version?file_version_id=9999", "", For::Some("Sdm|P")),
    ("POST", "/restic/{repo}/?create=true", "/restic/r/?create=true", "", For::Some("Pam|S")),
    ("DELETE", "/restic/{repo}/", "/restic/r/", "", For::Some("|S")),
    ("GET", "/restic/{repo}/{kind}/", "/restic/r/data/", "", For::Some("Paredm|S")),
    ("HEAD", "/restic/{repo}/{kind}/{name}", OBJECT, "", For::Some("Paredm|S")),
    ("GET", "/restic/{repo}/{kind}/{name}", OBJECT, "", For::Some("Paedm|S")),
    ("POST", "/restic/{repo}/{kind}/{name}", OBJECT, "x", For::Some("Pam|S")),
    ("DELETE", "/restic/{repo}/{kind}/{name}", OBJECT, "", For::Some("Pdm|S")),
    // Locks come and go with every backup.
    (
        "DELETE",
        "/restic/{repo}/{kind}/{name}",
        "/restic/r/locks/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
        "",
        For::Some("Padm|S"),
    ),
];

/// How a token is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presented {
    Header,
    Bearer,
    Basic,
}

/// What is presented, as header fields.
struct Ring {
    member: Member,
    /// In the order of [`CREDENTIALS`]; nothing for the password.
    secrets: Vec<String>,
}

impl Ring {
    /// A device's session, and a token of each scope.
    fn cut(house: &House, member: &Member, device: &str, expires_days: u32) -> Self {
        let login = house.login(Form, device, &member.name, &member.password).json();
        let session = login["session_id"].as_str().expect("a session").to_owned();
        let secret = |(letter, name): (char, &str)| match letter {
            'S' => session.clone(),
            'P' => String::new(),
            _ => house.token(&session, &json!({"name": name, "scopes": [name], "expires_days": expires_days})).1,
        };
        Self { member: member.clone(), secrets: CREDENTIALS.into_iter().map(secret).collect() }
    }

    fn fields(&self, credential: usize, presented: Presented) -> Vec<(&'static str, String)> {
        let basic = |password: &str| {
            let pair = format!("{}:{password}", self.member.name);
            vec![("Authorization", format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))]
        };
        let secret = &self.secrets[credential];
        match (CREDENTIALS[credential].0, presented) {
            ('P', _) => basic(&self.member.password),
            ('S', _) | (_, Presented::Header) => vec![("RBackup-Session-Pass", secret.clone())],
            (_, Presented::Bearer) => vec![("Authorization", format!("Bearer {secret}"))],
            (_, Presented::Basic) => basic(secret),
        }
    }
}

fn status(house: &House, row: &Row, fields: &[(&str, String)]) -> u16 {
    let (method, _, target, body, _) = row;
    let length = body.len().to_string();
    let mut all = vec![("Connection", "close"), ("Content-Length", length.as_str())];
    if body.starts_with('{') {
        all.push(("Content-Type", "application/json"));
    }
    all.extend(fields.iter().map(|(name, value)| (*name, value.as_str())));
    let mut wire = Raw::to(house);
    wire.head(&format!("{method} {target}"), &all).say(body.as_bytes());
    let answer = String::from_utf8_lossy(&wire.rest()).into_owned();
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// What a status says about rights: 200 for any that came behind the check.
fn class(status: u16) -> u16 {
    match status {
        401 | 403 | 429 => status,
        0 => 0,
        500.. => 500,
        _ => 200,
    }
}

/// What a live credential gets at a route.
fn expected(row: &Row, letter: char) -> u16 {
    let For::Some(letters) = row.4 else { return 200 };
    let (allowed, unknown) = letters.split_once('|').unwrap_or((letters, ""));
    match letter {
        _ if allowed.contains(letter) => 200,
        _ if unknown.contains(letter) => 401,
        _ => 403,
    }
}

/// The cells in which the server does not do what `cell` says.
fn wrong(
    house: &House,
    ring: &Ring,
    rows: &[Row],
    more: &[(&str, &str)],
    presented: Presented,
    cell: impl Fn(&Row, char) -> Option<u16>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows {
        for (at, (letter, name)) in CREDENTIALS.into_iter().enumerate() {
            let mut fields = ring.fields(at, presented);
            fields.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
            let Some(expected) = cell(row, letter) else { continue };
            let seen = class(status(house, row, &fields));
            if seen != expected {
                wrong.push(format!("{} {} with {name} ({presented:?}): {seen} instead of {expected}", row.0, row.2));
            }
        }
    }
    wrong
}

fn unlisted(table: &[(String, String)], rows: &[Row]) -> Vec<String> {
    let listed = |(method, path): &&(String, String)| rows.iter().any(|row| row.0 == method && row.1 == path);
    table.iter().filter(|route| !listed(route)).map(|(method, path)| format!("{method} {path}")).collect()
}

#[test]
fn every_route_is_listed_here() {
    let table = rbackup::server::route_table();
    assert!(unlisted(&table, &ROWS).is_empty(), "who may use these? {:?}", unlisted(&table, &ROWS));
    let gone: Vec<&Row> =
        ROWS.iter().filter(|row| !table.iter().any(|(method, path)| row.0 == method && row.1 == path)).collect();
    assert!(gone.is_empty(), "the server has no such routes: {gone:?}");
    assert_eq!(unlisted(&table, &ROWS[1..]), ["GET /status"], "planted: a route that is not listed");
}

/// Starts a server that counts no refusals: here are more of them than anybody is granted.
fn open(house: &mut House) {
    let file = house.beside("rbackup.toml");
    let limits = "failed_sign_ins_per_address = 0\nfailed_sign_ins_per_account = 0\nrefused_calls_per_address = 0";
    std::fs::write(&file, format!("[limits]\n{limits}\n")).expect("write the config");
    house.open_with(&["--config", &file.to_string_lossy()]);
}

#[test]
fn every_route_does_for_everybody_what_the_table_says() {
    let mut house = House::empty();
    open(&mut house);
    let member = house.member("anna", "first");
    house.device(&member, "laptop");
    assert!(OBJECT.ends_with(&sha256_hex(b"x")));
    let laptop = [("RBackup-Device", "laptop")];
    let live = Ring::cut(&house, &member, "laptop", 60);
    for presented in [Presented::Header, Presented::Bearer, Presented::Basic] {
        let seen = wrong(&house, &live, &ROWS, &laptop, presented, |row, letter| Some(expected(row, letter)));
        assert_eq!(seen, [""; 0], "live, {presented:?}");
    }
    let planted = [
        ("GET", "", "/download?file_version_id=9999", "", For::Some("Sredm|P")),
        ("PUT", "", "/upload?file_path=/x", "x", For::Some("Sm|P")),
    ];
    let seen = wrong(&house, &live, &planted, &laptop, Presented::Header, |row, letter| Some(expected(row, letter)));
    assert_eq!(seen.len(), 2, "planted: a right too much and a right too few: {seen:?}");

    let guarded = |row: &Row| if row.4 == For::All { 200 } else { 401 };
    for row in &ROWS {
        assert_eq!(class(status(&house, row, &[])), guarded(row), "{} {} with nothing", row.0, row.2);
    }
    // The password names no device of its own, and restic has none.
    let seen = wrong(&house, &live, &ROWS, &[("RBackup-Device", "nobody")], Presented::Header, |row, letter| {
        Some(if letter == 'P' { expected(row, 'P') } else { guarded(row) })
    });
    assert_eq!(seen, [""; 0], "a device that is not its own");

    let revoked = Ring::cut(&house, &member, "revoked", 60);
    let ends = |path: &str, session: &str| house.curl(path).method("DELETE").session(session).send().expect(200);
    let listed = house.curl("/api/v1/tokens").session(&revoked.secrets[0]).send().expect(200).json();
    for token in listed.as_array().expect("an array").iter().rev().take(5) {
        ends(&format!("/api/v1/tokens?id={}", token["id"].as_str().expect("an id")), &revoked.secrets[0]);
    }
    ends("/api/v1/sessions?id=current", &revoked.secrets[0]);
    let dead = |row: &Row, letter: char| (letter != 'P').then(|| guarded(row));
    for presented in [Presented::Header, Presented::Bearer, Presented::Basic] {
        assert_eq!(wrong(&house, &revoked, &ROWS, &[], presented, dead), [""; 0], "revoked, {presented:?}");
    }

    let expired = Ring::cut(&house, &member, "expired", 1);
    house.advance(31 * DAY);
    assert_eq!(wrong(&house, &expired, &ROWS, &[], Presented::Header, dead), [""; 0], "expired");
    let tokens_alone = |row: &Row, letter: char| (!"SP".contains(letter)).then(|| expected(row, letter));
    assert_eq!(wrong(&house, &live, &ROWS, &laptop, Presented::Header, tokens_alone), [""; 0], "not expired yet");

    let disabled = Ring::cut(&house, &member, "laptop", 60);
    house.stop();
    let ran = house.run(&["account", "disable", "ANNA"]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    open(&mut house);
    let all = |row: &Row, _: char| Some(guarded(row));
    assert_eq!(wrong(&house, &disabled, &ROWS, &laptop, Presented::Header, all), [""; 0], "disabled");
    house.login(Form, "laptop", "anna", &member.password).refused(401, "bad_credentials");
    house.stop();
    assert_eq!(house.run(&["account", "enable", "anna"]).status.code(), Some(0));
    open(&mut house);
    assert_eq!(wrong(&house, &disabled, &ROWS, &laptop, Presented::Header, tokens_alone), [""; 0], "enabled again");
    house.list_files(&disabled.secrets[0], None).refused(401, "no_session");
}
