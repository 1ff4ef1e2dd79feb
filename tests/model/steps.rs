//! Everything two people may do to a store, and everything that may happen to it, as values that proptest can choose,
//! shrink and write down. Changing the strategy changes what a kept seed stands for: then add, do not replace.

use super::access::{AccessStep, access_step};
use super::objects::ObjectStep;
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
    /// Something with restic's objects.
    Object(ObjectStep),
    /// Something with sessions, tokens and passwords.
    Access(AccessStep),
}

/// Up to sixty of them, without objects.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..60)
}

/// Up to sixty of them, half with objects: a strategy of its own, so that what was kept of the other stays what it was.
pub fn steps_with_objects() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(prop_oneof![1 => step(), 1 => object_step().prop_map(Step::Object)], 1..60)
}

/// Up to sixty of them, two of three about who may do what: a strategy of its own, for the same reason.
pub fn steps_with_access() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(prop_oneof![1 => step(), 2 => access_step().prop_map(Step::Access)], 1..60)
}

fn object_step() -> impl Strategy<Value = ObjectStep> {
    let length = prop_oneof![Just(0u32), 1u32..600, 1u32..5_000, 900_000u32..2_300_000];
    let upload = (0usize..3, 0u8..3, 0u16..16, length);
    prop_oneof![
        8 => (upload.clone(), 0u8..6).prop_map(|((whose, repo, content, length), kind)| {
            ObjectStep::Put { whose, repo, kind, content, length }
        }),
        2 => upload.clone().prop_map(|(whose, repo, content, length)| {
            ObjectStep::PutFalsely { whose, repo, content, length }
        }),
        1 => upload.prop_map(|(whose, repo, content, length)| ObjectStep::Cut { whose, repo, content, length }),
        2 => (0usize..3, any::<usize>()).prop_map(|(whose, nth)| ObjectStep::Remove { whose, nth }),
        1 => (0usize..3, any::<usize>()).prop_map(|(whose, nth)| ObjectStep::RemoveAppendOnly { whose, nth }),
        1 => (0usize..3, 0u8..3).prop_map(|(whose, repo)| ObjectStep::Drop { whose, repo }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![Just(0u32), 1u32..600, 1u32..5_000, 5_000u32..120_000];
    let who = 0usize..2;
    let upload = (who.clone(), 0u8..12, 0u16..24, length.clone());
    prop_oneof![
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
    ]
}
