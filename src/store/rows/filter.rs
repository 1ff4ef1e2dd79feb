//! A Bloom filter over the keys of one run, so that a key which is not there costs no page read.
//! Promises that a key which was added is always found; about one in a hundred others is found too.
//! It never does IO; a filter read from bytes was verified by its reader.

const BITS_PER_ROW: u64 = 10;
const PROBES: u64 = 6;

/// The hash of a key, computed once and asked of every run.
#[derive(Clone, Copy)]
pub(super) struct Probe(u64, u64);

impl Probe {
    pub fn of(key: &[u8]) -> Probe {
        let hash = blake3::hash(key);
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&hash.as_bytes()[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        Probe(word(0), word(8) | 1)
    }

    fn bits(self, among: u64) -> impl Iterator<Item = usize> {
        // the high half of a 128-bit product maps a 64-bit hash evenly onto 0..among
        (0..PROBES).map(move |n| {
            let hash = self.0.wrapping_add(self.1.wrapping_mul(n));
            ((u128::from(hash) * u128::from(among)) >> 64) as usize
        })
    }
}

/// Ten bits a key.
pub(super) struct Filter {
    words: Vec<u64>,
}

impl Filter {
    pub fn for_rows(rows: u64) -> Filter {
        Filter { words: vec![0; (rows * BITS_PER_ROW).div_ceil(64).max(1) as usize] }
    }

    pub fn add(&mut self, probe: Probe) {
        for bit in probe.bits(self.words.len() as u64 * 64) {
            self.words[bit / 64] |= 1 << (bit % 64);
        }
    }

    pub fn may_hold(&self, probe: Probe) -> bool {
        let bits = self.words.len() as u64 * 64;
        bits > 0 && probe.bits(bits).all(|bit| self.words[bit / 64] & (1 << (bit % 64)) != 0)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
    }

    pub fn read(bytes: &[u8]) -> Filter {
        Filter { words: bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_all_it_was_given_and_few_others() {
        let mut filter = Filter::for_rows(5_000);
        for n in 0..5_000u32 {
            filter.add(Probe::of(&n.to_be_bytes()));
        }
        let mut bytes = Vec::new();
        filter.write(&mut bytes);
        let filter = Filter::read(&bytes);
        assert!((0..5_000u32).all(|n| filter.may_hold(Probe::of(&n.to_be_bytes()))));
        let wrong = (5_000..25_000u32).filter(|n| filter.may_hold(Probe::of(&n.to_be_bytes()))).count();
        assert!(wrong < 400, "{wrong} of 20000");
    }
}
