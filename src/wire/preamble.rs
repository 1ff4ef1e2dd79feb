//! What a pump says before any byte of its client, and what it is answered. A holder reports to its pump in the same form.
//!
//! ```text
//! magic [8] · protocol version u16 · length u32 · JSON of that length        (numbers big endian)
//! ```
//!
//! Promises: a message is bounded before it is read; one that lacks a field, or has one too many, is refused: a right that
//! was not named is never assumed. Never: carries a secret.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::errand::Errand;
use crate::model::limits::PREAMBLE_BYTES_MAX;

/// The protocol's version; pump and server are the same program most of the time, not always.
pub const VERSION: u16 = 1;
/// No HTTP begins like this, so that a client on the wrong socket is told apart.
const MAGIC: [u8; 8] = *b"\0RBackup";
/// Magic, version and length.
pub const HEAD_BYTES: usize = 14;

/// For whom a pump speaks, and what may be done in its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preamble {
    /// What stood before the first colon of REMOTE: an account, or the beginning of a path in the local realm.
    #[serde(deserialize_with = "present")]
    pub account: Option<String>,
    /// The path behind it.
    pub repo: String,
    /// Whether nothing may be removed except locks.
    pub append_only: bool,
    /// Whether only a signed-in user's own repositories may be seen; nobody is signed in over stdio.
    pub private_repos: bool,
}

/// What comes first over the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// A pump begins.
    Pump(Preamble),
    /// A command asks.
    Errand(Errand),
}

/// serde takes a missing `Option` for none; here every field must be said.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// What the server says to a preamble, or a holder to the pump that started it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Verdict {
    /// From here on the client speaks.
    Accepted {
        /// A sentence that its user should read.
        note: Option<String>,
    },
    /// Another process has the data directory, and may come to serve it. A holder says this.
    Held,
    /// Nothing else comes.
    Refused {
        /// The exit code of the pump.
        exit: u8,
        /// Why.
        sentence: String,
    },
}

/// Why a message cannot be used; a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Something else speaks.
    #[error("what comes over the socket is not RBackup's own protocol")]
    Stranger,
    /// Another release speaks.
    #[error(
        "the other side speaks version {0} of the socket's protocol and this one version {VERSION}: use the same release of rbackup"
    )]
    Version(u16),
    /// Longer than anything sensible.
    #[error("a message of {0} bytes is longer than any that is sent")]
    Long(u32),
    /// Not the JSON it should be.
    #[error("a message lacks something, or has too much")]
    Malformed,
}

/// A message as it goes over the socket.
pub fn frame<T: Serialize>(message: &T) -> Vec<u8> {
    let body = super::json(message);
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&MAGIC[..], &VERSION.to_be_bytes(), &length.to_be_bytes(), &body].concat()
}

/// The length of the body that follows a head.
pub fn body_bytes(head: &[u8; HEAD_BYTES]) -> Result<usize, Unusable> {
    body_bytes_up_to(head, PREAMBLE_BYTES_MAX)
}

/// The same for a message that may be longer.
pub fn body_bytes_up_to(head: &[u8; HEAD_BYTES], bytes_max: usize) -> Result<usize, Unusable> {
    let [magic @ .., v0, v1, l0, l1, l2, l3] = *head;
    if magic != MAGIC {
        return Err(Unusable::Stranger);
    }
    let (version, length) = (u16::from_be_bytes([v0, v1]), u32::from_be_bytes([l0, l1, l2, l3]));
    if version != VERSION {
        return Err(Unusable::Version(version));
    }
    usize::try_from(length).ok().filter(|bytes| *bytes <= bytes_max).ok_or(Unusable::Long(length))
}

/// A message from its body.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unusable> {
    serde_json::from_slice(body).map_err(|_| Unusable::Malformed)
}

/// Which of the two came. No message is both: neither may have a field of the other's.
pub fn opening(body: &[u8]) -> Result<Opening, Unusable> {
    parse(body).map(Opening::Pump).or_else(|_| parse(body).map(Opening::Errand))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preamble() -> Preamble {
        Preamble { account: None, repo: "photos".to_owned(), append_only: true, private_repos: false }
    }

    #[test]
    fn a_message_is_read_back() {
        let framed = frame(&preamble());
        let (head, body) = framed.split_first_chunk::<HEAD_BYTES>().expect("a head");
        assert_eq!(body_bytes(head), Ok(body.len()));
        assert_eq!(parse::<Preamble>(body), Ok(preamble()));
    }

    #[test]
    fn a_head_with_any_bit_flipped_is_refused_or_another_length() {
        let framed = frame(&preamble());
        let head: [u8; HEAD_BYTES] = framed[..HEAD_BYTES].try_into().expect("a head");
        let length = framed.len() - HEAD_BYTES;
        for bit in 0..HEAD_BYTES * 8 {
            let mut flipped = head;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(body_bytes(&flipped), Ok(length), "bit {bit}");
        }
        assert_eq!(body_bytes(b"GET / HTTP/1.1"), Err(Unusable::Stranger));
        assert_eq!(body_bytes(b"\0RBackup\0\x02\0\0\0\x10"), Err(Unusable::Version(2)));
        assert_eq!(body_bytes(b"\0RBackup\0\x01\xff\xff\xff\xff"), Err(Unusable::Long(u32::MAX)));
    }

    #[test]
    fn a_right_that_is_not_named_is_not_assumed() {
        let whole = r#"{"account":null,"repo":"a","append_only":true,"private_repos":false}"#;
        assert!(parse::<Preamble>(whole.as_bytes()).is_ok());
        for missing in [r#""account":null,"#, r#""repo":"a","#, r#""append_only":true,"#, r#","private_repos":false"#] {
            let text = whole.replace(missing, "");
            assert_eq!(parse::<Preamble>(text.as_bytes()), Err(Unusable::Malformed), "{text}");
        }
        for (from, to) in [("}", r#","more":1}"#), ("true", "1"), ("true", "null"), ("}", r#","append_only":false}"#)] {
            let text = whole.replace(from, to);
            assert_eq!(parse::<Preamble>(text.as_bytes()), Err(Unusable::Malformed), "{text}");
        }
    }
}
