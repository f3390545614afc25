//! Who and where this process is: host, process, user, chance. The only place that asks.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::ids::WorkerName;

/// A new incarnation's name, never used before: host, process, and 31 bits of chance.
pub fn new_name() -> WorkerName {
    WorkerName::new(&host(), std::process::id(), &nonce(6))
}

/// `len` random lowercase letters and digits.
pub fn nonce(len: usize) -> String {
    const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut chance = chance();
    let mut text = String::with_capacity(len);
    for _ in 0..len {
        if chance < 36 {
            chance = self::chance();
        }
        text.push(char::from(ALPHABET[(chance % 36) as usize]));
        chance /= 36;
    }
    text
}

/// 64 random bits, from the operating system.
pub fn chance() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// This machine's name.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// This run of this machine's kernel: two processes that say the same share the locks of a mount that both use. `None` where it cannot be told.
pub fn boot() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

/// The user this process runs as, and what it makes belongs to.
pub fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// From now on nothing this process and its children make can be written by others, nor by the group unless that is allowed to it and was before.
pub fn close_umask(group_may_write: bool) {
    use rustix::fs::Mode;
    let closed = if group_may_write { Mode::WOTH } else { Mode::WOTH | Mode::WGRP };
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(before | closed);
}

#[cfg(test)]
mod tests {
    #[test]
    fn scenario_24_no_two_incarnations_share_a_name() {
        let names: std::collections::HashSet<_> = (0..1000).map(|_| super::new_name()).collect();
        assert_eq!(names.len(), 1000);
    }
}
