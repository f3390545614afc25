//! 128 bits that tell states apart: an exploration remembers these and not the states.
//!
//! Two lanes of folded multiplications. Two states share both by chance never (a million states: one in 10^26), and in a build without
//! optimisation it is several times quicker than the standard hasher; exploring is mostly hashing. Not for data from outside.

use std::hash::{Hash, Hasher};

/// The fingerprint of a value; the same in every run.
pub fn fingerprint(value: &impl Hash) -> (u64, u64) {
    let mut lanes = Lanes { first: 0, second: 0x9E37_79B9_7F4A_7C15 };
    value.hash(&mut lanes);
    (lanes.first, lanes.second)
}

struct Lanes {
    first: u64,
    second: u64,
}

impl Lanes {
    fn fold(word: u64, key: u64) -> u64 {
        let product = u128::from(word) * u128::from(key);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

impl Hasher for Lanes {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.first = Lanes::fold(self.first ^ word ^ 0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB).wrapping_add(word.rotate_left(32));
        self.second = Lanes::fold(self.second ^ word ^ 0x8EBC_6AF0_9C88_C6E3, 0x5899_65CC_7537_4CC3).rotate_left(17) ^ word;
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.first
    }
}
