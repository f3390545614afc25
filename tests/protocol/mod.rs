//! The protocol proved on the simulated disk: the real claims, the real coordinator, a miniature word count instead of the engine.
//!
//! | file | proof |
//! |---|---|
//! | `interleavings` | every interleaving of a small case, states pinned; mutants of the protocol that must be found |
//! | `holes` | one named test per hole that a model of the protocol has found |
//! | `backups` | every interleaving of two attempts of one task |
//! | `die_at_k` | worker and coordinator killed at every single disk call |
//! | `stop_at_k` | the coordinator stopped at every single disk call, and resumed when another has taken over |
//! | `ends` | a job cancelled and retried while a coordinator that was to end it goes on late |
//! | `schedules` | random schedules of large cases, by seed, everything that may go wrong going wrong |
//! | `planted` | bugs planted in the protocol, which the schedules must find |
//! | `bundles` | map tasks that share files: what counts where blocks lie within each other, poison, death, damage after the reduce plan |
//! | `damage` | shuffle files and records damaged after they were committed; limits; retry |
//! | `cost` | disk calls per task |
//! | `scale` | a thousand workers by simulation: calls, rates, herds, at the price of NFS |
//! | `scenarios` | fault scenarios by number |
//!
//! `bench` sets the scene and judges the end, `audit` every step of a schedule; `sleeper` is a worker that dawdles; `puppet` an actor that can be stopped in the middle of a call; `lens` is a disk seen by an actor of the
//! explorer, faithfully or as a mutant, and `bent` the same for the schedules.

mod audit;
mod backups;
mod bench;
mod bent;
mod bundles;
mod cost;
mod damage;
mod die_at_k;
mod ends;
mod holes;
mod interleavings;
mod lens;
mod planted;
mod puppet;
mod scale;
mod scenarios;
mod schedules;
mod sleeper;
mod stop_at_k;
