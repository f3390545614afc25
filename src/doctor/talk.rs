//! Two doctors talk through files: each word is a file, made once, whole, under a name that only its speaker makes.
//!
//! The listener lists after a touch of the directory, which is the one way of looking that can be believed on every mount that is known.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk::real::RealDisk;
use crate::disk::{Disk, Flush, create, fresh};
use crate::error::{Error, ErrorKind, Result};

/// Between two looks.
pub const LOOK: Duration = Duration::from_millis(8);
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
    /// A talk in `dir`; an answer is waited for as long as `patience`.
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
        loop {
            if let Some(heard) = self.try_hear(word)? {
                return Ok(heard);
            }
            if begun.elapsed() > self.patience {
                let text = format!("waited {} s for the other doctor to say `{word}` in", self.patience.as_secs());
                let error = Error::new(ErrorKind::Failed, text).on(self.disk.root());
                return Err(error.advise("it was ended, or what one machine writes does not reach the other; run both again"));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn lost(&self, attempted: &'static str, path: &str, error: std::io::Error) -> Error {
        Error::io(attempted, self.disk.root().join(path), error)
    }
}
