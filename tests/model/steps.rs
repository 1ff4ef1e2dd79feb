//! Everything two people may do to a store, and everything that may happen to it, as values that proptest can choose,
//! shrink and write down. Changing the strategy changes what a kept seed stands for: then add, do not replace.

use proptest::prelude::*;

/// Ann or Bert.
pub type Who = usize;

/// What happens next.
#[derive(Debug, Clone)]
pub enum Step {
    /// A whole upload.
    Upload { who: Who, path: u8, content: u16, length: u32 },
    /// An upload during which the other one uploads too.
    UploadAround { who: Who, path: u8, content: u16, length: u32, other: u32 },
    /// An upload that is given up.
    UploadCut { who: Who, path: u8, length: u32 },
    /// All versions of a file.
    RemoveFile { who: Who, path: u8 },
    /// One of the versions there are.
    RemoveVersion { who: Who, nth: usize },
    /// Reads and removes what belongs to the other one: nothing may come of it.
    Trespass { who: Who, nth: usize },
    /// Signs the device in again, which ends its older session.
    Login { who: Who },
    /// A stop in good order, and a start.
    Restart,
    /// A start after no stop.
    Crash,
    /// A stop, and a catalog from nothing but the volumes.
    Rebuild,
    /// A crash, an export of what it left, and a store made from that in its place.
    Move,
}

/// Up to sixty of them.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![Just(0u32), 1u32..600, 1u32..5_000, 5_000u32..120_000];
    let who = 0usize..2;
    let upload = (who.clone(), 0u8..12, 0u16..24, length.clone());
    let step = prop_oneof![
        12 => upload.clone().prop_map(|(who, path, content, length)| Step::Upload { who, path, content, length }),
        3 => (upload, 0u32..20_000).prop_map(|((who, path, content, length), other)| {
            Step::UploadAround { who, path, content, length, other }
        }),
        2 => (who.clone(), 0u8..12, length).prop_map(|(who, path, length)| Step::UploadCut { who, path, length }),
        1 => (who.clone(), 0u8..12).prop_map(|(who, path)| Step::RemoveFile { who, path }),
        2 => (who.clone(), any::<usize>()).prop_map(|(who, nth)| Step::RemoveVersion { who, nth }),
        1 => (who.clone(), any::<usize>()).prop_map(|(who, nth)| Step::Trespass { who, nth }),
        1 => who.prop_map(|who| Step::Login { who }),
        1 => Just(Step::Restart),
        2 => Just(Step::Crash),
        1 => Just(Step::Rebuild),
        1 => Just(Step::Move),
    ];
    prop::collection::vec(step, 1..60)
}
