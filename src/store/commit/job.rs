//! What the storage thread may be asked.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use crate::store::draft::{BytePermit, NewFrame};
use crate::store::error::Error;
use crate::store::header::Ending;
use crate::store::mark::Mark;
use crate::store::operation::{Done, Operation};
use crate::store::usage::Logical;

/// What the storage thread is asked.
pub enum Job {
    /// Append a frame.
    Append(NewFrame, BytePermit),
    /// Decide an operation and answer when it is durable.
    Commit {
        /// The operation.
        operation: Operation,
        /// How many losses there had been when its draft began.
        losses_seen: u64,
        /// Where the answer goes.
        reply: Sender<Result<Done, Error>>,
    },
    /// Count the logical bytes of an account.
    CountLogical {
        /// The account.
        account: u64,
        /// Where the answer goes.
        reply: Sender<Result<Logical, Error>>,
    },
    /// What was stored before this start was counted.
    StoredCounted {
        /// By account.
        missing: BTreeMap<u64, u64>,
        /// Where the answer goes.
        reply: Sender<Result<(), Error>>,
    },
    /// Say where the acknowledged log ends, when all that waits is in it.
    End(Sender<Result<Ending, Error>>),
    /// Close the open volume for a moment: readers took much through it.
    Recycle,
    /// A reader met a damaged page of the catalog: make it anew.
    Mend,
    /// End at once, as after a crash.
    Abandon,
    /// Write everything out and end.
    Close(Sender<Result<Mark, Error>>),
}
