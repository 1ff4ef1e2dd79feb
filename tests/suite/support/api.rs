//! One method per endpoint, through curl, as the contract writes it.
//!
//! Nothing here judges an answer, except the shortcuts at the end (`member`, `put`), which the tests of other
//! capabilities stand on. Passwords, session ids and recovery codes are registered as secrets on their way through.

use super::curl::Answer;
use super::house::House;
use super::noise::{percent_encoded, query};
use serde_json::Value;
use std::fmt::Write;

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Member {
    /// The account's name.
    pub name: String,
    /// Its password.
    pub password: String,
    /// The device the session is bound to.
    pub device: String,
    /// The session id.
    pub session: String,
}

/// The three ways to send the values of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// GET with a query.
    Query,
    /// POST with a form.
    Form,
    /// POST with JSON.
    Json,
}

/// All of them.
pub const WAYS: [Way; 3] = [Way::Query, Way::Form, Way::Json];

impl House {
    /// GET `/status`.
    pub fn status(&self) -> Answer {
        self.curl("/status").send()
    }

    /// `/account/register`.
    pub fn register(&self, way: Way, name: &str, password: &str) -> Answer {
        self.sign("/account/register", way, &[("username", name), ("password", password)])
    }

    /// `/account/login`.
    pub fn login(&self, way: Way, device: &str, name: &str, password: &str) -> Answer {
        self.sign("/account/login", way, &[("device_id", device), ("username", name), ("password", password)])
    }

    fn sign(&self, path: &str, way: Way, values: &[(&str, &str)]) -> Answer {
        values.iter().filter(|(name, _)| *name == "password").for_each(|(_, password)| self.secret(password));
        let pairs: Vec<(&str, &[u8])> = values.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let answer = match way {
            Way::Query => self.curl(&format!("{path}?{}", query(&pairs))),
            Way::Form => self.curl(path).data(query(&pairs).as_bytes()),
            Way::Json => {
                let body: Value =
                    values.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
                self.curl(path).header("Content-Type", "application/json").data(body.to_string().as_bytes())
            }
        }
        .send();
        self.note_secrets(&answer);
        answer
    }

    /// POST `/account/session/rotate`.
    pub fn rotate(&self, session: &str) -> Answer {
        let answer = self.curl("/account/session/rotate").method("POST").session(session).send();
        self.note_secrets(&answer);
        answer
    }

    /// POST `/account/session/rotate` that has to succeed: the next session.
    #[track_caller]
    pub fn rotated(&self, session: &str) -> String {
        let next = self.rotate(session).expect(200).json()["session_id"].as_str().unwrap_or_default().to_owned();
        assert!(next.starts_with("rbs_"), "a recognisable prefix: {next}");
        next
    }

    /// POST `/api/v1/tokens`: the token's number and secret.
    #[track_caller]
    pub fn token(&self, session: &str, wish: &Value) -> (String, String) {
        let answer = self.json("POST", "/api/v1/tokens", wish).session(session).send().expect(201);
        self.note_secrets(&answer);
        let made = answer.json();
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        (text("id"), text("token"))
    }

    /// A request with a body of JSON.
    pub fn json(&self, method: &str, path: &str, body: &Value) -> super::curl::Curl {
        let curl = self.curl(path).method(method).header("Content-Type", "application/json");
        curl.data(body.to_string().as_bytes())
    }

    /// Registers what of an answer must never stand in a log.
    fn note_secrets(&self, answer: &Answer) {
        let held: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let texts = ["session_id", "recovery_code", "token"].iter().filter_map(|name| held[*name].as_str());
        texts.for_each(|text| self.secret(text));
    }

    /// GET `/list/devices`.
    pub fn list_devices(&self, session: &str) -> Answer {
        self.curl("/list/devices").session(session).send()
    }

    /// GET `/list/files`, of one device or of the whole account.
    pub fn list_files(&self, session: &str, device: Option<&str>) -> Answer {
        let query = device.map_or(String::new(), |device| format!("?device_id={}", percent_encoded(device.as_bytes())));
        self.curl(&format!("/list/files{query}")).session(session).send()
    }

    /// PUT `/upload` in the contract's own form: multipart with `file` and `file-hash`.
    pub fn upload(&self, session: &str, path: &[u8], body: &[u8]) -> Answer {
        let pairs = query(&[("file_path", path), ("size", body.len().to_string().as_bytes())]);
        let curl = self.curl(&format!("/upload?{pairs}")).method("PUT").session(session);
        curl.form_file("file", body).form_text("file-hash", &super::sha256_hex(body)).send()
    }

    /// GET `/download`.
    pub fn download(&self, session: &str, version: u64) -> Answer {
        self.curl(&format!("/download?file_version_id={version}")).session(session).send()
    }

    /// DELETE `/remove/file`.
    pub fn remove_file(&self, session: &str, file: u64) -> Answer {
        self.curl(&format!("/remove/file?file_id={file}")).method("DELETE").session(session).send()
    }

    /// DELETE `/remove/fileVersion`.
    pub fn remove_version(&self, session: &str, version: u64) -> Answer {
        self.curl(&format!("/remove/fileVersion?file_version_id={version}")).method("DELETE").session(session).send()
    }

    /// A new account with its first device.
    pub fn member(&self, name: &str, device: &str) -> Member {
        let password = format!("the password of {name}");
        self.register(Way::Form, name, &password).expect(201);
        let fresh = Member { name: name.to_owned(), password, device: String::new(), session: String::new() };
        self.device(&fresh, device)
    }

    /// The same account on another device.
    pub fn device(&self, member: &Member, device: &str) -> Member {
        let answer = self.login(Way::Form, device, &member.name, &member.password).expect(201).json();
        let session = answer["session_id"].as_str().unwrap_or_default().to_owned();
        assert!(!session.is_empty(), "a login returns a session_id: {answer}");
        Member { device: device.to_owned(), session, ..member.clone() }
    }

    /// An upload that has to succeed; the file as the server answers it.
    #[track_caller]
    pub fn put(&self, member: &Member, path: &str, body: &[u8]) -> Value {
        self.upload(&member.session, path.as_bytes(), body).expect(200).json()
    }

    /// All files of the account.
    #[track_caller]
    pub fn files(&self, member: &Member) -> Vec<Value> {
        let listed = self.list_files(&member.session, None).expect(200).json();
        listed.as_array().cloned().expect("an array of files")
    }

    /// A version's bytes, checked against the digest that the server states.
    #[track_caller]
    pub fn get(&self, member: &Member, version: u64) -> Vec<u8> {
        let answer = self.download(&member.session, version).expect(200);
        let digest = super::sha256_hex(&answer.body);
        assert_eq!(answer.header("RBackup-File-Hash"), Some(digest.as_str()), "version {version}");
        answer.body
    }

    /// Many raw uploads in one curl, four at a time over kept connections; each has to be answered 200.
    pub fn put_many(&self, member: &Member, files: &[(String, Vec<u8>)]) {
        let folder = self.beside(&format!("many-{}", member.device));
        std::fs::create_dir_all(&folder).expect("a folder for what curl sends");
        let mut config = String::new();
        for (number, (path, body)) in files.iter().enumerate() {
            let sent = folder.join(number.to_string());
            std::fs::write(&sent, body).expect("write what curl sends");
            let (url, name) = (self.url(), percent_encoded(path.as_bytes()));
            let next = if number == 0 { "" } else { "next\n" };
            let _ = write!(
                config,
                "{next}url = \"{url}/upload?file_path={name}\"\nupload-file = \"{}\"\noutput = \"/dev/null\"\n\
                 header = \"RBackup-Session-Pass: {}\"\nheader = \"RBackup-File-Hash: {}\"\nwrite-out = \"%{{http_code}}\\n\"\n",
                sent.display(),
                member.session,
                super::sha256_hex(body)
            );
        }
        let list = self.beside(&format!("many-{}.curl", member.device));
        std::fs::write(&list, config).expect("write curl's list");
        let mut curl = std::process::Command::new("curl");
        let ran =
            curl.args(["-q", "-sS", "--parallel", "--parallel-max", "4", "-K"]).arg(&list).output().expect("curl runs");
        let codes = String::from_utf8_lossy(&ran.stdout).into_owned();
        let done = codes.lines().filter(|code| *code == "200").count();
        assert_eq!(done, files.len(), "{codes}\n{}", String::from_utf8_lossy(&ran.stderr));
        std::fs::remove_dir_all(&folder).expect("remove what curl sent");
    }
}

/// A file's id.
#[track_caller]
pub fn file_id(file: &Value) -> u64 {
    file["id"].as_u64().expect("a file has a numeric id")
}

/// A file's version ids as listed.
#[track_caller]
pub fn versions(file: &Value) -> Vec<u64> {
    let listed = file["versions"].as_array().expect("a file has versions");
    listed.iter().map(|version| version["version"].as_u64().expect("a version has a numeric id")).collect()
}

/// The newest version's id.
#[track_caller]
pub fn newest(file: &Value) -> u64 {
    *versions(file).last().expect("a file has at least one version")
}
