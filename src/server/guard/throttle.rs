//! Who failed too often: counters of failures by address and by account.
//!
//! Promises: only failures count; memory is the same however many addresses and names come; who signed in from an address before is
//! counted apart from strangers there and elsewhere, so that strangers lock nobody out; a live session is never asked here. Two runs
//! of a password at most begin between the last failure that counts and the refusal.
//! Never: keeps an address or a name, only keyed hashes choose counters; forgets before the window has passed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::source::{Group, Source};
use crate::model::bounds::Bounds;
use crate::model::random::random;
use crate::server::error::Error;

/// Counters in each of two rows, 8 bytes each: 1 MiB. A key is over its limit when both of its counters are, so a stranger who can fail
/// from 6 000 addresses within a window makes one other address in a hundred wait.
const COUNTERS: usize = 1 << 16;
/// Places for pairs of an address and an account that signed in there; a newer pair may take an older one's place.
const ACQUAINTED: usize = 1 << 13;

/// What is counted.
#[derive(Clone, Copy)]
enum Kind {
    Address = 1,
    Account = 2,
    /// An account at an address where it signed in before.
    Acquainted = 3,
    Refused = 4,
}

/// Somebody who wants to prove to be somebody.
#[derive(Debug, Clone)]
pub struct Claim {
    group: Option<Group>,
    /// In lower case; none where no account is claimed.
    account: Option<String>,
}

impl Claim {
    /// That `source` is `account`.
    pub fn new(source: Source, account: Option<String>) -> Self {
        Self { group: source.group(), account }
    }

    /// The account that is claimed, in lower case.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    fn bytes(&self) -> Vec<u8> {
        [self.group.as_ref().map_or(&[][..], |group| group), self.account.as_deref().unwrap_or_default().as_bytes()]
            .concat()
    }
}

/// All counters of a server.
pub struct Throttle {
    key: [u8; 32],
    began: Instant,
    rules: Rules,
    rows: Mutex<Rows>,
}

struct Rules {
    per_address: u32,
    per_account: u32,
    refused: u32,
    window: Duration,
}

struct Rows {
    /// For each counter the moment, in ms since the start, at which all its failures are forgotten.
    until_ms: Vec<u64>,
    acquainted: Vec<u64>,
}

impl Throttle {
    /// Nobody has failed yet. Without randomness strangers could choose whom they share counters with, and no more.
    pub fn new(bounds: &Bounds) -> Self {
        let rules = Rules {
            per_address: bounds.failed_sign_ins_per_address,
            per_account: bounds.failed_sign_ins_per_account,
            refused: bounds.refused_calls_per_address,
            window: bounds.failures_window,
        };
        let rows = Rows { until_ms: vec![0; 2 * COUNTERS], acquainted: vec![0; ACQUAINTED] };
        Self { key: random().unwrap_or_default(), began: Instant::now(), rules, rows: Mutex::new(rows) }
    }

    /// Whether this may be tried now.
    pub fn may_try(&self, claim: &Claim) -> Result<(), Error> {
        self.may_try_at(claim, self.began.elapsed())
    }

    /// It was tried, and is not so.
    pub fn failed(&self, claim: &Claim) {
        self.failed_at(claim, self.began.elapsed());
    }

    /// It is so: from now on strangers' failures do not count for this account at this address.
    pub fn proved(&self, claim: &Claim) {
        if claim.group.is_some() && claim.account.is_some() {
            let mark = self.mark(claim);
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            rows.acquainted[place(mark)] = mark;
        }
    }

    /// A call that was refused for want of a right, or that there were too many of those.
    pub fn refused(&self, source: Source) -> Result<(), Error> {
        let Some(group) = source.group() else { return Ok(()) };
        let (now, keys) = (self.began.elapsed(), [(Kind::Refused, group.to_vec(), self.rules.refused)]);
        self.ask(&keys, now)?;
        self.charge(&keys, now);
        Ok(())
    }

    fn may_try_at(&self, claim: &Claim, now: Duration) -> Result<(), Error> {
        self.ask(&self.keys(claim), now)
    }

    fn failed_at(&self, claim: &Claim, now: Duration) {
        self.charge(&self.keys(claim), now);
    }

    fn keys(&self, claim: &Claim) -> Vec<(Kind, Vec<u8>, u32)> {
        let mark = self.mark(claim);
        let is_acquainted = {
            let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            claim.group.is_some() && claim.account.is_some() && rows.acquainted[place(mark)] == mark
        };
        if is_acquainted {
            return vec![(Kind::Acquainted, claim.bytes(), self.rules.per_account)];
        }
        let address = claim.group.map(|group| (Kind::Address, group.to_vec(), self.rules.per_address));
        let account =
            claim.account.as_ref().map(|name| (Kind::Account, name.as_bytes().to_vec(), self.rules.per_account));
        address.into_iter().chain(account).collect()
    }

    fn ask(&self, keys: &[(Kind, Vec<u8>, u32)], now: Duration) -> Result<(), Error> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, window) = (ms(now), ms(self.rules.window));
        let wait = |(kind, key, most): &(Kind, Vec<u8>, u32)| {
            let places = self.places(*kind, key);
            let until = places.iter().map(|place| rows.until_ms[*place]).min().unwrap_or_default();
            let cost = window.checked_div(u64::from(*most)).unwrap_or(0);
            if *most == 0 { 0 } else { (until.saturating_sub(now) + cost).saturating_sub(window) }
        };
        match keys.iter().map(wait).max().unwrap_or_default() {
            0 => Ok(()),
            ms => Err(Error::TooMany { seconds: ms.div_ceil(1000) }),
        }
    }

    fn charge(&self, keys: &[(Kind, Vec<u8>, u32)], now: Duration) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, key, most) in keys.iter().filter(|(_, _, most)| *most > 0) {
            let places = self.places(*kind, key);
            let until = places.iter().map(|place| rows.until_ms[*place]).min().unwrap_or_default();
            let later = until.max(ms(now)) + ms(self.rules.window) / u64::from(*most);
            for place in places {
                rows.until_ms[place] = rows.until_ms[place].max(later);
            }
        }
    }

    fn places(&self, kind: Kind, key: &[u8]) -> [usize; 2] {
        let hash = self.hash(kind as u8, key);
        let half = |at: usize| {
            let bytes = [hash[at], hash[at + 1], hash[at + 2], hash[at + 3]];
            u32::from_le_bytes(bytes) as usize % COUNTERS
        };
        [half(0), COUNTERS + half(4)]
    }

    /// Never 0, which is an empty place.
    fn mark(&self, claim: &Claim) -> u64 {
        let hash = self.hash(0, &claim.bytes());
        hash[..8].iter().fold(0u64, |mark, byte| mark << 8 | u64::from(*byte)) | 1
    }

    fn hash(&self, kind: u8, key: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[kind]).update(key);
        hasher.finalize().into()
    }
}

fn place(mark: u64) -> usize {
    (mark >> 32) as usize % ACQUAINTED
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn throttle() -> Throttle {
        let bounds = Bounds { failed_sign_ins_per_address: 3, failed_sign_ins_per_account: 5, ..Bounds::default() };
        Throttle::new(&Bounds { failures_window: 60 * SECOND, refused_calls_per_address: 2, ..bounds })
    }

    fn claim(address: &str, account: &str) -> Claim {
        Claim::new(Source::Ip(address.parse().expect("an address")), Some(account.to_owned()))
    }

    /// How many failures it takes until nothing may be tried.
    fn failures(throttle: &Throttle, claim: &Claim, now: Duration) -> usize {
        (0..100)
            .take_while(|_| throttle.may_try_at(claim, now).is_ok())
            .inspect(|_| throttle.failed_at(claim, now))
            .count()
    }

    #[test]
    fn an_address_and_an_account_have_so_many_failures_in_a_window_and_get_them_back_one_by_one() {
        let throttle = throttle();
        let here = claim("192.0.2.1", "anna");
        assert_eq!(failures(&throttle, &here, SECOND), 3);
        assert!(matches!(throttle.may_try_at(&here, SECOND), Err(Error::TooMany { seconds: 20 })));
        assert_eq!(failures(&throttle, &here, 21 * SECOND), 1);
        assert_eq!(failures(&throttle, &here, 200 * SECOND), 3);
        let sum: usize = (2..9).map(|n| failures(&throttle, &claim(&format!("192.0.2.{n}"), "bert"), SECOND)).sum();
        assert_eq!(sum, 5, "the account's own, from many addresses");
        assert_eq!(failures(&throttle, &claim("192.0.2.99", "cora"), SECOND), 3, "nobody else");
    }

    #[test]
    fn who_signed_in_there_before_is_not_locked_out_by_strangers() {
        let throttle = throttle();
        throttle.proved(&claim("192.0.2.1", "anna"));
        for n in 2..9 {
            failures(&throttle, &claim(&format!("192.0.2.{n}"), "anna"), SECOND);
        }
        failures(&throttle, &claim("192.0.2.1", "somebody"), SECOND);
        assert!(throttle.may_try_at(&claim("192.0.2.10", "anna"), SECOND).is_err());
        assert!(throttle.may_try_at(&claim("192.0.2.1", "anna"), SECOND).is_ok());
        assert_eq!(failures(&throttle, &claim("192.0.2.1", "anna"), SECOND), 5, "and has a limit of its own");
    }

    #[test]
    fn a_hundred_thousand_addresses_cost_no_memory_and_hide_nobody() {
        let throttle = throttle();
        let here = claim("192.0.2.1", "anna");
        failures(&throttle, &here, SECOND);
        for n in 0..100_000u32 {
            let address = std::net::Ipv4Addr::from_bits(0x0A00_0000 + n);
            throttle.failed_at(&Claim::new(Source::Ip(address.into()), None), SECOND);
        }
        assert!(throttle.may_try_at(&here, SECOND).is_err(), "still known");
        let rows = throttle.rows.lock().expect("free");
        assert_eq!((rows.until_ms.len(), rows.acquainted.len()), (2 * COUNTERS, ACQUAINTED));
    }

    #[test]
    fn zero_is_no_limit_and_a_process_of_this_machine_has_none() {
        let bounds = Bounds { failed_sign_ins_per_address: 0, failed_sign_ins_per_account: 0, ..Bounds::default() };
        assert_eq!(failures(&Throttle::new(&bounds), &claim("192.0.2.1", "anna"), SECOND), 100);
        let throttle = throttle();
        assert!((0..9).all(|_| throttle.refused(Source::Local).is_ok()));
        let stranger = Source::Ip("192.0.2.1".parse().expect("an address"));
        assert_eq!((0..9).filter(|_| throttle.refused(stranger).is_ok()).count(), 2);
    }
}
