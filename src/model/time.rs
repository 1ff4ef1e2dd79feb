//! Moments and where they come from. Tests own the clock; nothing else in the house reads the machine's.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A moment in milliseconds since 1970-01-01 UTC; may lie before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The last moment of the year 9999 and the first of the year 0: what can be written as a date.
    const BOUNDS_MS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

    /// The moment, if it lies in the years 0 to 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        Self::BOUNDS_MS.contains(&millis).then_some(Self(millis))
    }
}

/// Written in UTC without a zone and without fractions, as in `2018-07-24T19:15:43`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(1000);
        let moment = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (date, clock) = (moment.date(), moment.time());
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second()
        )
    }
}

/// Where the present moment comes from.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        Timestamp(millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_without_a_zone() {
        assert_eq!(Timestamp(1_532_459_743_999).to_string(), "2018-07-24T19:15:43");
        assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59");
        assert_eq!(Timestamp::from_millis(i64::MAX), None);
    }
}
