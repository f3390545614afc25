//! The built-in apps, one short file each. They see the public API only, as a user's own would.

use flockwork::app::Options;
use flockwork::engine::{AnyApp, AppEntry};

mod crash;
mod early_exit;
mod indexer;
mod jobcount;
mod markers;
mod mtiming;
mod noop;
mod rtiming;
mod wc;
mod words;

#[cfg(test)]
mod tests;

/// All of them, as `flockwork apps` lists them.
pub const ALL: &[AppEntry] = &[
    plain("wc", "counts words: maximal runs of letters", |_| Ok(Box::new(wc::WordCount))),
    plain("indexer", "which files each word is in", |_| Ok(Box::new(indexer::Indexer))),
    plain("noop", "reads its records and emits nothing: measures the machinery", |_| Ok(Box::new(noop::Noop))),
    plain("mtiming", "test: when and how many maps ran at once", |_| Ok(Box::new(mtiming::MapTiming))),
    plain("rtiming", "test: how many reduces ran at once", |_| Ok(Box::new(rtiming::ReduceTiming))),
    plain("jobcount", "test: how often map was called", |_| Ok(Box::new(jobcount::JobCount))),
    plain("early-exit", "test: some reduces take three seconds", |_| Ok(Box::new(early_exit::EarlyExit))),
    plain("crash", "test: dies or dawdles at random", |_| Ok(Box::new(crash::Crash { mood: crash::random_mood }))),
    plain("nocrash", "test: as crash, without dying and dawdling", |_| Ok(Box::new(crash::Crash { mood: crash::calm }))),
];

/// An app without options.
const fn plain(name: &'static str, about: &'static str, make: fn(&Options) -> Result<Box<dyn AnyApp>, String>) -> AppEntry {
    AppEntry { name, about, options: &[], make }
}
