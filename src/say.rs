//! What is said on stderr, whether anybody hears it or not.
//!
//! Problem: `eprintln!` panics where stderr cannot be written: a log on the very disk that is full, a reader (`| head`) that has left, a terminal that is gone. A coordinator that
//! wants to say that it waits would die of saying it. Workaround: what cannot be said stays unsaid, and nothing else changes. A line is one write, so lines of several processes
//! do not mix.

use std::fmt;
use std::io::{Write, stderr};

/// Says a line on stderr; written like `eprintln!`, which is forbidden everywhere else.
macro_rules! say {
    ($($words:tt)*) => { $crate::say::line(format_args!($($words)*)) };
}
pub(crate) use say;

/// One line.
pub(crate) fn line(words: fmt::Arguments<'_>) {
    text(&format!("{words}\n"));
}

/// Text as it is.
pub(crate) fn text(words: &str) {
    let _ = stderr().lock().write_all(words.as_bytes());
}
