//! The simulated disk: a shared directory in memory, several clients of it, and everything that may go wrong.
//!
//! The protocol's real code runs on it, unchanged, in two ways:
//!
//! * [`explore`] tries *every* interleaving of a few small actors with a budget of faults, breadth first, without threads: an actor is a function
//!   of the replies it gets, so it is run again and again with one more reply each time, and stopped at its next call ([`client`]).
//! * [`run`] executes larger scenarios directly: any number of clients, random schedules, dying at the k-th call, injected errors, virtual time;
//!   on a [`stage`] a call may be under way for long while the others go on, and the [`weather`] decides which.
//!
//! What is simulated: listings that are stale until the client changes the directory itself, names that the client believes absent (or to be a file
//! that has moved on) until it opens the directory, replies that are lost after the call was done and the call sent *again*, calls that
//! a dead client sent and the server executes later, locks that lie, a full or read-only disk, calls that hang; run directly also attributes that are old,
//! requests and replies that are late, mounts that hang, a server that restarts, and what was appended and neither flushed nor closed lost with its
//! machine. What is not: writes that others see late or torn (until it is lost every append is whole and at once), a dead machine's locks and delegations that last for a lease (a crash closes all at once; a
//! lock that lies and a call that hangs stand for them), a target wrongly believed to exist, modification times of directories, symbolic
//! links, moving directories. `stale.rs` lists what may be stale; it errs on the hostile side.
//!
//! It is public for this package's own tests, and no part of the library's promises.

mod by_dir;
pub mod cache;
pub mod client;
pub mod explore;
mod fingerprint;
mod names;
pub mod op;
pub mod run;
mod shared;
pub mod stage;
mod stale;
pub mod state;
pub mod turns;
pub mod weather;
pub mod world;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod weather_tests;
