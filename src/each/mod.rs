//! A task farm in a job's directory: one command per item and no reduce. The job's app is called [`APP`], its map tasks are its items, in their order.
//!
//! # Limits
//! An item has at most [`ITEM_BYTES_MAX`] bytes; a command line with its environment has the operating system's limit. At most some four million items in a job. Whoever submits holds
//! all items in memory, a worker one of them.
//!
//! # In the job's directory
//! | what | where |
//! |---|---|
//! | the items, as they came, each with its line end (or a NUL) | `items`, created once, before `job.json` |
//! | which bytes of it are a task's item | `phase/map`: a split of one piece |
//! | the command and how it is run | `job.json`: the app's options (see [`orders`]) |
//! | what commands wrote | `output/WORKER.seg`: one growing file per worker (see [`segment`]) |
//! | how a command went, and which stretches of its worker's segment are its own | the task's file in `done/` or `failed/` ([`crate::data::Ran`]) |
//!
//! A task that is nowhere and past its limit is left out, and named at the end; so the job has failed, and `retry` runs those tasks again.

mod fields;
pub mod items;
pub mod orders;
pub mod segment;
pub mod template;

/// The name of the app, in `job.json`. No program's own app is run under it.
pub const APP: &str = crate::job::spec::COMMANDS_APP;
/// Longest item, in bytes.
pub const ITEM_BYTES_MAX: usize = 16 << 20;
