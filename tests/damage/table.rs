//! What came of all trials, in a table.

use super::harm::Class;
use super::plan::Trial;
use super::shape::Shape;
use super::trial::{Outcome, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Counts of a row.
#[derive(Default)]
struct Row {
    trials: u64,
    by_outcome: [u64; 4],
}

/// The table: kind of damage and class of file against what came of it.
pub fn table(shapes: &[Shape], trials: &[Trial], verdicts: &[Verdict]) -> String {
    let mut rows: BTreeMap<(&str, Class), Row> = BTreeMap::new();
    let mut all = Row::default();
    for (trial, verdict) in trials.iter().zip(verdicts) {
        let newest = shapes.iter().find(|shape| shape.name == trial.shape).map(Shape::newest_volume);
        let class = Class::of(trial.harm.path(), &newest.unwrap_or_default());
        for row in [rows.entry((trial.harm.kind(), class)).or_default(), &mut all] {
            row.trials += 1;
            row.by_outcome[column(verdict.outcome)] += 1;
        }
    }
    let mut text = format!(
        "{:<12} {:<20} {:>7} {:>7} {:>7} {:>7} {:>7}\n",
        "damage", "to", "trials", "healed", "errors", "refused", "WRONG"
    );
    let mut line = |damage: &str, to: &str, row: &Row| {
        let [healed, errors, refused, wrong] = row.by_outcome;
        let _ =
            writeln!(text, "{damage:<12} {to:<20} {:>7} {healed:>7} {errors:>7} {refused:>7} {wrong:>7}", row.trials);
    };
    for ((kind, class), row) in &rows {
        line(kind, class.name(), row);
    }
    line("all", "", &all);
    let sum = |of: fn(&Verdict) -> u64| verdicts.iter().map(of).sum::<u64>();
    let (back, traceless) = (sum(|verdict| verdict.back), sum(|verdict| verdict.traceless));
    let mended = sum(|verdict| u64::from(verdict.mended));
    let _ = writeln!(
        text,
        "catalogs rebuilt while in use: {mended}; removals whose only record is destroyed, as `check` says: {back}; \
         versions and removals of a killed store of which no trace is left: {traceless}"
    );
    text
}

fn column(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Healed => 0,
        Outcome::Errors => 1,
        Outcome::Refused => 2,
        Outcome::Wrong => 3,
    }
}

/// The complaints, alike ones together, each with one trial that shows it.
pub fn complaints(trials: &[Trial], verdicts: &[Verdict]) -> String {
    let mut alike: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for (trial, verdict) in trials.iter().zip(verdicts) {
        for complaint in &verdict.complaints {
            let entry = alike.entry(without_numbers(complaint)).or_insert_with(|| {
                let trial = serde_json::to_string(trial).expect("a trial is plain");
                (0, format!("{complaint}\n    RBACKUP_DAMAGE_ONE='{trial}'"))
            });
            entry.0 += 1;
        }
    }
    alike.values().map(|(count, shown)| format!("{count} × {shown}\n")).collect()
}

/// What makes complaints alike: their words.
fn without_numbers(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 1 && !is_hex(word));
    words.take(14).collect::<Vec<_>>().join(" ")
}

fn is_hex(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_hexdigit())
}
