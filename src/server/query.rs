//! Reads a URL's query and `application/x-www-form-urlencoded` bodies, which are the same thing.
//!
//! Promises: values are bytes until somebody asks for text; a name that counts twice is refused, not chosen from; values are
//! wiped when the [`Query`] goes, and only they know how long a password was. Never: prints a key or a value, guesses what a
//! malformed escape means, echoes the request in an error.

use std::fmt;
use std::str::FromStr;

use crate::model::limits::QUERY_PAIRS_MAX;
use crate::model::secret::Secret;

/// Why a query cannot be used. Names come from our own code, never from the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// `%` without two hexadecimal digits, or a key that is not UTF-8.
    #[error("The query or form has a malformed percent escape.")]
    Malformed,
    /// More than [`QUERY_PAIRS_MAX`] pairs.
    #[error("The query or form has too many fields.")]
    TooMany,
    /// A field that must be there is not.
    #[error("The field {0} is missing.")]
    Missing(&'static str),
    /// Two values for one field.
    #[error("The field {0} is given more than once.")]
    Repeated(&'static str),
    /// A field that must be text has other bytes.
    #[error("The field {0} is not UTF-8 text.")]
    NotText(&'static str),
    /// A field that must be a number is none, or does not fit.
    #[error("The field {0} is not a whole number in its range.")]
    NotNumber(&'static str),
}

impl QueryError {
    /// The name of this error for machines; it never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed_query",
            Self::TooMany => "too_many_fields",
            Self::Missing(_) => "missing_field",
            Self::Repeated(_) => "repeated_field",
            Self::NotText(_) => "field_not_text",
            Self::NotNumber(_) => "field_not_number",
        }
    }

    /// The field it is about.
    pub fn name(&self) -> Option<&'static str> {
        match *self {
            Self::Malformed | Self::TooMany => None,
            Self::Missing(name) | Self::Repeated(name) | Self::NotText(name) | Self::NotNumber(name) => Some(name),
        }
    }
}

/// The fields of a query or form. Fields nobody asks for are ignored.
#[derive(Default)]
pub struct Query(Vec<Pair>);

/// A decoded key and its value.
pub type Pair = (String, Secret<Vec<u8>>);

impl Query {
    /// Reads a URL's query, which stands behind its `?`.
    pub fn parse(raw: &str) -> Result<Self, QueryError> {
        Self::parse_form(raw.as_bytes())
    }

    /// Reads a form's body.
    pub fn parse_form(body: &[u8]) -> Result<Self, QueryError> {
        pairs(body).map(Self)
    }

    /// The names that are given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whether the field is given, once or more.
    pub fn has(&self, name: &'static str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// The field's bytes.
    pub fn bytes(&self, name: &'static str) -> Result<Option<Vec<u8>>, QueryError> {
        Ok(self.one(name)?.map(<[u8]>::to_vec))
    }

    /// The field as text.
    pub fn text(&self, name: &'static str) -> Result<Option<String>, QueryError> {
        Ok(self.str(name)?.map(str::to_owned))
    }

    /// The field as text that wipes itself.
    pub fn secret(&self, name: &'static str) -> Result<Option<Secret<String>>, QueryError> {
        Ok(self.text(name)?.map(Secret::new))
    }

    /// The field as a whole number in decimal digits, with `-` where `T` has one.
    pub fn number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, QueryError> {
        let Some(text) = self.str(name)? else { return Ok(None) };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let number = if digits.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
        number.map(Some).ok_or(QueryError::NotNumber(name))
    }

    /// [`Query::bytes`] of a field that must be there.
    pub fn required_bytes(&self, name: &'static str) -> Result<Vec<u8>, QueryError> {
        self.bytes(name)?.ok_or(QueryError::Missing(name))
    }

    /// [`Query::text`] of a field that must be there.
    pub fn required_text(&self, name: &'static str) -> Result<String, QueryError> {
        self.text(name)?.ok_or(QueryError::Missing(name))
    }

    /// [`Query::secret`] of a field that must be there.
    pub fn required_secret(&self, name: &'static str) -> Result<Secret<String>, QueryError> {
        self.secret(name)?.ok_or(QueryError::Missing(name))
    }

    /// [`Query::number`] of a field that must be there.
    pub fn required_number<T: FromStr>(&self, name: &'static str) -> Result<T, QueryError> {
        self.number(name)?.ok_or(QueryError::Missing(name))
    }

    fn str(&self, name: &'static str) -> Result<Option<&str>, QueryError> {
        let text = self.one(name)?.map(std::str::from_utf8).transpose();
        text.map_err(|_| QueryError::NotText(name))
    }

    fn one(&self, name: &'static str) -> Result<Option<&[u8]>, QueryError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(QueryError::Repeated(name)),
            (first, None) => Ok(first.map(|(_, value)| value.reveal().as_slice())),
        }
    }
}

/// Keys stay hidden too: a password with a bare `&` leaves its end in one.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({} fields)", self.0.len())
    }
}

/// The pairs in their order: split at `&`, then at the first `=`; `+` is a space, `%xx` a byte. Empty pairs are skipped.
pub fn pairs(raw: &[u8]) -> Result<Vec<Pair>, QueryError> {
    let mut pairs = Vec::new();
    for pair in raw.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == QUERY_PAIRS_MAX {
            return Err(QueryError::TooMany);
        }
        let (key, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        };
        let key = String::from_utf8(decoded(key)?).map_err(|_| QueryError::Malformed)?;
        pairs.push((key, Secret::new(decoded(value)?)));
    }
    Ok(pairs)
}

/// By hand, because the `percent-encoding` crate lets malformed escapes pass, and would need a copy with the `+` replaced
/// that somebody has to wipe. The capacity is enough from the start, so that no outgrown buffer keeps a password.
fn decoded(raw: &[u8]) -> Result<Vec<u8>, QueryError> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        rest = match rest {
            [b'%', high, low, tail @ ..] => {
                bytes.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
                tail
            }
            [b'%', ..] => return Err(QueryError::Malformed),
            [b'+', tail @ ..] => {
                bytes.push(b' ');
                tail
            }
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
            [] => return Ok(bytes),
        };
    }
}

fn hex_digit(digit: u8) -> Result<u8, QueryError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(QueryError::Malformed),
    }
}
