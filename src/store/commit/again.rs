//! Changes that a full disk took together with others' data: what needs nothing but its record is done again, once.
//!
//! Promise: a removal or a sign-in is not refused for want of room while there is ballast for it. Never: does anything twice that
//! was acknowledged, or again what builds on frames that are lost.

use std::sync::mpsc::Sender;

use super::Keeper;
use crate::store::error::Error;
use crate::store::operation::{Done, Operation};

/// Somebody who waits for an answer, and what can be done once more for him.
pub struct Waiting {
    reply: Sender<Result<Done, Error>>,
    again: Option<Operation>,
}

impl Waiting {
    /// Who asked for `operation`.
    pub fn of(operation: &Operation, reply: Sender<Result<Done, Error>>) -> Self {
        Self { reply, again: operation.is_record_only().then(|| operation.clone()) }
    }

    /// The answer; nobody may be there for it any more.
    pub fn answer(self, done: Result<Done, Error>) {
        let _ = self.reply.send(done);
    }
}

impl Keeper {
    /// Says that it failed, unless it can be done again.
    pub(super) fn refuse(&mut self, waiting: Waiting, error: &Error) {
        match error {
            Error::NoSpace if waiting.again.is_some() => self.again.push(waiting),
            error => waiting.answer(Err(same(error))),
        }
    }

    /// Does again what was taken by a full disk, each by itself and behind a volume of its own if need be. What fails once more is
    /// refused.
    pub(super) fn do_again(&mut self) {
        for Waiting { reply, again } in std::mem::take(&mut self.again) {
            let Some(operation) = again else { continue };
            self.shared.space.make_room(self.writer.is_ok());
            self.decide_and_stage(operation, Waiting { reply, again: None });
            if !self.group.answers.is_empty() {
                self.finish();
            }
        }
    }
}

/// The error once more for each who waits; the log has the whole of it.
fn same(error: &Error) -> Error {
    match error {
        Error::NoSpace => Error::NoSpace,
        _ => Error::Refused("the log could not be written"),
    }
}
