//! The protocol: what lies in a job directory, and how it moves. Reading order: `layout`, `record`, `spec`, `plan`, `claim`, `skip`, `snapshot` (with `few` and `views`), `walk`, `end`, `retry`.
//!
//! Everything here goes through [`Disk`](crate::disk::Disk), so that the very same code runs on the simulated disk; but for `trust`, which asks the real
//! one whose a job is before any of it runs. It never touches input,
//! shuffle or output *data*: that is the engine's, which in turn knows no protocol.

pub mod claim;
pub mod end;
pub mod few;
pub mod layout;
pub mod log;
pub mod lost;
pub mod outputs;
pub mod plan;
pub mod record;
pub mod register;
pub mod retry;
mod seal;
pub mod skip;
pub mod snapshot;
pub mod spec;
pub mod trust;
pub mod views;
pub mod walk;
