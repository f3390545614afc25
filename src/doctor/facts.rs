//! What was measured, as plain values: no verdict and no words. The `figures` of `--json` are these fields.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Everything one examination has found out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// The mount as this machine has it.
    pub mount: Mount,
    /// What one machine can prove.
    pub alone: Alone,
    /// What two machines can prove, where a second one answered.
    pub pair: Option<Pair>,
    /// Why the second machine was lost on the way, where it was.
    pub peer_lost: Option<String>,
}

/// A line of `/proc/self/mountinfo`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it is mounted.
    pub point: String,
    /// The file system's type, such as `nfs4`.
    pub kind: String,
    /// What is mounted, such as `server:/export`.
    pub source: String,
    /// The options of the mount and of its file system.
    pub options: Vec<String>,
    /// Whether flockwork takes it for a network one.
    pub is_network: bool,
}

impl Mount {
    /// True if this option is set, without a value.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|set| set == option)
    }

    /// The value of `option=value`.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.options.iter().find_map(|set| set.strip_prefix(option)?.strip_prefix('='))
    }
}

/// What one machine can prove.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alone {
    /// Threads race to rename the same names away.
    pub rename: Race,
    /// A name is renamed over again and again while it is opened.
    pub over: Over,
    /// Threads race to create the same names by link.
    pub link: Race,
    /// Threads race to create the same names by `O_EXCL`.
    pub exclusive: Race,
    /// Two handles of one file on this machine.
    pub locks: Locks,
    /// Stamps.
    pub touch: Touch,
    /// Why a name of 200 bytes cannot be made, where it cannot.
    pub long_name_refused: Option<String>,
    /// `Name` and `name` are one file.
    pub folds_case: bool,
    /// Whose a file is that this process made.
    pub owner: Owner,
    /// How quick it is.
    pub rates: Rates,
    /// How much room there is.
    pub room: Room,
    /// Folders that earlier doctors left behind.
    pub leftovers: Vec<String>,
}

/// How a race for names ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Race {
    /// Names that were raced for.
    pub names: usize,
    /// Won by exactly one.
    pub one_winner: usize,
    /// Won by more than one.
    pub twice: usize,
    /// Won by nobody, though gone.
    pub nobody: usize,
    /// Why it was not run to its end.
    pub refused: Option<String>,
}

impl Race {
    /// Counts how often each of `names` names was won.
    pub fn of(names: usize, winners: impl IntoIterator<Item = usize>) -> Race {
        let mut wins = vec![0_usize; names];
        winners.into_iter().filter(|name| *name < names).for_each(|name| wins[name] += 1);
        let count = |pick: fn(usize) -> bool| wins.iter().filter(|n| pick(**n)).count();
        Race { names, one_winner: count(|n| n == 1), twice: count(|n| n > 1), nobody: count(|n| n == 0), refused: None }
    }

    /// A race that the file system refused.
    pub fn refused(why: impl ToString) -> Race {
        Race { refused: Some(why.to_string()), ..Race::default() }
    }

    /// True if every name had exactly one winner.
    pub fn is_fair(&self) -> bool {
        self.refused.is_none() && self.one_winner == self.names
    }
}

/// A name that is renamed over while it is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Over {
    /// Renames over it.
    pub renames: usize,
    /// Opens meanwhile.
    pub opens: usize,
    /// Opens that found no such name: it was removed first.
    pub missing: usize,
    /// Why it was refused.
    pub refused: Option<String>,
}

/// What locks of this machine do to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Locks {
    /// The second is refused while the first is held, and is granted afterwards.
    Exclude,
    /// Both are granted.
    DoNotExclude,
    /// The second is refused, also after the first was let go.
    Stuck,
    /// There are none, or the server is in a grace period.
    Missing,
}

/// Stamps by touch.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Touch {
    /// The smallest step between two stamps that was seen, in microseconds.
    pub grain_us: Option<u64>,
    /// The stamping clock minus this machine's, in milliseconds, give or take [`Touch::unsure_ms`].
    pub offset_ms: f64,
    /// Half of what the touch took, and the grain.
    pub unsure_ms: f64,
    /// Why it was refused.
    pub refused: Option<String>,
}

/// Whose a new file is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// As the file system says.
    pub of_file: u32,
    /// As this process is.
    pub of_process: u32,
}

/// How often per second, and how long one takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rate {
    /// How many were measured.
    pub n: usize,
    /// One after the other, on one thread.
    pub per_second: f64,
    /// Half are quicker, in microseconds.
    pub p50_us: u64,
    /// One in a hundred is slower.
    pub p99_us: u64,
}

impl Rate {
    /// The rate of calls that took so long.
    pub fn of(mut took: Vec<Duration>) -> Rate {
        took.sort_unstable();
        let all: Duration = took.iter().sum();
        let us = |part: usize| took.get(took.len() * part / 100).map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let per_second = if all.is_zero() { 0.0 } else { took.len() as f64 / all.as_secs_f64() };
        Rate { n: took.len(), per_second, p50_us: us(50), p99_us: us(99) }
    }
}

/// How quick the calls of the protocol are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rates {
    /// A small file written, flushed to the server's disk and renamed to its name.
    pub publish: Rate,
    /// A rename to another directory: a claim.
    pub rename: Rate,
    /// A touch: a heartbeat.
    pub touch: Rate,
    /// A look that asks the server.
    pub look: Rate,
    /// A directory of a hundred names, touched and listed.
    pub list: Rate,
}

/// How much room there is for this user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Bytes that may be written.
    pub bytes_free: u64,
    /// Bytes in all.
    pub bytes: u64,
    /// Files that may be made.
    pub files_free: u64,
    /// Files in all; 0 where the file system does not count them.
    pub files: u64,
}

/// What two machines can prove.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// Who the other is.
    pub peer: Peer,
    /// Both processes ran on one machine: nothing was proved across machines.
    pub same_machine: bool,
    /// Both race to rename the same names away.
    pub rename: Race,
    /// Both race to create the same names by link.
    pub link: Race,
    /// One holds a lock, the other tries.
    pub locks: Locks,
    /// What this machine sees of the other's doings.
    pub here: Sight,
    /// What the other sees of this machine's.
    pub there: Sight,
}

/// What the second machine says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub host: String,
    /// This run of its kernel.
    pub boot: Option<String>,
    /// Its flockwork.
    pub version: String,
    /// Its mount.
    pub mount: Mount,
    /// The stamping clock minus its own, in milliseconds.
    pub offset_ms: f64,
}

/// What one machine sees of another's doings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sight {
    /// A new name, by listings after a touch of the directory; milliseconds.
    pub sure_ms: Option<f64>,
    /// A new name, by fresh listings alone. `None`: not within 5 s.
    pub plain_ms: Option<f64>,
    /// A new name that had been looked for before, by plain stat. `None`: not within 3 s.
    pub stat_ms: Option<f64>,
    /// An event told of a new name within a second.
    pub notified: bool,
    /// Times that several names were made within one tick of the server's clock, or nearly.
    pub bursts: u32,
    /// After so many of them a fresh listing lacked a name and went on lacking it.
    pub wrong_plain: u32,
    /// After so many of them a listing lacked a name even after a touch.
    pub wrong_sure: u32,
    /// How late a heartbeat was seen at worst: by a look that asks the server; milliseconds.
    pub beat_forced_ms: f64,
    /// By plain stat.
    pub beat_plain_ms: f64,
    /// By opening the file.
    pub beat_open_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_won_twice_or_by_nobody_is_counted() {
        let race = Race::of(4, [0, 1, 1, 3]);
        assert_eq!((race.one_winner, race.twice, race.nobody), (2, 1, 1));
        assert!(!race.is_fair());
        assert!(Race::of(2, [1, 0]).is_fair());
        assert!(!Race::refused("no links").is_fair(), "what was refused proves nothing");
    }

    #[test]
    fn the_slowest_in_a_hundred_is_told() {
        let mut took = vec![Duration::from_millis(1); 99];
        took.push(Duration::from_millis(900));
        let rate = Rate::of(took);
        assert_eq!((rate.p50_us, rate.p99_us), (1000, 900_000));
        assert!((rate.per_second - 100.1).abs() < 0.1, "{}", rate.per_second);
        assert_eq!(Rate::of(Vec::new()), Rate::default(), "nothing measured is no rate");
    }
}
