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

/// The signals that tell this process to end. A hangup is none of them where whoever started it has seen to that, as `nohup` does.
pub fn signals_to_end() -> Vec<i32> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let hangup = (!ignores(&status, SIGHUP)).then_some(SIGHUP);
    [SIGINT, SIGTERM].into_iter().chain(hangup).collect()
}

/// Whether the process of this `/proc/PID/status` ignores the signal: a bit per signal, from 1 on.
fn ignores(status: &str, signal: i32) -> bool {
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.unwrap_or(0) >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_ignored_is_read_bit_by_bit() {
        let status = "Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert_eq!([1, 2, 13, 14].map(|signal| super::ignores(status, signal)), [true, false, true, false]);
        assert!(!super::ignores("", 1));
    }

    #[test]
    fn scenario_24_no_two_incarnations_share_a_name() {
        let names: std::collections::HashSet<_> = (0..1000).map(|_| super::new_name()).collect();
        assert_eq!(names.len(), 1000);
    }
}
