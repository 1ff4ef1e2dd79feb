//! When a volume is full, and when the catalog's changes are written out.
//!
//! A kill, a power cut and a full disk meet the end of a volume once in 256 MiB. Tests of them need it every second. They say so in
//! `RBACKUP_VOLUME_KIB`; for the reasons that [`super::clock`] gives only programs built with debug assertions look at it.

use crate::store::Options;

/// What the product uses; in a debug build perhaps something smaller.
pub fn sizes() -> Options {
    #[cfg(debug_assertions)]
    if let Some(kib) = std::env::var("RBACKUP_VOLUME_KIB").ok().and_then(|text| text.parse::<u64>().ok()) {
        return small(kib << 10);
    }
    Options::DEFAULT
}

/// Volumes of so many bytes, and as many writes of the catalog as a life with volumes of the usual size would see.
#[cfg(debug_assertions)]
fn small(payload_bytes: u64) -> Options {
    use crate::store::VolumeLimits;
    let volume = VolumeLimits { payload_bytes, ..VolumeLimits::DEFAULT };
    Options { volume, delta_bytes: (payload_bytes / 128) as usize, ..Options::DEFAULT }
}
