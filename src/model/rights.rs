//! What somebody may do: a set of scopes, closed under what each of them includes.
//!
//! Promise: two sets have a right in common only if both have it, so a token's rights cut down to its account's never exceed them.

use std::fmt;

/// One thing that may be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Upload, and list the own device; of restic all that append-only access may do, reading included.
    Append,
    /// Lists and metadata.
    Read,
    /// Read, and bring contents.
    Restore,
    /// Restore, and remove.
    Delete,
    /// All of these; sessions, tokens and the account itself.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Append, Self::Read, Self::Restore, Self::Delete, Self::Admin];

    /// The scope of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Read => "read",
            Self::Restore => "restore",
            Self::Delete => "delete",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Its own bit and those of what it includes.
    fn with_all_it_includes(self) -> u8 {
        let below = match self {
            Self::Append | Self::Read => 0,
            Self::Restore => Self::Read.bit(),
            Self::Delete => Self::Restore.with_all_it_includes(),
            Self::Admin => Self::Append.bit() | Self::Delete.with_all_it_includes(),
        };
        self.bit() | below
    }
}

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const FULL: Self = Self(0b1_1111);
    /// What [`Scope::Append`] grants.
    pub const APPEND_ONLY: Self = Self(1);

    /// What these scopes grant together.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.with_all_it_includes()))
    }

    /// What a byte says that [`Rights::to_byte`] made. Bits that are not known grant nothing.
    pub fn from_byte(byte: u8) -> Self {
        Self::of(Scope::ALL.into_iter().filter(|scope| byte & scope.bit() != 0))
    }

    /// As the store keeps it: a bit for each scope, append the lowest.
    pub fn to_byte(self) -> u8 {
        self.0
    }

    /// Whether it is among them.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// What both grant.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes that grant it, without those that another of them includes.
    pub fn scopes(self) -> Vec<Scope> {
        let held = || Scope::ALL.into_iter().filter(|scope| self.has(*scope));
        let is_included =
            |scope: Scope| held().any(|other| other != scope && other.with_all_it_includes() & scope.bit() != 0);
        held().filter(|scope| !is_included(*scope)).collect()
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.scopes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_include_what_the_design_says() {
        use Scope::{Admin, Append, Delete, Read, Restore};
        let rows: [(Scope, &[Scope]); 5] = [
            (Append, &[Append]),
            (Read, &[Read]),
            (Restore, &[Read, Restore]),
            (Delete, &[Read, Restore, Delete]),
            (Admin, &[Append, Read, Restore, Delete, Admin]),
        ];
        for (scope, included) in rows {
            let rights = Rights::of([scope]);
            let has: Vec<Scope> = Scope::ALL.into_iter().filter(|other| rights.has(*other)).collect();
            assert_eq!(has, included, "{scope:?}");
            assert_eq!(rights.scopes(), [scope]);
            assert_eq!(Scope::parse(scope.name()), Some(scope));
        }
        assert_eq!(Rights::of([Append, Restore]).scopes(), [Append, Restore]);
        assert_eq!((Rights::of([Admin]), Rights::of([Append])), (Rights::FULL, Rights::APPEND_ONLY));
        assert_eq!(Rights::of([Delete, Append]).and(Rights::of([Restore])), Rights::of([Restore]));
        assert_eq!(Rights::from_byte(0b1110_0010), Rights::of([Read]), "unknown bits grant nothing");
        assert_eq!(Rights::of([]), Rights::NONE);
    }
}
