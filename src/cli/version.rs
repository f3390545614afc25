//! What `--version` says: the number, the commit where it is known, and how the program was built. `bin/build.rs` finds the facts out.

use crate::job::spec::{FORMAT, FORMAT_OF_BUNDLES};

/// `0.1.0 (1a0aa22d0c11 of 2026-11-29)`, or the number alone.
pub(super) const SHORT: &str = env!("FLOCKWORK_VERSION");

/// The number, then a line per fact.
pub(super) fn long() -> String {
    let (built, rustc) = (env!("FLOCKWORK_BUILT"), env!("FLOCKWORK_RUSTC"));
    format!("{SHORT}\nbuilt:      {built}\ncompiler:   {rustc}\njob format: {FORMAT} to {FORMAT_OF_BUNDLES}")
}
