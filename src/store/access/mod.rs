//! Accounts, devices, sessions and tokens in the store: what is recorded of them, how their rows lie in the catalog, what is
//! decided about them, and whether what somebody works with is still valid when a change commits.
//!
//! Promises: whatever ends together (a changed password and the sessions it ends) is one record; a generation of a session is
//! made once, however many ask at the same moment. Never: knows a secret, or how long anything may live.

mod catalog;
mod credential;
mod invite;
mod operation;
mod records;
mod removed;

pub use self::catalog::TokenEntry;
pub use self::credential::Credential;
pub use self::invite::{Entry, InviteRow, InvitesChanged};
pub(super) use self::operation::decide;
pub use self::operation::{AccessOperation, AccountChange, NewGeneration, SessionKind, Sessions, Tokens};
pub use self::records::{
    AccessChanged, AccountAdded, AccountRow, BROWSER_NUMBER, DeviceRow, Generation, OldSessionOpened, SessionChanged,
    SessionOpened, SessionRow, TokenChanged, TokenRow,
};
pub use self::removed::AccountRemoved;
