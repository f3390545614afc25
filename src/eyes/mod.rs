//! Eyes: what can be said of a job by looking at it. Nothing here acts: no touch, no lock, no rename, no file created.
//!
//! [`status`] is one look for people and scripts; [`verify`] checks every law and every checksum. A file that may still move (`pending/`, `claimed/`) is never
//! opened, for an NFSv4 server hands whoever reads it a delegation, and everybody waits when that machine dies.

use std::time::Duration;

use crate::ids::{ClaimName, WorkerName};
use crate::units::show_time;

mod against;
pub mod ages;
pub mod board;
pub mod brief;
mod detail;
pub mod digest;
pub mod errors;
pub mod explain;
pub mod farm;
pub mod history;
pub mod items;
mod lanes;
mod lead;
pub mod metrics;
mod pace;
pub mod report;
mod sample;
pub mod show;
mod slow;
pub mod status;
pub(crate) mod tally;
pub mod trace;
pub mod verify;

/// `0.4 s`, `3 s`, `2m 05s`: a time for sentences, in milliseconds.
pub fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        1_000..60_000 => format!("{} s", ms / 1000),
        _ => show_time(Duration::from_millis(ms)),
    }
}

/// True for `map-00042.a1@node7.4121.k3f-00003.json` and `map-00042.a1@node7.4121.k3f.run`.
pub fn is_shuffle_name(name: &str) -> bool {
    let json = name.strip_suffix(".json").and_then(|stem| stem.rsplit_once('-'));
    let stem = match json {
        Some((stem, digits)) if is_number(digits) => Some(stem),
        Some(_) | None => name.strip_suffix(".run"),
    };
    stem.is_some_and(|stem| stem.parse::<ClaimName>().is_ok())
}

/// True for `node7.4121.k3f.seg`.
pub fn is_segment_name(name: &str) -> bool {
    name.strip_suffix(".seg").is_some_and(|worker| worker.parse::<WorkerName>().is_ok())
}

/// 3 of `mr-out-00003`.
pub fn output_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("mr-out-").filter(|digits| is_number(digits))?;
    digits.parse().ok()
}

fn is_number(digits: &str) -> bool {
    digits.len() >= 5 && digits.bytes().all(|b| b.is_ascii_digit())
}
