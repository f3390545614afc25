//! Fault scenarios by number, on the simulated disk; `docs/fault-scenarios.md` lists them all, with those that are proved elsewhere.
//!
//! | file | faults |
//! |---|---|
//! | `workers` | workers killed, stopped, cut off, doubled, or killed by their task |
//! | `clocks` | clocks that are wrong, jump or run fast |
//! | `refusals` | disks that are full, read-only, slow, or refuse |
//! | `answers` | calls done late or answered wrongly, names hidden |
//! | `restored` | files removed by hand, the whole directory set back to an older state |
//! | `torn` | the files that decide, damaged |
//! | `crowds` | a thousand workers, ten thousand claims lost at once |
//!
//! `crew` has processes that bear all this, `shim` a disk that lies.

mod answers;
mod clocks;
mod crew;
mod crowds;
mod refusals;
mod restored;
pub mod shim;
mod torn;
mod workers;
