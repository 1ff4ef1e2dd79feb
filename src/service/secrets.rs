//! Random secrets, how they are written for people and programs, and what is kept of them: hashes and keys, never themselves.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use zeroize::{Zeroize, Zeroizing};

use super::error::Error;
use crate::model::Secret;

/// So that a leaked session is recognised, by people and by scanners of public code.
const SESSION_PREFIX: &str = "rbs_";
const TOKEN_PREFIX: &str = "rbt_";
const SECRET_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;
/// Random, so that only who has had a session of a family can name it, and nobody who has a copy of the disk.
const FAMILY_NAME_BYTES: usize = 16;
/// What stands for the name of a family that has none.
const OLD_FAMILY_NAME_BYTES: usize = 32;
/// The longest of them in base64.
const SECRET_TEXT_BYTES_MAX: usize = 128;
/// 160 bits: too many to guess, few enough to copy from paper.
const RECOVERY_BYTES: usize = 20;
/// Without letters that look like digits.
const RECOVERY_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Bytes from the system's generator.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    crate::model::random::random().map_err(|error| Error::Internal(Box::new(error)))
}

/// The secret of one generation of a session, and its family's name. What the client presents is prefix, name, secret and checksum.
///
/// Sessions of the first programs have no name: their family's key is the hash of their first secret, and stands in the
/// text of later generations as the name.
pub struct SessionSecret {
    name: Vec<u8>,
    secret: [u8; SECRET_BYTES],
}

impl SessionSecret {
    /// The first generation of a new family.
    pub fn fresh() -> Result<Self, Error> {
        Ok(Self { name: random::<FAMILY_NAME_BYTES>()?.to_vec(), secret: random()? })
    }

    /// Reads what a client presents; `None` when it cannot be a session of any server.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = unchecked(SESSION_PREFIX, text)?;
        let (name, secret) = bytes.split_last_chunk::<SECRET_BYTES>()?;
        matches!(name.len(), 0 | FAMILY_NAME_BYTES | OLD_FAMILY_NAME_BYTES)
            .then(|| Self { name: name.to_vec(), secret: *secret })
    }

    /// What the client presents.
    pub fn text(&self) -> Secret<String> {
        checked(SESSION_PREFIX, &[&self.name, &self.secret[..]])
    }

    /// The generation after this one.
    pub fn next(&self, salt: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("rbackup v1 session rotation");
        hasher.update(&self.secret).update(salt);
        let name = if self.name.is_empty() { self.family().to_vec() } else { self.name.clone() };
        Self { name, secret: hasher.finalize().into() }
    }

    /// The key of the family's row.
    pub fn family(&self) -> [u8; 32] {
        match (self.name.len(), <[u8; OLD_FAMILY_NAME_BYTES]>::try_from(&self.name[..])) {
            (0, _) => self.hash(),
            (_, Ok(old)) => old,
            _ => blake3::derive_key("rbackup v1 session family", &self.name),
        }
    }

    /// What is stored to know it again.
    pub fn hash(&self) -> [u8; 32] {
        blake3::derive_key("rbackup v1 session hash", &self.secret)
    }

    /// The key that wraps the account's data key for this generation.
    pub fn wrapping_key(&self) -> [u8; 32] {
        blake3::derive_key("rbackup v1 session wrapping key", &self.secret)
    }
}

impl Drop for SessionSecret {
    fn drop(&mut self) {
        self.name.zeroize();
        self.secret.zeroize();
    }
}

/// Prefix, bytes and their checksum as text.
fn checked(prefix: &str, parts: &[&[u8]]) -> Secret<String> {
    let mut bytes = parts.concat();
    bytes.reserve_exact(CHECKSUM_BYTES); // growing would leave a copy behind
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    let text = format!("{prefix}{}", BASE64.encode(&bytes));
    bytes.zeroize();
    Secret::new(text)
}

/// The bytes of such a text, if its checksum is right.
fn unchecked(prefix: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body = text.strip_prefix(prefix).filter(|body| body.len() <= SECRET_TEXT_BYTES_MAX)?;
    let mut bytes = Zeroizing::new(BASE64.decode(body).ok()?);
    let (held, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let length = held.len();
    if *sum != checksum(held) {
        return None;
    }
    bytes.truncate(length);
    Some(bytes)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    crc32fast::hash(bytes).to_be_bytes()
}

/// A token's secret.
pub struct TokenSecret([u8; SECRET_BYTES]);

impl TokenSecret {
    /// A new one.
    pub fn fresh() -> Result<Self, Error> {
        Ok(Self(random()?))
    }

    /// Whether a text wants to be a token.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(TOKEN_PREFIX)
    }

    /// Reads what a client presents; `None` when it cannot be a token of any server.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = unchecked(TOKEN_PREFIX, text)?;
        <[u8; SECRET_BYTES]>::try_from(&bytes[..]).ok().map(Self)
    }

    /// What the client presents.
    pub fn text(&self) -> Secret<String> {
        checked(TOKEN_PREFIX, &[&self.0])
    }

    /// What is stored to find it again.
    pub fn hash(&self) -> [u8; 32] {
        blake3::derive_key("rbackup v1 token hash", &self.0)
    }

    /// The key that wraps the account's data key for this token.
    pub fn wrapping_key(&self) -> [u8; 32] {
        blake3::derive_key("rbackup v1 token wrapping key", &self.0)
    }
}

impl Drop for TokenSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A code that opens the account's data key when the password is lost.
pub struct RecoveryCode([u8; RECOVERY_BYTES]);

impl RecoveryCode {
    /// A new one.
    pub fn fresh() -> Result<Self, Error> {
        Ok(Self(random()?))
    }

    /// Reads what somebody copied from paper: in any case, grouped as they like, and with letters that look like digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut code = Self([0; RECOVERY_BYTES]);
        let (mut bits, mut count, mut at) = (0u32, 0u32, 0);
        for letter in text.bytes().filter(|letter| !matches!(letter, b'-' | b' ' | b'\t')) {
            let letter = match letter.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let value = RECOVERY_ALPHABET.iter().position(|known| *known == letter)?;
            bits = bits << 5 | value as u32;
            count += 5;
            if count >= 8 {
                count -= 8;
                *code.0.get_mut(at)? = (bits >> count) as u8;
                at += 1;
                bits &= (1 << count) - 1;
            }
        }
        (at == RECOVERY_BYTES && count == 0).then_some(code)
    }

    /// The code in groups of four letters, for paper.
    pub fn text(&self) -> Secret<String> {
        let mut text = String::with_capacity(40);
        let (mut bits, mut count) = (0u32, 0u32);
        for byte in &self.0 {
            bits = bits << 8 | u32::from(*byte);
            count += 8;
            while count >= 5 {
                count -= 5;
                if text.len() % 5 == 4 {
                    text.push('-');
                }
                text.push(char::from(RECOVERY_ALPHABET[(bits >> count & 31) as usize]));
            }
            bits &= (1 << count) - 1;
        }
        Secret::new(text)
    }

    /// What is stored to find it again, where it opens nothing and only lets somebody in.
    pub fn hash(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.0)
    }

    /// The key that wraps the account's data key for this code.
    pub fn wrapping_key(&self) -> [u8; 32] {
        blake3::derive_key("rbackup v1 recovery wrapping key", &self.0)
    }
}

impl Drop for RecoveryCode {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_back_and_a_typo_is_seen() {
        let secret = SessionSecret::fresh().expect("random");
        let text = secret.text();
        let read = SessionSecret::parse(text.reveal()).expect("readable");
        assert_eq!(read.hash(), secret.hash());
        assert_eq!(read.family(), secret.family());
        for at in 4..text.reveal().len() {
            let mut typo = text.reveal().clone().into_bytes();
            typo[at] = if typo[at] == b'A' { b'B' } else { b'A' };
            let typo = String::from_utf8(typo).expect("text");
            assert!(SessionSecret::parse(&typo).is_none_or(|read| read.hash() == secret.hash()), "{at}");
        }
    }

    #[test]
    fn generations_share_their_family_and_nothing_else() {
        let named = SessionSecret::fresh().expect("random");
        let old = SessionSecret { name: Vec::new(), secret: [7; 32] };
        for first in [named, old] {
            let second = first.next(&[1; 32]);
            let third = second.next(&[1; 32]);
            let read = SessionSecret::parse(third.text().reveal()).expect("readable");
            for one in [&second, &third, &read] {
                assert_eq!(one.family(), first.family());
            }
            assert!(first.hash() != second.hash() && second.hash() != third.hash() && read.hash() == third.hash());
            assert_eq!(first.next(&[1; 32]).hash(), second.hash(), "the same again");
            assert_ne!(first.next(&[2; 32]).hash(), second.hash());
        }
    }

    #[test]
    fn a_token_is_no_session_and_a_session_no_token() {
        let (token, session) = (TokenSecret::fresh().expect("random"), SessionSecret::fresh().expect("random"));
        assert!(SessionSecret::parse(token.text().reveal()).is_none());
        assert!(TokenSecret::parse(session.text().reveal()).is_none());
        assert!(TokenSecret::parse(&session.text().reveal().replace("rbs_", "rbt_")).is_none(), "another length");
        assert_eq!(TokenSecret::parse(token.text().reveal()).map(|read| read.hash()), Some(token.hash()));
    }

    #[test]
    fn a_recovery_code_is_read_back_however_it_is_written() {
        let code = RecoveryCode::fresh().expect("random");
        let text = code.text().reveal().clone();
        for written in
            [text.clone(), text.to_lowercase(), text.replace('-', ""), text.replace('0', "o").replace('1', "l")]
        {
            assert_eq!(RecoveryCode::parse(&written).map(|read| read.0), Some(code.0), "{written}");
        }
        for wrong in ["", "0", &text[1..], &format!("{text}0"), &text.replace('-', "_"), "Ö"] {
            assert!(RecoveryCode::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_recovery_code_has_eight_groups_of_four() {
        let text = RecoveryCode([0xFF; RECOVERY_BYTES]).text();
        assert_eq!(text.reveal(), "ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        let text = RecoveryCode([0; RECOVERY_BYTES]).text();
        assert_eq!(text.reveal(), "0000-0000-0000-0000-0000-0000-0000-0000");
    }
}
