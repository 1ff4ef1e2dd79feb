//! What the clients asked for and were told, placed in the recorder's log.
//!
//! From it follows, for any point of the log, what had been promised by then and what was under way.

use super::log::{Call, Log};
use crate::kit::api::Listed;
use crate::kit::ledger::{Claim, Ledger};
use crate::kit::objects::Standing;
use std::collections::HashMap;

/// One request's meaning, with what its answer said.
#[derive(Clone, Debug)]
pub enum Deed {
    /// An account.
    Register(String),
    /// A device's new session.
    Login { device: String, session: String },
    /// A version.
    Upload { claim: Claim, answer: Listed },
    /// Versions that went.
    Remove(Vec<u64>),
    /// An object of restic's that came, or went.
    Object { account: String, object: String, standing: Standing },
}

/// A request in the log.
#[derive(Clone, Debug)]
pub struct Event {
    /// Length of the log when its first byte was sent.
    pub sent_bytes: u64,
    /// The client's port.
    pub port: u16,
    /// Its number among the answers to that port.
    pub nth: usize,
    /// What it was.
    pub deed: Deed,
}

/// An event with its places as record numbers.
pub struct Placed {
    /// Nothing of it can be in a record before this.
    pub sent: usize,
    /// The record of its answer.
    pub answered: usize,
    /// What it was.
    pub deed: Deed,
}

/// Finds every event's answer. In the order of answers.
pub fn place(events: &[Event], log: &Log) -> Vec<Placed> {
    let mut answers: HashMap<u16, Vec<usize>> = HashMap::new();
    for (index, call) in log.calls().enumerate() {
        if let Call::Answer { port, status } = call
            && status >= 200
        {
            answers.entry(port).or_default().push(index);
        }
    }
    let find = |event: &Event| {
        let answered =
            *answers.get(&event.port).and_then(|all| all.get(event.nth)).expect("the recorder saw every answer");
        Placed { sent: log.index_at(event.sent_bytes), answered, deed: event.deed.clone() }
    };
    let mut placed: Vec<Placed> = events.iter().map(find).collect();
    placed.sort_by_key(|event| event.answered);
    placed
}

/// What had been promised when the first `point` records had taken effect, and what was under way.
pub fn ledger_at(start: &Ledger, placed: &[Placed], point: usize, answered: impl Fn(&Placed) -> usize) -> Ledger {
    let mut ledger = start.clone();
    let (done, open): (Vec<_>, Vec<_>) = placed.iter().partition(|event| answered(event) < point);
    for event in done {
        match &event.deed {
            Deed::Register(account) => drop(ledger.accounts.insert(account.clone())),
            Deed::Login { device, session } => sign_in(&mut ledger, device, |it| it.session = Some(session.clone())),
            Deed::Upload { claim, answer } => ledger.acknowledged(claim, answer, 0),
            Deed::Remove(versions) => ledger.removed(versions),
            Deed::Object { account, object, standing } => ledger.objects.enter(account, object, *standing),
        }
    }
    for event in open.into_iter().filter(|event| event.sent <= point) {
        match &event.deed {
            Deed::Register(_) => {}
            Deed::Login { device, .. } => sign_in(&mut ledger, device, |it| it.unsure = true),
            Deed::Upload { claim, .. } => ledger.sending(claim.clone()),
            Deed::Remove(versions) => ledger.removing(versions),
            Deed::Object { account, object, .. } => ledger.objects.enter(account, object, Standing::Unsure),
        }
    }
    ledger
}

fn sign_in(ledger: &mut Ledger, device: &str, change: impl FnOnce(&mut crate::kit::ledger::Device)) {
    change(ledger.devices.get_mut(device).expect("a device of the ledger"));
}
