//! Random instants.

use std::ops::Range;

use ring::rand::{SecureRandom, SystemRandom};

pub fn between(range: Range<u64>) -> u64 {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).expect("randomness");
    range.start + u64::from_le_bytes(bytes) % (range.end - range.start)
}
