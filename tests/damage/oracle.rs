//! What a store has promised, noted while it was built and by nothing that reads it.

use crate::kit::random::Content;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that was acknowledged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Oracle {
    /// Every device that signed in, with the session it holds.
    pub sessions: Vec<Signed>,
    /// By version id.
    pub versions: BTreeMap<u64, Truth>,
    /// Where the log ended at the last stop in good order: up to there the catalog has everything.
    pub settled: End,
}

/// A device's live session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signed {
    /// The account's name.
    pub account: String,
    /// The device's name.
    pub device: String,
    /// The session's secret.
    pub secret: String,
}

/// A version that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// The account's name.
    pub account: String,
    /// The device's name.
    pub device: String,
    /// The file's id.
    pub file: u64,
    /// The file's name on its device.
    pub path: String,
    /// Length of the content.
    pub size: u64,
    /// SHA-256 of the content, in hex.
    pub sha256: String,
    /// What the content is made from.
    pub seed: u64,
    /// Whether it is text.
    pub text: bool,
    /// Where the log ended when it was acknowledged.
    pub acknowledged: End,
    /// Whether its removal was acknowledged, and where the log ended then.
    pub removed: Option<End>,
}

/// How far the log reached: the last block of the newest volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct End {
    /// The volume's number.
    pub volume: u32,
    /// The block's number.
    pub block: u32,
}

impl Truth {
    /// The content.
    pub fn content(&self) -> Vec<u8> {
        Content { seed: self.seed, size: self.size as usize, text: self.text, inserted: Vec::new() }.bytes()
    }
}

impl Oracle {
    /// The names of all accounts.
    pub fn accounts(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.sessions.iter().map(|signed| signed.account.as_str()).collect();
        names.dedup();
        names
    }

    /// The highest version id that was ever given.
    pub fn newest(&self) -> u64 {
        self.versions.keys().next_back().copied().unwrap_or(0)
    }
}
