//! `flockwork doctor`: what a mount can do for flockwork.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::run::on_signals;
use crate::doctor::{self, Manner, folder};
use crate::error::Result;
use crate::say::say;
use crate::units::parse_time;

#[derive(clap::Args)]
#[command(
    after_help = "Alone it takes about 5 s, with a second machine about 20 s, more where calls are slow; .flockwork-doctor-… is in DIR meanwhile.\n\
                  Two machines: start `flockwork doctor DIR --peer` on one, then `flockwork doctor DIR` on the other, which prints the findings.\n\
                  Exit: 0 flockwork works here, whatever there is to advise; 1 it cannot, or DIR cannot be examined; 130 interrupted.\n\
                  Example: flockwork doctor /mnt/share; flockwork doctor /mnt/share --json | jq '.findings[] | select(.verdict != \"good\")'"
)]
pub(super) struct Args {
    /// The folder that jobs are to lie in
    dir: PathBuf,
    /// Answer the doctor of another machine, which prints the findings
    #[arg(long)]
    peer: bool,
    /// Wait so long for the other machine [default: --peer 1m; else only for one that is there already]
    #[arg(long, value_parser = parse_time, value_name = "TIME")]
    wait: Option<Duration>,
    /// One JSON object on stdout; its fields stay under `"version": 1`
    #[arg(long, conflicts_with = "peer")]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let made: Arc<Mutex<Option<PathBuf>>> = Arc::default();
    let interrupted = Arc::new(AtomicBool::new(false));
    let (of_signals, interrupts) = (Arc::clone(&made), Arc::clone(&interrupted));
    on_signals(move |_| {
        interrupts.store(true, Relaxed);
        // Held until the process ends: no folder is made any more that nobody removes.
        let made = of_signals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = made.as_ref() {
            folder::remove(path);
        }
        std::process::exit(i32::from(super::INTERRUPTED));
    })?;
    let say = |text: &str| say!("flockwork: doctor: {text}");
    if args.peer {
        doctor::answer(&args.dir, args.wait.unwrap_or(Duration::from_secs(60)), &say)?;
        say("answered; the other machine prints the findings");
        return Ok(ExitCode::SUCCESS);
    }
    let create = |path: &std::path::Path| {
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::create_dir(path)?;
        *made = Some(path.to_owned());
        Ok(())
    };
    let examined = doctor::examine(&args.dir, &Manner { wait: args.wait.unwrap_or_default(), create: &create, say: &say });
    while interrupted.load(Relaxed) {
        // The folder is being removed, so whatever failed failed by that; the one who removes it ends the process.
        std::thread::park();
    }
    let report = examined?;
    super::print_if_read(&if args.json { format!("{}\n", report.json()) } else { report.text() })?;
    Ok(if report.can_run() { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) })
}
