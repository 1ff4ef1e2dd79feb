//! Randomness that can be had again: every harness prints its seed, and `RBACKUP_SEED` repeats it.
//!
//! xoshiro256** fills gigabytes with bytes that neither compress nor repeat; it is no secret's source.

use sha2::{Digest, Sha256};

/// A seeded generator.
#[derive(Clone)]
pub struct Random([u64; 4]);

/// The seed of this run: `RBACKUP_SEED`, or the clock; printed either way.
pub fn run_seed(harness: &str) -> u64 {
    let seed = std::env::var("RBACKUP_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
        now.as_nanos() as u64 % 1_000_000_000
    });
    eprintln!("{harness}: seed {seed} (RBACKUP_SEED={seed} repeats it)");
    seed
}

/// A number from the environment, or the default.
pub fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| unreachable!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

impl Random {
    /// A generator from a seed; neighbouring seeds give unrelated streams (splitmix64).
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Random(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }))
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// Fills the buffer.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for piece in buffer.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            piece.copy_from_slice(&bytes[..piece.len()]);
        }
    }
}

/// A file's content by recipe: the same recipe is the same bytes.
#[derive(Clone, Debug)]
pub struct Content {
    /// What the random part is made from.
    pub seed: u64,
    /// Length in bytes.
    pub size: usize,
    /// Text compresses, noise does not.
    pub text: bool,
    /// Bytes put in front: shifts everything behind it, as an edited file does.
    pub inserted: Vec<u8>,
}

impl Content {
    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.inserted.clone();
        let start = bytes.len();
        bytes.resize(start + self.size, 0);
        let mut random = Random::new(self.seed);
        if self.text {
            for piece in bytes[start..].chunks_mut(16) {
                let line = format!("{:>15}\n", random.below(1000));
                piece.copy_from_slice(&line.as_bytes()[..piece.len()]);
            }
        } else {
            random.fill(&mut bytes[start..]);
        }
        bytes
    }
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
