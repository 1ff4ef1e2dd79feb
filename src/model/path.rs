//! The name of a file on its device: opaque bytes, parsed once, never a path of the server.

use std::borrow::Cow;

use super::{Invalid, limits};

/// A file's full name as its device wrote it: 1 to [`limits::FILE_PATH_BYTES_MAX`] bytes, none of them NUL.
/// It need not be UTF-8 and its separators are the device's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(Vec<u8>);

impl FilePath {
    /// Takes the bytes over if they can be a file's name.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Invalid> {
        let problem = if bytes.is_empty() {
            "is empty".to_owned()
        } else if bytes.len() > limits::FILE_PATH_BYTES_MAX {
            format!("is longer than {} bytes", limits::FILE_PATH_BYTES_MAX)
        } else if bytes.contains(&0) {
            "contains a NUL byte".to_owned()
        } else {
            return Ok(Self(bytes));
        };
        Err(Invalid::new("file_path", problem))
    }

    /// The bytes as the device wrote them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text, with U+FFFD where it is not UTF-8.
    pub fn to_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}
