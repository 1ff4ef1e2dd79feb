//! The bytes of a zip archive around its content (PKWARE's APPNOTE 6.3): stored, never compressed, because sizes and sums are known and the
//! whole length must be. Promises: what stands before and behind is as long as it was said; sizes and places beyond 32 bits, and more
//! entries than 16 bits can count, are written as zip64. Pure. Never: a data descriptor, which would need another pass.

use time::OffsetDateTime;

use super::plan::Entry;

/// What does not fit stands in a zip64 field instead.
const MAX_32: u64 = u32::MAX as u64;
const MAX_16: u64 = u16::MAX as u64;
/// Plain files, sizes of 32 bits.
const NEEDS_PLAIN: u16 = 20;
/// zip64.
const NEEDS_LONG: u16 = 45;
/// Made on Unix, so that the mode counts.
const MADE_ON_UNIX: u16 = 3 << 8;
/// Names are UTF-8.
const UTF_8: u16 = 1 << 11;
const REGULAR_FILE: u32 = 0o100_000;

/// What stands in front of an entry's content.
pub fn local(entry: &Entry) -> Vec<u8> {
    let is_long = entry.size >= MAX_32;
    let mut extra = moment_field(entry);
    if is_long {
        put(&mut extra, &[&1u16.to_le_bytes(), &16u16.to_le_bytes(), &long(entry.size), &long(entry.size)]);
    }
    let mut bytes = Vec::with_capacity(30 + entry.name.len() + extra.len());
    put(&mut bytes, &[&0x0403_4b50u32.to_le_bytes(), &needs(is_long).to_le_bytes()]);
    common(&mut bytes, entry, &extra);
    put(&mut bytes, &[entry.name.as_bytes(), &extra]);
    bytes
}

/// How long [`local`] is.
pub fn local_len(entry: &Entry) -> u64 {
    30 + entry.name.len() as u64 + moment_len(entry) + if entry.size >= MAX_32 { 20 } else { 0 }
}

/// The entry's line in the directory at the end; `at` is where [`local`] begins.
pub fn central(entry: &Entry, at: u64) -> Vec<u8> {
    let mut wide = Vec::new();
    if entry.size >= MAX_32 {
        put(&mut wide, &[&long(entry.size), &long(entry.size)]);
    }
    if at >= MAX_32 {
        put(&mut wide, &[&long(at)]);
    }
    let mut extra = moment_field(entry);
    if !wide.is_empty() {
        put(&mut extra, &[&1u16.to_le_bytes(), &(wide.len() as u16).to_le_bytes(), &wide]);
    }
    let needs = needs(!wide.is_empty());
    let mut bytes = Vec::with_capacity(46 + entry.name.len() + extra.len());
    put(&mut bytes, &[&0x0201_4b50u32.to_le_bytes(), &(MADE_ON_UNIX | needs).to_le_bytes(), &needs.to_le_bytes()]);
    common(&mut bytes, entry, &extra);
    // No comment, first disk, binary.
    put(&mut bytes, &[&[0; 6], &((REGULAR_FILE | entry.mode) << 16).to_le_bytes(), &short(at)]);
    put(&mut bytes, &[entry.name.as_bytes(), &extra]);
    bytes
}

/// How long [`central`] is.
pub fn central_len(entry: &Entry, at: u64) -> u64 {
    let wide = if entry.size >= MAX_32 { 16 } else { 0 } + if at >= MAX_32 { 8 } else { 0 };
    46 + entry.name.len() as u64 + moment_len(entry) + if wide > 0 { 4 + wide } else { 0 }
}

/// The end: so many entries, whose directory has `len` bytes and begins at `at`.
pub fn end(entries: u64, len: u64, at: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(98);
    if is_long_end(entries, len, at) {
        put(&mut bytes, &[&0x0606_4b50u32.to_le_bytes(), &long(44)]);
        put(&mut bytes, &[&(MADE_ON_UNIX | NEEDS_LONG).to_le_bytes(), &NEEDS_LONG.to_le_bytes(), &[0; 8]]);
        put(&mut bytes, &[&long(entries), &long(entries), &long(len), &long(at)]);
        put(&mut bytes, &[&0x0706_4b50u32.to_le_bytes(), &[0; 4], &long(at + len), &1u32.to_le_bytes()]);
    }
    let count = u16::try_from(entries).unwrap_or(u16::MAX).to_le_bytes();
    put(&mut bytes, &[&0x0605_4b50u32.to_le_bytes(), &[0; 4], &count, &count, &short(len), &short(at), &[0; 2]]);
    bytes
}

/// How long [`end`] is.
pub fn end_len(entries: u64, len: u64, at: u64) -> u64 {
    if is_long_end(entries, len, at) { 98 } else { 22 }
}

fn is_long_end(entries: u64, len: u64, at: u64) -> bool {
    entries >= MAX_16 || len >= MAX_32 || at >= MAX_32
}

/// From the flags to the length of the extra fields: the same in both places.
fn common(bytes: &mut Vec<u8>, entry: &Entry, extra: &[u8]) {
    let [date, time] = dos_moment(entry.mtime);
    put(bytes, &[&UTF_8.to_le_bytes(), &[0; 2], &time.to_le_bytes(), &date.to_le_bytes(), &entry.crc32.to_le_bytes()]);
    put(bytes, &[&short(entry.size), &short(entry.size)]);
    put(bytes, &[&(entry.name.len() as u16).to_le_bytes(), &(extra.len() as u16).to_le_bytes()]);
}

/// The moment in UTC, in seconds: the old fields know no zone and two seconds at a time.
fn moment_field(entry: &Entry) -> Vec<u8> {
    match i32::try_from(entry.mtime.div_euclid(1000)) {
        Ok(seconds) => [&b"UT\x05\x00\x01"[..], &seconds.to_le_bytes()].concat(),
        Err(_) => Vec::new(),
    }
}

fn moment_len(entry: &Entry) -> u64 {
    if i32::try_from(entry.mtime.div_euclid(1000)).is_ok() { 9 } else { 0 }
}

/// Date and time as DOS had them, from 1980 to 2107.
fn dos_moment(mtime: i64) -> [u16; 2] {
    let moment = OffsetDateTime::from_unix_timestamp(mtime.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (moment.date(), moment.time());
    match u16::try_from(date.year() - 1980) {
        Ok(year) if year < 128 => {
            let date = year << 9 | u16::from(u8::from(date.month())) << 5 | u16::from(date.day());
            [date, u16::from(time.hour()) << 11 | u16::from(time.minute()) << 5 | (u16::from(time.second()) / 2)]
        }
        _ => [1 << 5 | 1, 0],
    }
}

fn needs(is_long: bool) -> u16 {
    if is_long { NEEDS_LONG } else { NEEDS_PLAIN }
}

fn short(number: u64) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

fn long(number: u64) -> [u8; 8] {
    number.to_le_bytes()
}

fn put(bytes: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_as_long_as_it_was_said() {
        for size in [0, 5, MAX_32 - 1, MAX_32, 1 << 40] {
            for mtime in [0, -1, 1_600_000_000_000, 253_402_300_799_999, -62_167_219_200_000] {
                let name = "folder/file ä".to_owned();
                let entry = Entry { name, size, mtime, ..Entry::default() };
                assert_eq!(local(&entry).len() as u64, local_len(&entry), "{entry:?}");
                for at in [0, MAX_32 - 1, MAX_32, 1 << 50] {
                    assert_eq!(central(&entry, at).len() as u64, central_len(&entry, at), "{entry:?} {at}");
                }
            }
        }
        for (entries, len, at) in [(0, 0, 0), (MAX_16 - 1, 1, 1), (MAX_16, 1, 1), (1, MAX_32, 1), (1, 1, MAX_32)] {
            assert_eq!(end(entries, len, at).len() as u64, end_len(entries, len, at));
        }
    }

    #[test]
    fn moments_of_other_centuries_are_the_first_that_can_be_written() {
        assert_eq!(dos_moment(0), [33, 0]);
        assert_eq!(dos_moment(1_600_000_000_000), [40 << 9 | 9 << 5 | 13, 12 << 11 | 26 << 5 | 20]);
    }

    /// An archive with a file of 5 GiB and one behind it, its zeros left out by the file system.
    #[test]
    fn what_does_not_fit_into_32_bits_is_read_by_others() {
        use std::io::{Seek, SeekFrom, Write};
        use std::process::Command;
        let text = b"behind 5 GiB";
        let large = Entry { name: "large".to_owned(), size: 5 << 30, mode: 0o644, ..Entry::default() };
        let (size, crc32) = (text.len() as u64, crc32fast::hash(text));
        let small = Entry { name: "small".to_owned(), size, crc32, mode: 0o644, ..Entry::default() };
        let mut archive = tempfile::NamedTempFile::new().expect("a file");
        archive.write_all(&local(&large)).expect("writes");
        let at = archive.seek(SeekFrom::Current(5 << 30)).expect("seeks");
        archive.write_all(&[local(&small), text.to_vec()].concat()).expect("writes");
        let directory = archive.stream_position().expect("a place");
        let lines = [central(&large, 0), central(&small, at)].concat();
        archive.write_all(&[&lines[..], &end(2, lines.len() as u64, directory)].concat()).expect("writes");
        let run = |program: &str, words: &[&str]| {
            let ran = Command::new(program).arg(words[0]).arg(archive.path()).args(&words[1..]).output();
            String::from_utf8_lossy(&ran.expect("unzip and bsdtar are installed").stdout).into_owned()
        };
        assert_eq!(run("unzip", &["-p", "small"]).as_bytes(), text);
        assert!(run("unzip", &["-l"]).contains("5368709120"));
        assert!(run("bsdtar", &["-tvf"]).contains("5368709120"));
    }
}
