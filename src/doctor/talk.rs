//! Two doctors talk through files: each word is a file, made once, whole, under a name that only its speaker makes.
//!
//! The listener lists after a touch of the directory, which is the one way of looking that can be believed on every mount that is known.
//!
//! Problem: where a call takes long, so does what the other does before its next word, and nobody knows how long. Workaround: each touches
//! a file of its own all the time, and a word is waited for as long as the other does so.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::folder;
use crate::disk::real::RealDisk;
use crate::disk::{Disk, Flush, create, fresh};
use crate::error::{Error, ErrorKind, Result};

/// Between two looks.
pub const LOOK: Duration = Duration::from_millis(8);
/// Longest wait for a word of one that lives: where what one writes has ceased to reach the other, each may wait for the other.
const LONGEST: Duration = Duration::from_secs(300);
/// So many looks at the other's sign of life within one's patience.
const LIFE_LOOKS: u32 = 10;
/// Longest word, in bytes.
const WORD_BYTES_MAX: u64 = 1 << 20;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The doctor that made the folder.
    First,
    /// The doctor that answers.
    Peer,
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::First => Side::Peer,
            Side::Peer => Side::First,
        }
    }

    /// As it is written.
    pub fn letter(self) -> &'static str {
        match self {
            Side::First => "first",
            Side::Peer => "peer",
        }
    }

    /// What it touches for as long as it lives.
    fn sign_of_life(self) -> &'static str {
        match self {
            Side::First => folder::ALIVE,
            Side::Peer => folder::ALIVE_PEER,
        }
    }
}

/// One side of a talk, in a directory of its own.
pub struct Talk<'a> {
    /// The doctor's folder.
    pub disk: &'a RealDisk,
    dir: &'static str,
    side: Side,
    patience: Duration,
}

impl<'a> Talk<'a> {
    /// A talk in `dir`; an answer is waited for until the other has shown no sign of life for as long as `patience`.
    pub fn new(disk: &'a RealDisk, dir: &'static str, side: Side, patience: Duration) -> Talk<'a> {
        Talk { disk, dir, side, patience }
    }

    /// Says `word`, which this side says once.
    pub fn say<T: Serialize>(&self, word: &str, what: &T) -> Result<()> {
        let path = format!("{}/{word}.{}", self.dir, self.side.letter());
        let bytes = serde_json::to_vec(what).expect("string keys only");
        create::write_whole(self.disk, &path, &bytes, Flush::OnNetwork).map_err(|error| self.lost("cannot write", &path, error))
    }

    /// What the other side said at `word`, if it has.
    pub fn try_hear<T: DeserializeOwned>(&self, word: &str) -> Result<Option<T>> {
        let name = format!("{word}.{}", self.side.other().letter());
        let path = format!("{}/{name}", self.dir);
        let listed = fresh::list_surely(self.disk, self.dir).map_err(|error| self.lost("cannot list", self.dir, error))?;
        if !listed.iter().any(|entry| entry.name == name) {
            return Ok(None);
        }
        let bytes = self.disk.read(&path, WORD_BYTES_MAX).map_err(|error| self.lost("cannot read", &path, error))?;
        let damaged = |error| Error::new(ErrorKind::Damaged, "cannot understand").on(self.disk.root().join(&path)).because(error);
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// Waits for `word` of the other side.
    pub fn hear<T: DeserializeOwned>(&self, word: &str) -> Result<T> {
        let begun = Instant::now();
        self.wait_for(word, LOOK)?.ok_or_else(|| {
            let text = format!("waited {} s for the other doctor to say `{word}` in", begun.elapsed().as_secs());
            let error = Error::new(ErrorKind::Failed, text).on(self.disk.root());
            error.advise("it was ended, or what one machine writes does not reach the other; run both again")
        })
    }

    /// The same with so long a pause between two looks; `None` where the other has fallen silent.
    pub fn wait_for<T: DeserializeOwned>(&self, word: &str, pause: Duration) -> Result<Option<T>> {
        let mut other = Life::begin();
        loop {
            if let Some(heard) = self.try_hear(word)? {
                return Ok(Some(heard));
            }
            if !other.goes_on(self) {
                return Ok(None);
            }
            std::thread::sleep(pause);
        }
    }

    fn lost(&self, attempted: &'static str, path: &str, error: std::io::Error) -> Error {
        Error::io(attempted, self.disk.root().join(path), error)
    }
}

/// What is seen of the other's life while one waits for it.
struct Life {
    begun: Instant,
    looked: Instant,
    stamp: Option<i128>,
    silence: Duration,
}

impl Life {
    fn begin() -> Life {
        let now = Instant::now();
        Life { begun: now, looked: now, stamp: None, silence: Duration::ZERO }
    }

    /// True while it is worth waiting. Looks now and then only: the time for which a word is waited for may be what is measured.
    fn goes_on(&mut self, talk: &Talk<'_>) -> bool {
        let (since, pause) = (self.looked.elapsed(), talk.patience / LIFE_LOOKS);
        if since >= pause {
            self.note(folder::sign_of_life(talk.disk, talk.side.other().sign_of_life()), since, pause);
            self.looked = Instant::now();
        }
        self.silence < talk.patience && self.begun.elapsed() < LONGEST
    }

    /// Notes what a look saw, so long `since` the one before, where there is a `pause` between two. As silence no more than two pauses
    /// count: while the disk stalls, nobody can show that they live.
    fn note(&mut self, stamp: Option<i128>, since: Duration, pause: Duration) {
        if stamp.is_some() && stamp != self.stamp {
            (self.stamp, self.silence) = (stamp, Duration::ZERO);
        } else {
            self.silence += since.min(pause * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shows_a_sign_of_life_is_not_silent_and_a_stall_of_the_disk_is_no_long_silence() {
        let seconds = Duration::from_secs;
        let mut life = Life::begin();
        for stamp in 1..100 {
            life.note(Some(stamp), seconds(2), seconds(2));
            assert_eq!(life.silence, Duration::ZERO, "its stamp has changed");
        }
        life.note(Some(99), seconds(2), seconds(2));
        life.note(None, seconds(3), seconds(2));
        assert_eq!(life.silence, seconds(5), "the same stamp, or none");
        life.note(Some(99), seconds(60), seconds(2));
        assert_eq!(life.silence, seconds(9), "of a stall no more than two pauses");
        life.note(Some(100), seconds(60), seconds(2));
        assert_eq!(life.silence, Duration::ZERO);
    }

    #[test]
    fn one_that_says_nothing_is_waited_for_while_it_lives_and_no_longer() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk = RealDisk::at(dir.path());
        disk.make_dir("talk").expect("made");
        let patience = Duration::from_secs(2);
        let beating = folder::Beating::begin(&disk, folder::ALIVE_PEER).expect("it beats");
        let (ends, begun) = (patience * 2, Instant::now());
        let waited = std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(ends);
                drop(beating);
            });
            Talk::new(&disk, "talk", Side::First, patience).hear::<()>("hello").expect_err("nobody says it").to_string()
        });
        assert!(begun.elapsed() >= ends, "it lived: {waited}");
        assert!(waited.contains("for the other doctor to say `hello`"), "{waited}");
    }
}
