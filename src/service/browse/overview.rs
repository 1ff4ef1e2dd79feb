//! What an account has in all, and when each device last sent something.
//!
//! It is counted from the rows of all files, which may be millions, so a count is kept for twenty times as long as it took. Never: a number that was not counted; the answer says when it was.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::seen;
use crate::model::{DeviceName, FileId, Timestamp, VersionId};
use crate::service::error::Error;
use crate::service::{Caller, Inner, Services};
use crate::store::FileEntry;

/// Days whose uploads are counted one by one.
pub const DAYS: usize = 30;
/// The newest versions that are named.
const RECENT: usize = 8;
/// A count is kept so many times as long as it took.
const KEPT_FOR: u32 = 20;
/// Accounts whose counts are kept.
const KEPT_MAX: usize = 64;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A device in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTotals {
    /// The device.
    pub device: DeviceName,
    /// When it signed in for the first time.
    pub first_seen: Timestamp,
    /// When its newest version arrived.
    pub last_upload: Option<Timestamp>,
    /// Files that are there.
    pub files: u64,
    /// Their versions that are there.
    pub versions: u64,
    /// The bytes of each file's newest version.
    pub bytes: u64,
    /// The bytes of all versions that are there.
    pub bytes_of_versions: u64,
    /// Versions that arrived on each of the last [`DAYS`] days in UTC, the oldest day first.
    pub days: [u64; DAYS],
}

/// One of the newest versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentVersion {
    /// The version.
    pub version: VersionId,
    /// Its file.
    pub file: FileId,
    /// Its device.
    pub device: DeviceName,
    /// Its path.
    pub path: Vec<u8>,
    /// Its length.
    pub size: u64,
    /// When it arrived.
    pub arrived: Timestamp,
    /// Whether it is the first of its file.
    pub is_first: bool,
}

/// What an account has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The account's name.
    pub account: String,
    /// Whether it may administer the server.
    pub administrator: bool,
    /// When it was counted.
    pub counted: Timestamp,
    /// Its devices by name.
    pub devices: Vec<DeviceTotals>,
    /// Its newest versions, newest first.
    pub recent: Vec<RecentVersion>,
}

/// Counts that are still good.
#[derive(Default)]
pub struct Counted(HashMap<u64, (Instant, Arc<Overview>)>);

impl Services {
    /// What the caller's account has.
    pub fn overview(&self, caller: &Caller) -> Result<Arc<Overview>, Error> {
        // It is of the whole account or of nothing.
        if caller.only_device()?.is_some() {
            return Err(Error::Forbidden);
        }
        let began = Instant::now();
        let kept = || self.inner.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((until, overview)) = kept().0.get(&caller.account).filter(|(until, _)| began < *until) {
            tracing::trace!(left_ms = until.duration_since(began).as_millis(), "a kept count");
            return Ok(Arc::clone(overview));
        }
        let overview = Arc::new(self.inner.count(caller.account)?);
        let until = began + began.elapsed() * (1 + KEPT_FOR) + Duration::from_millis(1);
        let mut counted = kept();
        counted.0.retain(|_, (until, _)| began < *until);
        if counted.0.len() < KEPT_MAX {
            counted.0.insert(caller.account, (until, Arc::clone(&overview)));
        }
        Ok(overview)
    }
}

impl Inner {
    fn count(&self, account: u64) -> Result<Overview, Error> {
        let catalog = self.store.catalog();
        let row = catalog.account(account)?.ok_or(Error::NoSession)?;
        let now = self.clock.now();
        let mut counts = Counts { now, devices: HashMap::new(), recent: Vec::with_capacity(RECENT + 1) };
        for (name, row) in catalog.devices(account)? {
            let first_seen = Timestamp(row.first_seen);
            counts.devices.insert(row.number, DeviceTotals::none(DeviceName::parse(name)?, first_seen));
        }
        for entry in catalog.files(account) {
            counts.add(entry?);
        }
        let mut devices: Vec<DeviceTotals> = counts.devices.into_values().collect();
        devices.sort_by(|one, other| one.device.cmp(&other.device));
        Ok(Overview {
            account: row.added.name,
            administrator: row.added.administrator,
            counted: now,
            devices,
            recent: counts.recent,
        })
    }
}

struct Counts {
    now: Timestamp,
    devices: HashMap<u32, DeviceTotals>,
    recent: Vec<RecentVersion>,
}

impl Counts {
    fn add(&mut self, entry: FileEntry) {
        let Some(device) = self.devices.get_mut(&entry.row.device) else { return };
        for (nth, version) in entry.versions.iter().enumerate() {
            let arrived = version.row.arrived;
            device.last_upload = device.last_upload.max(Some(Timestamp(arrived)));
            if let Some(day) = day_of(arrived, self.now) {
                device.days[day] += 1;
            }
            if version.removal.is_some() {
                continue;
            }
            device.versions += 1;
            device.bytes_of_versions += version.row.size;
            if self.recent.len() < RECENT || self.recent.last().is_some_and(|last| version.version > last.version.0) {
                let recent = RecentVersion {
                    version: VersionId(version.version),
                    file: FileId(entry.file),
                    device: device.device.clone(),
                    path: entry.row.path.clone(),
                    size: version.row.size,
                    arrived: Timestamp(arrived),
                    is_first: nth == 0,
                };
                let place = self.recent.partition_point(|known| known.version > recent.version);
                self.recent.insert(place, recent);
                self.recent.truncate(RECENT);
            }
        }
        if let Some(file) = seen(entry, Timestamp(i64::MAX)).filter(|file| file.versions > 0) {
            device.files += 1;
            device.bytes += file.size;
        }
    }
}

/// Which of the last [`DAYS`] days a moment lies in.
fn day_of(moment: i64, now: Timestamp) -> Option<usize> {
    let days_ago = now.0.div_euclid(DAY_MS) - moment.div_euclid(DAY_MS);
    (DAYS - 1).checked_sub(usize::try_from(days_ago.max(0)).ok()?)
}

impl DeviceTotals {
    fn none(device: DeviceName, first_seen: Timestamp) -> Self {
        let (files, versions, bytes, bytes_of_versions, days) = (0, 0, 0, 0, [0; DAYS]);
        Self { device, first_seen, last_upload: None, files, versions, bytes, bytes_of_versions, days }
    }
}
