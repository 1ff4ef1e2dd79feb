//! What `check` must name, and what it may not: no more and no less than what is damaged.

use super::layout::Hit;
use super::look::{Checked, Fate, Look};
use super::oracle::End;

/// What is wrong with what `check` said, beside what was read; nothing when it was not asked. Volumes `given_up` are known to be lost.
pub fn complaints(look: &Look, hit: &Hit, given_up: &[u32]) -> Vec<String> {
    let checked = match &look.check {
        Some(Ok(checked)) => checked,
        Some(Err(error)) => return vec![format!("`check` does not finish: {error}")],
        None => return Vec::new(),
    };
    let all = [missed(look, hit, checked), excess(hit, checked), silence(hit, checked, given_up)];
    all.into_iter().flatten().collect()
}

/// Versions whose bytes are hit and that are not named, though they cannot be read.
fn missed(look: &Look, hit: &Hit, checked: &Checked) -> Option<String> {
    let is_lost = |id: &&u64| look.listed.contains(id) && look.fates.get(id) != Some(&Fate::Right);
    let missed: Vec<&u64> = hit.versions.iter().filter(is_lost).filter(|id| !checked.versions.contains(id)).collect();
    let named = &checked.versions;
    (!missed.is_empty()).then(|| format!("bytes of versions {missed:?} are hit, and `check` names {named:?}"))
}

/// Versions that are named, and all of whose frames lie in blocks that are whole. One whose own bytes are whole in a damaged block may
/// be named: only a list that nobody needs to have still says where they are.
fn excess(hit: &Hit, checked: &Checked) -> Option<String> {
    let excess: Vec<&u64> = checked.versions.difference(&hit.touched).collect();
    (!excess.is_empty()).then(|| format!("no block of versions {excess:?} is hit, and `check` names them"))
}

/// Acknowledged blocks that are lost, whatever was in them, and not a word of damage.
fn silence(hit: &Hit, checked: &Checked, given_up: &[u32]) -> Option<String> {
    let is_known = |end: &&End| given_up.contains(&end.volume) || hit.has_no_trace_of(**end);
    let lost: Vec<&End> = hit.lost.iter().filter(|end| !is_known(end)).collect();
    (!lost.is_empty() && checked.is_clean()).then(|| format!("{lost:?} are lost, and `check` says that all is well"))
}

/// Planted: each of them, and what excuses it.
#[test]
fn a_check_that_names_too_little_or_too_much_is_noticed() {
    let (block, later) = (End { volume: 2, block: 5 }, End { volume: 2, block: 4 });
    let fates = [(1, Fate::Right), (2, Fate::Failed("damaged".to_owned()))];
    let look = |named: &[u64], places: &[&str]| Look {
        listed: [1, 2].into(),
        fates: fates.clone().into(),
        check: Some(Ok(Checked {
            places: places.iter().map(|place| (*place).to_owned()).collect(),
            versions: named.iter().copied().collect(),
        })),
        ..Look::default()
    };
    let hit = |versions: &[u64], lost: &[End], unprovable| Hit {
        blocks: true,
        versions: versions.iter().copied().collect(),
        touched: versions.iter().copied().collect(),
        lost: lost.iter().copied().collect(),
        unprovable,
        ..Hit::default()
    };
    let said = |named: &[u64], places: &[&str], hit: &Hit, given_up: &[u32]| {
        complaints(&look(named, places), hit, given_up).join("; ")
    };
    let sound = hit(&[2], &[block], None);
    assert_eq!(said(&[2], &["volume 2 block 5"], &sound, &[]), "");
    assert!(said(&[], &["volume 2 block 5"], &sound, &[]).contains("versions [2] are hit"));
    assert!(said(&[1, 2], &["volume 2 block 5"], &sound, &[]).contains("no block of versions [1] is hit"));
    let beside = Hit { touched: [1, 2].into(), ..hit(&[2], &[block], None) };
    assert_eq!(said(&[1, 2], &["volume 2 block 5"], &beside, &[]), "", "it lies beside what is hit");
    let of_a_record = hit(&[], &[block], None);
    assert!(said(&[], &[], &of_a_record, &[]).contains("all is well"));
    assert_eq!(said(&[], &[], &of_a_record, &[2]), "", "the volume was given up");
    assert_eq!(said(&[], &[], &hit(&[], &[block], Some(later)), &[]), "", "nothing says that it was acknowledged");
    let unfinished = Look { check: Some(Err("no".to_owned())), ..Look::default() };
    assert!(complaints(&unfinished, &sound, &[]).concat().contains("does not finish"));
}
