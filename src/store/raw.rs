//! Looks for blocks in the bytes of a database file without sled's help: what a volume says of itself even when sled opens it
//! empty or not at all. Reads in windows; never writes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem;

use super::block::{self, BLOCK_BYTES_MAX};
use super::place::Address;

/// Read at once; a block that crosses the end of a window is found whole in the next one.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// The furthest end that any whole block of volume `number` in this file calls acknowledged.
pub fn acknowledged(path: &Path, number: u32) -> io::Result<Address> {
    let file = File::open(path)?;
    let mut window = vec![0; WINDOW_BYTES];
    let (mut from, mut furthest) = (0, Address::START);
    loop {
        let filled = fill(&file, &mut window, from)?;
        for at in memmem::find_iter(&window[..filled], &block::MAGIC) {
            let header = block::parse_first(&window[at..filled]).filter(|header| header.volume == number);
            furthest = furthest.max(header.map_or(Address::START, |header| header.acknowledged));
        }
        if filled < WINDOW_BYTES {
            return Ok(furthest);
        }
        from += (WINDOW_BYTES - BLOCK_BYTES_MAX) as u64;
    }
}

fn fill(file: &File, window: &mut [u8], from: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < window.len() {
        match file.read_at(&mut window[filled..], from + filled as u64)? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::super::block::BlockHeader;
    use super::*;

    #[test]
    fn a_block_is_found_wherever_it_lies_and_a_damaged_one_is_not() {
        let header = |acknowledged| BlockHeader { volume: 7, number: 3, seq: 1, first_frame: None, acknowledged };
        let mut sound = vec![0x5A; BLOCK_BYTES_MAX];
        block::finish(&header(Address::new(3, 0)), &mut sound);
        let mut damaged = vec![0x5A; 500];
        block::finish(&header(Address::new(9, 0)), &mut damaged);
        damaged[400] ^= 1;
        for before in [0, 1000, WINDOW_BYTES - BLOCK_BYTES_MAX - 1, WINDOW_BYTES - 100, WINDOW_BYTES] {
            let bytes = [vec![0xEE; before], sound.clone(), damaged.clone()].concat();
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), &bytes).expect("written");
            assert_eq!(acknowledged(file.path(), 7).expect("read"), Address::new(3, 0), "behind {before} bytes");
            assert_eq!(acknowledged(file.path(), 8).expect("read"), Address::START);
        }
    }
}
