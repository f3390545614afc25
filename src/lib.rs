//! MapReduce and task farming over one shared directory: no server, no port, survives crashes.

pub mod app;
mod cli;
pub mod control;
pub mod coordinator;
pub mod data;
pub mod disk;
pub mod engine;
pub mod error;
pub mod eyes;
pub mod here;
pub mod ids;
pub mod job;
pub mod partition;
pub mod planner;
pub mod units;
pub mod worker;

pub use cli::main;
pub use error::{Error, ErrorKind, Result};
