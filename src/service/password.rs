//! From a password to a key, slowly: argon2id. The key opens the account's data key, and that it does is the proof of the
//! password; no hash of the password is stored. One run for registering, one for signing in, the same work for unknown names.

use argon2::password_hash::{Ident, ParamsString, PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use super::error::Error;
use super::secrets::random;
use crate::model::Secret;

const SALT_BYTES: usize = 16;

/// Parameters and salt as a PHC string without a hash, and the key they give for `password`.
pub fn fresh(password: &Secret<String>) -> Result<(String, [u8; 32]), Error> {
    let salt = random::<SALT_BYTES>()?;
    let params = Params::default();
    let text = SaltString::encode_b64(&salt).map_err(broken)?;
    let phc = PasswordHash {
        algorithm: Ident::new_unwrap("argon2id"),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(broken)?,
        salt: Some(text.as_salt()),
        hash: None,
    };
    let key = run(params, &salt, password)?;
    Ok((phc.to_string(), key))
}

/// The key that `password` gives under stored parameters.
pub fn key(phc: &str, password: &Secret<String>) -> Result<[u8; 32], Error> {
    let phc = PasswordHash::new(phc).map_err(broken)?;
    let mut buffer = [0; SALT_BYTES];
    let salt = match phc.salt {
        Some(salt) => salt.decode_b64(&mut buffer).map_err(broken)?,
        None => &[],
    };
    run(Params::try_from(&phc).map_err(broken)?, salt, password)
}

/// The work of [`key`] without a use, for a name that does not exist.
pub fn waste(password: &Secret<String>) -> Result<(), Error> {
    run(Params::default(), &[0; SALT_BYTES], password).map(drop)
}

fn run(params: Params, salt: &[u8], password: &Secret<String>) -> Result<[u8; 32], Error> {
    let mut key = [0; 32];
    // Counted by a test: a path that hashes more or less often tells something.
    tracing::debug!("a password is hashed");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.reveal().as_bytes(), salt, &mut key)
        .map_err(|error| Error::Internal(error.to_string().into()))?;
    Ok(key)
}

fn broken(error: argon2::password_hash::Error) -> Error {
    Error::Internal(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_password_gives_the_same_key_under_stored_parameters_of_owasp_strength() {
        let password = Secret::new("correct horse".to_owned());
        let (phc, fresh_key) = fresh(&password).expect("hashed");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert_eq!(key(&phc, &password).expect("hashed"), fresh_key);
        assert_ne!(key(&phc, &Secret::new("correct hors".to_owned())).expect("hashed"), fresh_key);
    }
}
