//! curl as a test writes it: one call, its answer taken apart.
//!
//! `send` fails the test when curl itself fails; `try_send` hands curl's exit code back, for the tests in which the
//! connection is meant to break.

use serde_json::Value;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A request in preparation.
pub struct Curl {
    url: String,
    scratch: PathBuf,
    words: Vec<OsString>,
    stdin: Option<Vec<u8>>,
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The last status line's code; 0 when there was none.
    pub status: u16,
    /// The last block of header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Vec<u8>,
    /// curl's own exit code.
    pub curl_exit: i32,
}

impl Curl {
    /// A request to `url`; `scratch` is a path that nobody else uses.
    pub fn new(url: String, scratch: PathBuf) -> Self {
        Self { url, scratch, words: Vec::new(), stdin: None }
    }

    /// To another address.
    pub fn at(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
    }

    /// Any option as curl's manual writes it.
    pub fn args<W: Into<OsString>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// `-X method`.
    pub fn method(self, method: &str) -> Self {
        self.args(["-X", method])
    }

    /// `-H "name: value"`.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.args(["-H".to_owned(), format!("{name}: {value}")])
    }

    /// The session's header.
    pub fn session(self, session: &str) -> Self {
        self.header("RBackup-Session-Pass", session)
    }

    /// `--data-binary` of these bytes.
    pub fn data(self, body: &[u8]) -> Self {
        self.args(["--data-binary", "@-"]).stdin(body)
    }

    /// What curl reads from its standard input, where an option names `-`.
    pub fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = Some(bytes.to_vec());
        self
    }

    /// `-T` with these bytes from a file, so that curl knows the length.
    pub fn upload_file(self, body: &[u8]) -> Self {
        let path = self.scratch.with_extension("sent");
        std::fs::write(&path, body).expect("write what curl sends");
        self.args([OsString::from("-T"), path.into()])
    }

    /// `-F name=@file` with these bytes.
    pub fn form_file(self, name: &str, body: &[u8]) -> Self {
        let path = self.scratch.with_extension(format!("{name}.part"));
        std::fs::write(&path, body).expect("write a part that curl sends");
        self.args(["-F".to_owned(), format!("{name}=@{}", path.display())])
    }

    /// `-F name=value`.
    pub fn form_text(self, name: &str, value: &str) -> Self {
        self.args(["--form-string".to_owned(), format!("{name}={value}")])
    }

    /// Runs curl; the test fails when curl cannot finish.
    pub fn send(self) -> Answer {
        let asked = format!("{:?} {}", self.words, self.url);
        let answer = self.try_send();
        assert_eq!(answer.curl_exit, 0, "curl {asked} failed: {answer:?}");
        answer
    }

    /// Runs curl; its exit code is part of the answer.
    pub fn try_send(self) -> Answer {
        let (head, body) = (self.scratch.with_extension("head"), self.scratch.with_extension("body"));
        let mut command = Command::new("curl");
        command.args(["-q", "-sS", "-g", "--noproxy", "*", "--max-time", "120"]);
        command.arg("-D").arg(&head).arg("-o").arg(&body).args(&self.words).arg("--url").arg(&self.url);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("curl is installed");
        let mut pipe = child.stdin.take().expect("a piped stdin");
        let _ = pipe.write_all(self.stdin.as_deref().unwrap_or_default());
        drop(pipe);
        let ended = child.wait_with_output().expect("curl ends");
        let heads = std::fs::read(&head).unwrap_or_default();
        let bytes = std::fs::read(&body).unwrap_or_default();
        let _ = (std::fs::remove_file(&head), std::fs::remove_file(&body));
        Answer { body: bytes, curl_exit: ended.status.code().unwrap_or(-1), ..Answer::from_heads(&heads) }
    }
}

impl Answer {
    /// The last status line and its fields, of all blocks that came (100, then the real one).
    pub fn from_heads(heads: &[u8]) -> Self {
        let text = String::from_utf8_lossy(heads);
        let last = text.split("\r\n\r\n").filter(|block| block.starts_with("HTTP/")).last().unwrap_or_default();
        let mut lines = last.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        let field =
            |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        Self { status, headers: lines.filter_map(field).collect(), ..Self::default() }
    }

    /// Fails the test unless the status is this one; hands the answer on.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The same for an error with its stable code. Every error is JSON with a code and a sentence.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.text());
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.body);
        assert!(parsed.is_ok(), "{} is not answered in JSON: {:?}", self.status, self.text());
        parsed.unwrap_or_default()
    }

    /// The stable code of an error; empty when there is none.
    pub fn code(&self) -> String {
        let parsed: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        parsed["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The body as text, for messages.
    pub fn text(&self) -> String {
        let shown = &self.body[..self.body.len().min(600)];
        String::from_utf8_lossy(shown).into_owned()
    }

    /// One header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}
