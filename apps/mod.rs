//! The built-in apps, one short file each. They see the public API only, as a user's own would.

use std::borrow::Cow;

use flockwork::app::{OptionDoc, Options};
use flockwork::engine::{AnyApp, AppEntry};

mod crash;
mod early_exit;
mod grep;
mod indexer;
mod jobcount;
mod markers;
mod mtiming;
mod noop;
mod reverse_links;
mod rtiming;
mod sort;
mod term_vector;
mod url_count;
mod wc;
pub(crate) mod words;

#[cfg(test)]
mod tests;

/// All of them, as `flockwork apps` lists them.
pub const ALL: &[AppEntry] = &[
    AppEntry {
        name: "wc",
        about: "counts words: maximal runs of letters",
        options: &[option("combine", "false: sort and merge every single word, which measures the shuffle")],
        make: |options| wc::of(options),
    },
    plain("indexer", "which files each word is in", |_| Ok(Box::new(indexer::Indexer))),
    AppEntry {
        name: "grep",
        about: "the lines that match a pattern, as path:line-number:text",
        options: &[
            option("pattern", "what to look for, a regular expression; needed"),
            option("count", "true: only path:count per file with a match"),
        ],
        make: |options| Ok(Box::new(grep::Grep::of(options)?)),
    },
    AppEntry {
        name: "sort",
        about: "all lines in order, over all output files",
        options: &[option("key", "FROM-TO: order by these bytes of a line, counted from 1; else by the whole line")],
        make: |options| Ok(Box::new(sort::Sort::of(options)?)),
    },
    AppEntry {
        name: "url-count",
        about: "how often each URL was asked for",
        options: &[option("field", "which field of a line is the URL, counted from 1; else the first")],
        make: |options| Ok(Box::new(url_count::UrlCount::of(options)?)),
    },
    plain("reverse-links", "which pages link to each page, from lines `source target...`", |_| Ok(Box::new(reverse_links::ReverseLinks))),
    AppEntry {
        name: "term-vector",
        about: "the most frequent words of each host, from lines `host TAB text`",
        options: &[option("top", "how many words per host; else 10")],
        make: |options| Ok(Box::new(term_vector::TermVector::of(options)?)),
    },
    plain("noop", "reads its records and emits nothing: measures the machinery", |_| Ok(Box::new(noop::Noop))),
    plain("mtiming", "test: when and how many maps ran at once", |_| Ok(Box::new(mtiming::MapTiming))),
    plain("rtiming", "test: how many reduces ran at once", |_| Ok(Box::new(rtiming::ReduceTiming))),
    plain("jobcount", "test: how often map was called", |_| Ok(Box::new(jobcount::JobCount))),
    plain("early-exit", "test: some reduces take three seconds", |_| Ok(Box::new(early_exit::EarlyExit))),
    plain("crash", "test: dies or dawdles at random", |_| Ok(Box::new(crash::Crash { mood: crash::random_mood }))),
    plain("nocrash", "test: as crash, without dying and dawdling", |_| Ok(Box::new(crash::Crash { mood: crash::calm }))),
];

/// One option.
const fn option(key: &'static str, about: &'static str) -> OptionDoc {
    OptionDoc { key: Cow::Borrowed(key), about: Cow::Borrowed(about) }
}

/// An app without options.
const fn plain(name: &'static str, about: &'static str, make: fn(&Options) -> Result<Box<dyn AnyApp>, String>) -> AppEntry {
    AppEntry { name, about, options: &[], make }
}
