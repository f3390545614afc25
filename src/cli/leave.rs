//! When `flockwork worker` leaves by itself, and the reins by which signals and clocks tell it to.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::disk::real::RealDisk;
use crate::error::Result;
use crate::farm::crew::busy_pids;
use crate::farm::leaving::{Until, batch_time_left};
use crate::here;
use crate::say::say;
use crate::units::parse_time;
use crate::worker::supervisor::Leash;

#[derive(clap::Args)]
pub(super) struct LeaveArgs {
    /// Leave when no job that can be worked on here is unfinished
    #[arg(long)]
    pub drain: bool,
    /// Leave at this time: from now (90m), of the day (18:30), or a date and time (2026-11-24T06:00)
    #[arg(long, value_parser = Until::parse, value_name = "TIME")]
    pub until: Option<Until>,
    /// Leave after so long without a task
    #[arg(long, value_parser = parse_idle, value_name = "TIME")]
    pub idle: Option<Duration>,
}

/// How long without a task is enough.
pub(super) fn parse_idle(text: &str) -> Result<Duration, String> {
    let idle = parse_time(text)?;
    if idle < Duration::from_secs(1) { Err("write at least 1s".to_owned()) } else { Ok(idle) }
}

/// What is told to leave: whatever runs at the time.
#[derive(Clone, Default)]
pub(super) struct Reins(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    told: u32,
    /// Told how often it was told.
    act: Option<Box<dyn Fn(u32) + Send>>,
}

impl Reins {
    /// Tells it once more. Where nothing runs yet, nothing is held, and the process ends.
    pub fn tell(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.told += 1;
        match &state.act {
            Some(act) => act(state.told),
            None => std::process::exit(0),
        }
    }

    /// From now on `act` is told.
    pub fn hand_to(&self, act: impl Fn(u32) + Send + 'static) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.told > 0 {
            act(state.told);
        }
        state.act = Some(Box::new(act));
    }

    /// Tells it when the time has come that the user or the batch system has set, and says so.
    pub fn set_clock(&self, until: Option<Until>) {
        let batch = batch_time_left(std::env::var("SLURM_JOB_END_TIME").ok().as_deref());
        let user = until.map(|until| (until.left(), "the time of --until has come"));
        let batch = batch.map(|left| (left, "the batch allocation ends soon"));
        let Some((left, why)) = user.into_iter().chain(batch).min() else { return };
        let reins = self.clone();
        std::thread::spawn(move || {
            std::thread::sleep(left);
            say!("flockwork: worker: {why}; leaving");
            reins.tell();
        });
    }

    /// Tells it when none of the job's slots here has held a claim for `idle`.
    pub fn watch_idle(&self, job: &Path, idle: Duration, leash: Leash) {
        let (reins, disk, host) = (self.clone(), RealDisk::at(job), here::new_name().host().to_owned());
        let mut since = Instant::now();
        std::thread::spawn(move || {
            while since.elapsed() < idle {
                std::thread::sleep((idle / 20).min(Duration::from_secs(1)));
                let busy = busy_pids(&disk as &dyn Disk, &host);
                if leash.pids().iter().any(|pid| busy.contains(pid)) {
                    since = Instant::now();
                }
            }
            say!("flockwork: worker: no task for as long as --idle says; leaving");
            reins.tell();
        });
    }
}
