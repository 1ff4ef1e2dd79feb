//! Random secrets, how they are written for people and programs, and what is kept of them: hashes and keys, never themselves.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use zeroize::Zeroize;

use super::error::Error;
use crate::model::Secret;

/// So that a leaked session is recognised, by people and by scanners of public code.
const SESSION_PREFIX: &str = "rbs_";
const SECRET_BYTES: usize = 32;
/// 160 bits: too many to guess, few enough to copy from paper.
const RECOVERY_BYTES: usize = 20;
/// Without letters that look like digits.
const RECOVERY_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Bytes from the system's generator.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    crate::model::random::random().map_err(|error| Error::Internal(Box::new(error)))
}

/// A session's secret: what is hashed to find its row and what its key comes from.
pub struct SessionSecret([u8; SECRET_BYTES]);

impl SessionSecret {
    /// A new one.
    pub fn fresh() -> Result<Self, Error> {
        Ok(Self(random()?))
    }

    /// Reads what a client presents; `None` when it cannot be a session of any server.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(SESSION_PREFIX)?;
        let mut bytes = BASE64.decode(body).ok()?;
        let parts = bytes.split_first_chunk::<SECRET_BYTES>();
        let secret = parts.filter(|(secret, sum)| *sum == checksum(secret)).map(|(secret, _)| Self(*secret));
        bytes.zeroize();
        secret
    }

    /// What the client presents: prefix, secret and checksum.
    pub fn text(&self) -> Secret<String> {
        let mut bytes = [&self.0[..], &checksum(&self.0)].concat();
        let text = format!("{SESSION_PREFIX}{}", BASE64.encode(&bytes));
        bytes.zeroize();
        Secret::new(text)
    }

    /// What is stored to find it again.
    pub fn hash(&self) -> [u8; 32] {
        blake3::derive_key("rbackup v1 session hash", &self.0)
    }

    /// The key that wraps the account's data key for this session.
    pub fn wrapping_key(&self) -> [u8; 32] {
        blake3::derive_key("rbackup v1 session wrapping key", &self.0)
    }
}

impl Drop for SessionSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn checksum(secret: &[u8; SECRET_BYTES]) -> [u8; 4] {
    crc32fast::hash(secret).to_be_bytes()
}

/// A code that opens the account's data key when the password is lost.
pub struct RecoveryCode([u8; RECOVERY_BYTES]);

impl RecoveryCode {
    /// A new one.
    pub fn fresh() -> Result<Self, Error> {
        Ok(Self(random()?))
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
        for at in 4..text.reveal().len() {
            let mut typo = text.reveal().clone().into_bytes();
            typo[at] = if typo[at] == b'A' { b'B' } else { b'A' };
            let typo = String::from_utf8(typo).expect("text");
            assert!(SessionSecret::parse(&typo).is_none_or(|read| read.hash() == secret.hash()), "{at}");
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
