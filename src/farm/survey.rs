//! What there is in a farm, remembered from look to look, so that many jobs cost little: each is opened once, and an ended one is left in peace.
//!
//! Ended jobs may be retried: one of them is looked at in each look, by turns, and all of them when the farm's folder was touched without a name having come or gone, which `retry`
//! does. A job that cannot be served (unreadable, damaged, newer, not trusted, of an unknown app) is said once and tried again now and then: it disturbs no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::disk::Disk;
use crate::disk::real::RealDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::job::layout::{JOB_JSON, PHASE};
use crate::job::spec::{self, Spec};

/// The folder's listing is taken anew after so many looks, whatever its stamp says.
const LOOKS_PER_LISTING: u32 = 8;
/// What could not be served, or is no job yet, is tried again after as long as it has been so, and at most after this.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// But not before this.
const RETRY_MIN: Duration = Duration::from_millis(200);

/// Decides whether a job that has not ended can be served by this process; an error says why not.
pub type Check = dyn Fn(&Path) -> Result<Spec> + Send;

/// A job that has not ended and can be served.
pub struct Open {
    /// Its folder.
    pub root: PathBuf,
    /// What was asked.
    pub spec: Spec,
    /// Its directory.
    pub disk: Arc<dyn Disk>,
}

enum Seen {
    Open(Box<Open>),
    Ended,
    /// No job, or none that can be served: looked at again later.
    Not {
        since: Duration,
        next: Duration,
        why: Option<String>,
    },
}

/// The farm as one process has seen it.
pub struct Survey {
    root: PathBuf,
    disk: RealDisk,
    check: Box<Check>,
    seen: BTreeMap<String, Seen>,
    stamp: Option<i128>,
    looks: u32,
    /// The ended job looked at last.
    cursor: String,
    said: BTreeMap<String, String>,
    /// How often in a row each could not be served.
    strikes: BTreeMap<String, u32>,
    news: Vec<String>,
}

/// What a look at the farm's folder came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is a farm.
    Farm,
    /// It has become a job.
    Job,
    /// It is not there any more.
    Gone,
}

impl Survey {
    /// A survey of the farm at `root`.
    pub fn new(root: &Path, check: Box<Check>) -> Survey {
        let disk = RealDisk::at(root);
        Survey {
            root: root.to_owned(),
            disk,
            check,
            seen: BTreeMap::new(),
            stamp: None,
            looks: 0,
            cursor: String::new(),
            said: BTreeMap::new(),
            strikes: BTreeMap::new(),
            news: Vec::new(),
        }
    }

    /// Looks what has come, gone or ended.
    pub fn look(&mut self) -> Result<Found> {
        let fail = |error| Error::io("cannot look into the farm", &self.root, error);
        let stamp = match self.disk.look(".") {
            Ok(look) => look.stamp,
            Err(error) if crate::disk::rename::is_gone(&error) => return Ok(Found::Gone),
            Err(error) => return Err(fail(error)),
        };
        let is_changed = self.stamp != Some(stamp);
        if is_changed || self.looks.is_multiple_of(LOOKS_PER_LISTING) {
            let entries = self.disk.list(".").map_err(fail)?;
            if entries.iter().any(|entry| entry.name == JOB_JSON) {
                return Ok(Found::Job);
            }
            let names: Vec<String> = entries.into_iter().filter(|entry| !entry.is_file).map(|entry| entry.name).collect();
            let is_touched = self.stamp.is_some()
                && is_changed
                && names.len() == self.seen.len()
                && names.iter().all(|name| self.seen.contains_key(name));
            self.enter(&names);
            if is_touched {
                self.ended().into_iter().for_each(|name| self.look_again(&name));
            }
        }
        (self.stamp, self.looks) = (Some(stamp), self.looks.wrapping_add(1));
        self.look_at_one_ended();
        self.try_again();
        Ok(Found::Farm)
    }

    fn enter(&mut self, names: &[String]) {
        let there: BTreeSet<&String> = names.iter().collect();
        self.seen.retain(|name, _| there.contains(name));
        self.said.retain(|name, _| there.contains(name));
        self.strikes.retain(|name, _| there.contains(name));
        let now = self.disk.now();
        for name in names {
            self.seen.entry(name.clone()).or_insert(Seen::Not { since: now, next: now, why: None });
        }
    }

    fn ended(&self) -> Vec<String> {
        self.seen.iter().filter(|(_, seen)| matches!(seen, Seen::Ended)).map(|(name, _)| name.clone()).collect()
    }

    fn look_at_one_ended(&mut self) {
        let is_ended = |(_, seen): &(&String, &Seen)| matches!(seen, Seen::Ended);
        let after =
            self.seen.range::<String, _>((std::ops::Bound::Excluded(self.cursor.clone()), std::ops::Bound::Unbounded)).find(is_ended);
        let next = after.or_else(|| self.seen.iter().find(is_ended)).map(|(name, _)| name.clone());
        if let Some(name) = next {
            self.look_again(&name);
            self.cursor = name;
        }
    }

    /// An ended job: it may have been retried, or have been replaced by another.
    fn look_again(&mut self, name: &str) {
        if !has_ended(&RealDisk::at(self.root.join(name))).unwrap_or(true) {
            self.forget(name);
        }
    }

    /// Jobs that are new, and those that could not be served before.
    fn try_again(&mut self) {
        let now = self.disk.now();
        let due = |seen: &Seen| matches!(seen, Seen::Not { next, .. } if *next <= now);
        let names: Vec<String> = self.seen.iter().filter(|(_, seen)| due(seen)).map(|(name, _)| name.clone()).collect();
        for name in names {
            let root = self.root.join(&name);
            match self.open(&root) {
                Ok(Some(seen)) => _ = self.seen.insert(name, seen),
                Ok(None) => self.put_off(&name, None),
                Err(error) => self.refuse(&name, &error.to_string()),
            }
        }
    }

    /// `None`: it is no job so far.
    fn open(&self, root: &Path) -> Result<Option<Seen>> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(root));
        if !spec::is_job(&*disk).map_err(|error| Error::io("cannot look into", root, error))? {
            return Ok(None);
        }
        if has_ended(&*disk).map_err(|error| Error::io("cannot list", root.join(PHASE), error))? {
            return Ok(Some(Seen::Ended));
        }
        match (self.check)(root) {
            Ok(spec) => Ok(Some(Seen::Open(Box::new(Open { root: root.to_owned(), spec, disk })))),
            // It was removed just now.
            Err(error) if matches!(error.kind(), ErrorKind::Vanished) || error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn put_off(&mut self, name: &str, why: Option<String>) {
        let now = self.disk.now();
        let since = match self.seen.get(name) {
            Some(Seen::Not { since, .. }) => *since,
            Some(_) | None => now,
        };
        let strikes = self.strikes.get(name).copied().unwrap_or_default();
        let wait = now.saturating_sub(since).max(RETRY_MIN * 2_u32.pow(strikes.min(10))).clamp(RETRY_MIN, RETRY_MAX);
        self.seen.insert(name.to_owned(), Seen::Not { since, next: now + wait, why });
    }

    /// This job cannot be served now, for this reason.
    pub fn refuse(&mut self, name: &str, why: &str) {
        self.say_once(name, why);
        *self.strikes.entry(name.to_owned()).or_default() += 1;
        self.put_off(name, Some(why.to_owned()));
    }

    /// Said unless it was the last thing said of this job.
    pub fn say_once(&mut self, name: &str, words: &str) {
        if self.said.get(name).map(String::as_str) != Some(words) {
            self.said.insert(name.to_owned(), words.to_owned());
            self.news.push(format!("{}: {words}", self.root.join(name).display()));
        }
    }

    /// What is to be said since last asked.
    pub fn news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }

    /// This job has ended.
    pub fn has_ended(&mut self, name: &str) {
        self.said.remove(name);
        self.strikes.remove(name);
        if let Some(seen) = self.seen.get_mut(name) {
            *seen = Seen::Ended;
        }
    }

    /// Nothing is known of this job any more: it is looked at anew.
    pub fn forget(&mut self, name: &str) {
        let now = self.disk.now();
        if let Some(seen) = self.seen.get_mut(name) {
            *seen = Seen::Not { since: now, next: now, why: None };
        }
    }

    /// The jobs that can be served, by name.
    pub fn jobs(&self) -> impl Iterator<Item = (&str, &Open)> {
        self.seen.iter().filter_map(|(name, seen)| match seen {
            Seen::Open(open) => Some((name.as_str(), &**open)),
            Seen::Ended | Seen::Not { .. } => None,
        })
    }

    /// One of them.
    pub fn job(&self, name: &str) -> Option<&Open> {
        match self.seen.get(name) {
            Some(Seen::Open(open)) => Some(open),
            _ => None,
        }
    }

    /// How many jobs are there that cannot be served.
    pub fn refused(&self) -> usize {
        self.seen.values().filter(|seen| matches!(seen, Seen::Not { why: Some(_), .. })).count()
    }

    /// This process's monotonic clock.
    pub fn now(&self) -> Duration {
        self.disk.now()
    }
}

/// Its end is decided, and has its second name: nobody has anything to do with it any more.
fn has_ended(disk: &dyn Disk) -> std::io::Result<bool> {
    let names = disk.list(PHASE)?;
    let has = |name: &str| names.iter().any(|entry| entry.name == name);
    Ok(has("end") && (has("finished") || has("failed")))
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
