//! What somebody works with, for the moment in which a change commits: what ended while the change was under way commits nothing.

use super::records::AccountRow;
use crate::store::error::Error;
use crate::store::keys;
use crate::store::operation::View;

/// What must still be valid. Account 0 has no row and is always valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A session, by its row's key.
    Session([u8; 32]),
    /// A token, by the hash of its secret.
    Token {
        /// Its account, which must not be disabled.
        account: u64,
        /// The hash.
        hash: [u8; 32],
    },
    /// A password that was right when the account had this epoch.
    Password {
        /// The account.
        account: u64,
        /// Its epoch then.
        epoch: u32,
    },
    /// The word of the machine's owner.
    Word {
        /// The account, which must not be disabled.
        account: u64,
    },
}

impl Credential {
    /// An error unless it is valid in this view.
    pub(in crate::store) fn require(&self, view: &View) -> Result<(), Error> {
        self.is_valid(|key| view.raw(key))?.then_some(()).ok_or(Error::SessionEnded)
    }

    /// The same question over any source of rows.
    pub(super) fn is_valid(&self, row: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, Error>) -> Result<bool, Error> {
        let account = |account: u64| match row(&keys::account(account))? {
            Some(bytes) => AccountRow::parse(&bytes).map(Some),
            None => Ok(None),
        };
        let enabled = |id: u64| Ok::<_, Error>(id == 0 || account(id)?.is_some_and(|row| row.disabled.is_none()));
        match self {
            Self::Session(family) => Ok(row(&keys::session(family))?.is_some()),
            Self::Token { account, hash } => Ok(row(&keys::token(hash))?.is_some() && enabled(*account)?),
            Self::Password { account: id, epoch } => {
                Ok(account(*id)?.is_some_and(|row| row.epoch == *epoch && row.disabled.is_none()))
            }
            Self::Word { account } => enabled(*account),
        }
    }
}
