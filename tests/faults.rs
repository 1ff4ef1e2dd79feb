//! Every call can fail: EIO and ENOSPC at the n-th call that a server makes below its data directory.
//!
//! The story: a server starts, takes an upload, removes, signs in, stops, is rebuilt; and while it does, call number
//! n = 1, 2, 3 … fails, once or from then on, until a run in which n was not reached. It may refuse, it may end with a
//! sentence; it may not panic, hang, or promise what is not there. Then it is killed or stopped, started without the
//! fault, and everything it had acknowledged must be there bit for bit, nothing else, and `rbackup check` finds nothing.
//!
//! `RBACKUP_FAULTS`: how many faults of each operation (12), `all`, or one fault as a report names it. `RBACKUP_SEED`,
//! `RBACKUP_KEEP`. Needs a dynamic build and gcc; `tests/faults/fault.c` says what it counts and what a fault does. It
//! stops short of damaged blocks (`tests/suite/damage.rs`) and of power cuts (`tests/images.rs`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness stops where it finds something wrong")]

mod kit;
#[path = "faults/mod.rs"]
mod parts;

use kit::random::run_seed;
use parts::fault::{Class, Fault, Loss};
use parts::operation::{Mode, Operation};
use parts::plan::{Effort, Plan};
use parts::prepared::Prepared;
use parts::trial::{self, Case, Outcome};
use std::time::Instant;

#[test]
fn a_call_that_fails_costs_nothing_acknowledged() {
    let words = std::env::var("RBACKUP_FAULTS").unwrap_or_else(|_| "12".into());
    let effort = Effort::parse(&words).expect("RBACKUP_FAULTS is a number, `all`, or one fault as a report names it");
    let (begun, seed) = (Instant::now(), run_seed("faults"));
    let prepared = Prepared::new(seed);
    let wrong = Plan::new(&prepared, seed).run(effort);
    eprintln!("faults: {words} tried, {} kinds of wrong, {:.1?} in all", wrong.len(), begun.elapsed());
    assert!(wrong.is_empty(), "faults went wrong:\n{}", wrong.join("\n\n"));
}

/// The counter counts, and hits what it is told to hit.
#[test]
fn the_sync_of_an_upload_can_be_made_to_fail() {
    let prepared = Prepared::new(run_seed("faults, counter"));
    let outcome = fail_the_volumes_sync(&prepared, Fault::NONE);
    assert_eq!(outcome.seen.injected, 1, "one fault: {outcome:?}");
    assert!(outcome.refused, "an upload whose sync failed is refused: {outcome:?}");
    assert!(outcome.wrong.is_empty(), "{outcome:?}");

    let untouched = try_once(&prepared, Operation::SmallUpload, Fault { nth: 10_000, ..Fault::NONE }, 1_000);
    assert!(untouched.seen.counted > 1 && untouched.seen.injected == 0, "counted, not hit: {untouched:?}");
    assert!(!untouched.refused && untouched.wrong.is_empty(), "{untouched:?}");
}

/// Planted: disks that lie. A harness that stays green here would stay green when the server loses data.
#[test]
fn disks_that_lie_are_noticed() {
    let prepared = Prepared::new(run_seed("faults, planted"));
    let lie = Fault { nth: 1, lie: true, sticky: true, ..Fault::NONE };
    let lies = [
        ("syncs that drop what they were to keep", Fault { class: Class::Syncs, loss: Loss::All, ..lie }),
        ("writes that write nothing", Fault { class: Class::Writes, ..lie }),
    ];
    for (number, (name, fault)) in lies.into_iter().enumerate() {
        let outcome = try_once(&prepared, Operation::SmallUpload, fault, number as u64);
        assert!(outcome.seen.injected > 0, "{name}: {outcome:?}");
        assert!(!outcome.wrong.is_empty(), "{name}: the disk lied and nobody noticed: {outcome:?}");
        eprintln!("planted, {name}: {}", outcome.wrong[0].lines().next().unwrap_or_default());
    }
}

/// Planted: a server that does not hear of a failed sync goes on acknowledging from that volume.
#[test]
fn believing_in_a_volume_after_a_failed_sync_is_noticed() {
    let prepared = Prepared::new(run_seed("faults, unheard"));
    let outcome = fail_the_volumes_sync(&prepared, Fault { lie: true, vanish: true, ..Fault::NONE });
    assert!(outcome.late_writes > 0, "it wrote on: {outcome:?}");
    eprintln!("planted, an error of a sync unheard: {}", outcome.wrong.first().expect("something was lost"));
}

/// What ends a volume is written and synced before anything is built upon it: of its blocks a failed sync may leave any, and the next start
/// takes none of them for damage. Found by `RBACKUP_FAULTS='upload that ends a volume/EIO/sticky/5'` with seed 16027223.
#[test]
fn an_end_that_was_lost_in_part_is_no_damage() {
    let prepared = Prepared::new(run_seed("faults, ends"));
    let (mut hit, mut number) = (0, 0);
    for nth in 1..=10 {
        for torn in [false, true] {
            let fault = Fault { nth, sticky: true, loss: Loss::EveryOtherPage, torn, vanish: true, ..Fault::NONE };
            let outcome = try_once(&prepared, Operation::UploadAtTheEnd, fault, number);
            assert!(outcome.wrong.is_empty(), "call {nth}, torn {torn}: {}", outcome.wrong.join("\n"));
            hit += outcome.seen.injected;
            number += 1;
        }
    }
    assert!(hit > 10, "only {hit} calls failed");
}

/// An upload may sync what else it opens before its volume.
fn fail_the_volumes_sync(prepared: &Prepared, fault: Fault) -> Outcome {
    let is_volume = |line: &String| line.starts_with("fault: fdatasync volumes/") && line.ends_with("/db");
    let fail = |nth| try_once(prepared, Operation::SmallUpload, Fault { class: Class::Syncs, nth, ..fault }, nth);
    let hit = (1..20).map(fail).find(|outcome| outcome.faults.iter().any(is_volume));
    hit.expect("one of the first syncs of an upload is its volume's")
}

fn try_once(prepared: &Prepared, operation: Operation, fault: Fault, number: u64) -> Outcome {
    trial::run(prepared, Case { operation, mode: Mode::Once, fault, seed: 0 }, number)
}
