//! The headers of one multipart part, and the `; key="value"` lists that headers carry.
//!
//! Promises: a head is either read in the one way everybody else reads it, or refused. Never: trusts a file name for
//! anything; decodes `filename*` (RFC 7578 forbids it in forms).

use super::multipart::MultipartError;

/// What a part says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PartHead {
    pub(super) name: Option<String>,
    pub(super) filename: Option<Vec<u8>>,
}

/// Reads a header block whose lines all end in CR LF, the empty last one included.
pub(super) fn parse(head: &[u8]) -> Result<PartHead, MultipartError> {
    let text = unfolded(head)?;
    let mut part = None;
    for line in lines(&text).take_while(|line| !line.is_empty()) {
        let (name, value) = header(line)?;
        if name.eq_ignore_ascii_case(b"content-disposition") {
            if part.replace(disposition(value)?).is_some() {
                return Err(MultipartError::BadHeader);
            }
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") && !is_identity(value) {
            return Err(MultipartError::EncodedPart);
        }
    }
    Ok(part.unwrap_or_default())
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r\n").unwrap_or(line))
}

/// Joins lines that begin with a blank to the line before: old mail libraries fold long headers so.
fn unfolded(head: &[u8]) -> Result<Vec<u8>, MultipartError> {
    let mut text = Vec::with_capacity(head.len());
    for line in lines(head) {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if text.is_empty() {
                return Err(MultipartError::BadHeader);
            }
            text.truncate(text.len() - 2);
        }
        text.extend_from_slice(line);
        text.extend_from_slice(b"\r\n");
    }
    Ok(text)
}

fn header(line: &[u8]) -> Result<(&[u8], &[u8]), MultipartError> {
    let colon = memchr::memchr(b':', line).ok_or(MultipartError::BadHeader)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let in_value = |&byte: &u8| byte >= b' ' && byte != 0x7f || byte == b'\t';
    if !is_token(name) || !value.iter().all(in_value) {
        return Err(MultipartError::BadHeader);
    }
    Ok((name, value))
}

fn is_token(bytes: &[u8]) -> bool {
    let in_token = |&byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !bytes.is_empty() && bytes.iter().all(in_token)
}

fn is_identity(value: &[u8]) -> bool {
    [&b"binary"[..], b"8bit", b"7bit"].iter().any(|plain| value.eq_ignore_ascii_case(plain))
}

fn disposition(value: &[u8]) -> Result<PartHead, MultipartError> {
    let (kind, rest) = value.split_at(memchr::memchr(b';', value).unwrap_or(value.len()));
    let mut part = PartHead::default();
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return Ok(part);
    }
    for param in Params::new(rest) {
        let (key, value) = param.map_err(|_| MultipartError::BadDisposition)?;
        let twice = if key.eq_ignore_ascii_case(b"name") {
            let name = String::from_utf8(form_unescaped(&value)).map_err(|_| MultipartError::BadDisposition)?;
            part.name.replace(name).is_some()
        } else if key.eq_ignore_ascii_case(b"filename") {
            part.filename.replace(form_unescaped(&value)).is_some()
        } else {
            false
        };
        if twice {
            return Err(MultipartError::BadDisposition);
        }
    }
    Ok(part)
}

/// Undoes what the WHATWG form encoding does to names: `%22`, `%0D` and `%0A`, and nothing else, not even `%25`.
fn form_unescaped(value: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = rest.get(..3).and_then(|code| match code {
            b"%22" => Some(b'"'),
            b"%0D" | b"%0d" => Some(b'\r'),
            b"%0A" | b"%0a" => Some(b'\n'),
            _ => None,
        });
        name.push(escape.unwrap_or(byte));
        rest = if escape.is_some() { &rest[3..] } else { tail };
    }
    name
}

/// The parameters behind a header's first word, from its `;` on: keys as written, values unquoted.
pub(super) struct Params<'a> {
    rest: &'a [u8],
}

/// A list of parameters that has no single meaning.
#[derive(Debug)]
pub(super) struct BadParams;

impl<'a> Params<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn param(&mut self) -> Result<(&'a [u8], Vec<u8>), BadParams> {
        let equals = memchr::memchr(b'=', self.rest).ok_or(BadParams)?;
        let key = self.rest[..equals].trim_ascii();
        self.rest = self.rest[equals + 1..].trim_ascii_start();
        let value = if let Some(quoted) = self.rest.strip_prefix(b"\"") {
            let (value, rest) = unquoted(quoted)?;
            self.rest = rest.trim_ascii_start();
            value
        } else {
            let (value, rest) = self.rest.split_at(memchr::memchr(b';', self.rest).unwrap_or(self.rest.len()));
            self.rest = rest;
            value.trim_ascii_end().to_vec()
        };
        if is_token(key) { Ok((key, value)) } else { Err(BadParams) }
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Result<(&'a [u8], Vec<u8>), BadParams>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.rest;
        while let [b';' | b' ' | b'\t', tail @ ..] = self.rest {
            self.rest = tail;
        }
        if self.rest.is_empty() {
            return None;
        }
        let separated = start.trim_ascii_start().starts_with(b";");
        let param = if separated { self.param() } else { Err(BadParams) };
        if param.is_err() {
            self.rest = b"";
        }
        Some(param)
    }
}

/// The text up to the closing quote, and what follows it. A backslash escapes a quote or a backslash (curl) and is itself
/// before anything else; one before the line's last quote is itself too, because browsers send `C:\` as `"C:\"`.
fn unquoted(quoted: &[u8]) -> Result<(Vec<u8>, &[u8]), BadParams> {
    let mut value = Vec::new();
    let mut rest = quoted;
    loop {
        match rest {
            [b'\\', b'"'] => {
                value.push(b'\\');
                rest = &rest[1..];
            }
            [b'\\', escaped @ (b'"' | b'\\'), tail @ ..] => {
                value.push(*escaped);
                rest = tail;
            }
            [b'"', tail @ ..] => return Ok((value, tail)),
            [byte, tail @ ..] => {
                value.push(*byte);
                rest = tail;
            }
            [] => return Err(BadParams),
        }
    }
}
