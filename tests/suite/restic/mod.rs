//! restic's protocol on the main listener, case by case. The numbers are those of the specification this was built from: 105 cases
//! gathered from restic's own backend suite, rest-server, rclone and rustic_server; each row here carries its own.
//!
//! What is not here runs where it belongs: append-only and private repositories with `rbackup serve restic`, real restic in
//! `tests/restic.rs`, full disks in `tests/full_disk.rs`, quotas in `quota.rs`. On the main listener there
//! are no metrics and no proxy header.

mod access;
mod damage;
mod http2;
mod listing;
mod objects;
mod planted;
mod ranges;
mod repos;
mod repository;
mod uploads;

use crate::support::curl::Curl;
use crate::support::raw::Raw;
use crate::support::{Answer, House, Member, sha256_hex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The list with names and sizes.
pub const V2: &str = "application/vnd.x.restic.rest.v2";
/// The list with names.
pub const V1: &str = "application/vnd.x.restic.rest.v1";
/// The kinds that are named by their content.
pub const KINDS: [&str; 5] = ["data", "keys", "locks", "snapshots", "index"];
/// Where repositories of no, one and two segments lie; every case holds for each.
pub const ROOTS: [&str; 3] = ["/restic/", "/restic/a/", "/restic/a/b/"];

/// A house with somebody in it.
pub struct Home {
    /// The server.
    pub house: House,
    /// The account.
    pub member: Member,
}

/// A house with one account.
pub fn home() -> Home {
    let house = House::start();
    let member = house.member("anna", "laptop");
    Home { house, member }
}

impl Home {
    /// A request to a path as it stands, with the account's name and password.
    pub fn ask(&self, method: &str, path: &str) -> Curl {
        let credentials = format!("{}:{}", self.member.name, self.member.password);
        as_method(self.house.curl(path), method).args(["--path-as-is", "-u", &credentials])
    }

    /// The same, sent.
    #[track_caller]
    pub fn get(&self, method: &str, path: &str) -> Answer {
        self.ask(method, path).send()
    }

    /// POST of these bytes.
    #[track_caller]
    pub fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.ask("POST", path).data(body).send()
    }

    /// POST of an object under the name it has, which must succeed; gives its path.
    #[track_caller]
    pub fn put(&self, root: &str, kind: &str, body: &[u8]) -> String {
        let path = format!("{root}{kind}/{}", sha256_hex(body));
        self.post(&path, body).expect(200);
        path
    }

    /// The list of a kind, in version 2: names and sizes.
    #[track_caller]
    pub fn list(&self, root: &str, kind: &str) -> Vec<(String, u64)> {
        let answer = self.ask("GET", &format!("{root}{kind}/")).header("Accept", V2).send().expect(200);
        assert_eq!(answer.header("Content-Type"), Some(V2));
        let entry = |it: &serde_json::Value| {
            (it["name"].as_str().expect("a name").to_owned(), it["size"].as_u64().expect("a size"))
        };
        answer.json().as_array().expect("a list").iter().map(entry).collect()
    }

    /// The account's `Authorization`.
    pub fn basic(&self) -> String {
        let credentials = STANDARD.encode(format!("{}:{}", self.member.name, self.member.password));
        self.house.secret(&credentials);
        format!("Basic {credentials}")
    }

    /// The head of a request on a socket of its own.
    pub fn raw(&self, line: &str, fields: &[(&str, &str)]) -> Raw {
        let basic = self.basic();
        let mut raw = Raw::to(&self.house);
        raw.head(line, &[&[("Authorization", basic.as_str())], fields].concat());
        raw
    }
}

/// `HEAD` is an option of curl's own: it must not wait for a body.
pub fn as_method(curl: Curl, method: &str) -> Curl {
    if method == "HEAD" { curl.args(["-I"]) } else { curl.method(method) }
}

/// One request with the answer it must have.
pub struct Row {
    /// The case's number.
    pub case: u32,
    /// The method.
    pub method: &'static str,
    /// The path below the repository's root.
    pub path: &'static str,
    /// The status.
    pub status: u16,
    /// What `Allow` must name, when the status is 405.
    pub allow: &'static str,
}

/// A row without `Allow`.
pub const fn row(case: u32, method: &'static str, path: &'static str, status: u16) -> Row {
    Row { case, method, path, status, allow: "" }
}

/// A row that must be answered with 405.
pub const fn refused(case: u32, method: &'static str, path: &'static str, allow: &'static str) -> Row {
    Row { case, method, path, status: 405, allow }
}

/// Plays rows below a root.
#[track_caller]
pub fn play(home: &Home, root: &str, rows: &[Row]) {
    for Row { case, method, path, status, allow } in rows {
        let answer = home.get(method, &format!("{root}{path}"));
        assert_eq!(answer.status, *status, "case {case}: {method} {root}{path}: {}", answer.text());
        assert_eq!(answer.header("Location"), None, "case {case}: nothing is redirected");
        if !allow.is_empty() {
            assert_eq!(answer.header("Allow"), Some(*allow), "case {case}: {method} {root}{path}");
        }
    }
}
