//! The catalog's questions about accounts, devices, sessions and tokens.

use super::credential::Credential;
use super::invite::InviteRow;
use super::records::{AccountRow, DeviceRow, SessionRow, TokenRow};
use crate::store::catalog::Catalog;
use crate::store::error::Error;
use crate::store::keys;
use crate::store::records::parse_row;

/// A token's row with the hash it is found by.
#[derive(Debug, Clone)]
pub struct TokenEntry {
    /// Hash of its secret.
    pub hash: [u8; 32],
    /// What it is.
    pub row: TokenRow,
}

impl Catalog {
    /// An account by its name in lower case.
    pub fn account_by_name(&self, folded: &str) -> Result<Option<AccountRow>, Error> {
        match self.get::<u64>(&keys::account_name(folded))? {
            Some(account) => self.account(account),
            None => Ok(None),
        }
    }

    /// An account by its id.
    pub fn account(&self, account: u64) -> Result<Option<AccountRow>, Error> {
        self.raw(&keys::account(account))?.map(|bytes| AccountRow::parse(&bytes)).transpose()
    }

    /// The accounts in the order of their ids.
    pub fn accounts(&self) -> Result<Vec<AccountRow>, Error> {
        self.stream(keys::accounts()).map(|row| AccountRow::parse(&row?.1.value)).collect()
    }

    /// The invitations that wait, by the hashes of their codes; those whose time is over too.
    pub fn invites(&self) -> Result<Vec<([u8; 32], InviteRow)>, Error> {
        let invites = self.stream(keys::invites()).map(|row| {
            let (key, row) = row?;
            let hash = keys::parse_invite(&key).ok_or_else(|| Error::format("row", "an invitation's key"))?;
            Ok((hash, parse_row(&row.value)?))
        });
        invites.collect()
    }

    /// An invitation by the hash of its code.
    pub fn invite(&self, hash: &[u8; 32]) -> Result<Option<InviteRow>, Error> {
        self.get(&keys::invite(hash))
    }

    /// A session by its row's key.
    pub fn session(&self, family: &[u8; 32]) -> Result<Option<SessionRow>, Error> {
        self.raw(&keys::session(family))?.map(|bytes| SessionRow::parse(family, &bytes)).transpose()
    }

    /// A token by the hash of its secret.
    pub fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRow>, Error> {
        self.get(&keys::token(hash))
    }

    /// The tokens of an account in the order they were made.
    pub fn tokens(&self, account: u64) -> Result<Vec<TokenEntry>, Error> {
        let mut tokens = Vec::new();
        for row in self.stream(keys::account_tokens(account)) {
            let hash = parse_row::<[u8; 32]>(&row?.1.value)?;
            if let Some(row) = self.token(&hash)? {
                tokens.push(TokenEntry { hash, row });
            }
        }
        Ok(tokens)
    }

    /// The devices that ever signed in to an account, by name.
    pub fn devices(&self, account: u64) -> Result<Vec<(String, DeviceRow)>, Error> {
        let devices = self.stream(keys::devices(account)).map(|row| {
            let (key, row) = row?;
            let name = keys::parse_device(&key).ok_or_else(|| Error::format("row", "a device's key has no name"))?;
            Ok((name.to_owned(), parse_row(&row.value)?))
        });
        devices.collect()
    }

    /// The browsers that ever signed in to an account, by name.
    pub fn browsers(&self, account: u64) -> Result<Vec<(String, DeviceRow)>, Error> {
        let browsers = self.stream(keys::browsers(account)).map(|row| {
            let (key, row) = row?;
            let name = keys::parse_device(&key).ok_or_else(|| Error::format("row", "a browser's key has no name"))?;
            Ok((name.to_owned(), parse_row(&row.value)?))
        });
        browsers.collect()
    }

    /// A device by its name.
    pub fn device(&self, account: u64, name: &str) -> Result<Option<DeviceRow>, Error> {
        self.get(&keys::device(account, name))
    }

    /// Whether what somebody works with is still valid.
    pub fn is_valid(&self, credential: &Credential) -> Result<bool, Error> {
        credential.is_valid(|key| self.raw(key))
    }
}
