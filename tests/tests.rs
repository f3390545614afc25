//! The integration tests: one binary, real processes.

mod common;

/// The style as a test.
mod house;

/// The protocol on the simulated disk: every interleaving, every death, bad weather.
mod protocol;

/// Jobs from their command line to their bytes, with nothing going wrong.
mod whole_job;

/// The built-in apps as whole jobs, cut anywhere and packed.
mod apps;

/// The seven tests of the lab that this design comes from.
mod lab;

/// Slots and coordinators killed, stopped and doubled.
mod killed;

/// Map tasks that share files.
mod bundles;

/// One slow worker, whose task another does.
mod stragglers;

/// Many workers lost at once in mid-job, and others in their place.
mod machines_lost;

/// How long a death goes unnoticed: the only tests that claim something about time.
mod time_to_notice;

/// What users type wrongly, what disks lose, and what others leave lying about.
mod bad_input;

/// Files of ours with anything in them.
mod any_bytes;

/// Disks that are full, read-only or refuse, for everybody and for one worker alone.
mod storage;

/// Errors that pass while somebody is at work, and after which everybody goes on.
mod passing;

/// Whose jobs are worked on, and that nobody is led out of one.
mod trust;

/// What strangers, or a bad disk, may lay into a job's directory.
mod planted;

/// The commands that look at a job or steer it.
mod commands;

/// Reports, traces, metrics, and the pages that coordinators keep.
mod report;

/// Seeing how far a job is, and why it does not move.
mod watching;

/// A command per item.
mod each;

/// Many jobs in one folder, served by standing workers.
mod farm;
/// Any commands as mappers and reducers.
mod stream;

/// Starting workers elsewhere, and when they leave.
mod launch;

/// Bad records, skipped.
mod bad_records;

/// What a mount can do, told by the doctor.
mod doctor;

/// A job broken on purpose.
mod chaos;

/// A user's own program has the whole command line.
mod own_program;

/// The scripts of the README and of docs/, as printed.
mod docs;

/// The on-disk format as its page says it.
mod format;

/// Forty mistakes, and what is said of each.
mod survey;

/// Completions, manual pages, the version.
mod manual;
