//! MapReduce over one shared directory: no server, no port, survives crashes.
//!
//! A **job** is a directory on a shared mount. A **coordinator** writes one descriptor per **task** into `pending/`; **workers** on any machine claim a task by renaming its
//! file into `claimed/` under their own name, touch it while they work, and commit by renaming it into `done/`. Claims silent for a **lease** are taken back. Any process may die at
//! any instruction; the job still ends, with the same bytes.
//!
//! # Limits
//! Linux only. A key with its value has at most 1 GiB, and in the readable shuffle form an attempt holds all its pairs in memory. `rename` and `link` must be atomic on the server.
//!
//! # Words, one per meaning
//! *job*; *task* (one map or reduce unit); *attempt* (one try of a task); *claim* (a worker's hold on an attempt); *lease* (how long a silent claim is believed); *split* (a map task's
//! piece of the input); *record*; *partition*; *combiner*; *run* (sorted pairs by partition in one file); *spill* (a run on disk inside one attempt); *shuffle file* (a map attempt's committed output); *output file* (`mr-out-00003`); *retract* (a result taken back because its files are missing); *backup* (a second attempt beside a slow one).
//!
//! # The house
//! Each floor uses only those below it; a test holds the floors.
//!
//! | floor | modules | what is absent there |
//! |---|---|---|
//! | door | `bin/`, `apps/` | anything but the public API |
//! | cli | `cli` | decisions about tasks |
//! | eyes | [`eyes`] | acting: it reads a snapshot |
//! | outside | [`doctor`], [`chaos`] | a part in the protocol: one tries the mount, one kills processes |
//! | farm | [`farm`] | decisions about tasks: it only chooses among jobs |
//! | roles | [`planner`], [`coordinator`], [`worker`] | the coordinator opens no input, shuffle or output data and runs no user code |
//! | each | [`each`] | acting: it says what a job of commands is made of |
//! | job, engine | [`job`], [`engine`] | each other; `job` reaches the file system only through [`disk::Disk`] |
//! | disk | [`disk`], [`command`] | policy: every hazard of a shared mount has one home, and so has every hazard of a user's command |
//! | words | [`app`], [`control`], [`data`], [`error`], [`here`], [`ids`], [`partition`], `say`, [`units`] | the file system |
//!
//! # Reading order
//! `README.md`, [`ids`], [`job::layout`], [`disk`], [`job::claim`], [`coordinator::plan`], [`coordinator::leases`], [`worker`], [`app`], [`engine`]; of what people see [`eyes::status`], then [`eyes::history`]. `docs/architecture.md` has the
//! same with the life of a task, where each hazard lives, and where a new thing belongs; `docs/format.md` specifies the directory.
//!
//! A program of one's own is its apps and one line, [`main`]; see [`app`]. `python/` is a package of Python's that knows nothing but the command line.

pub mod app;
pub mod chaos;
mod cli;
pub mod command;
pub mod control;
pub mod coordinator;
pub mod data;
pub mod disk;
pub mod doctor;
pub mod each;
pub mod engine;
pub mod error;
pub mod eyes;
pub mod farm;
pub mod here;
pub mod ids;
pub mod job;
pub mod partition;
pub mod planner;
mod say;
pub mod units;
pub mod worker;

pub use cli::main;
pub use error::{Error, ErrorKind, Result};

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// The guide's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
pub struct Guide;
