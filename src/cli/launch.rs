//! `flockwork launch`: start workers of a farm on other machines, by ssh or by a batch script of Slurm.
//!
//! By ssh: on each host a shell starts the worker so that it outlives the connection, waits a second, and tells its process number, or why it did not stay. What it says goes to
//! `FARM/.launch/HOST.txt`, on the shared mount; names with a dot are no jobs. Nothing is asked of a user (BatchMode).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use super::leave::parse_idle;
use super::trust::{self, TrustArgs};
use crate::error::{Error, ErrorKind, Result};
use crate::farm::batch::Batch;
use crate::farm::hosts::{self, Host};
use crate::farm::{self, leaving::Until};
use crate::job::layout::LAUNCH;
use crate::say::say;
use crate::units::{for_shell, for_terminal, on_one_line, plural, word_for_shell};

/// Hosts that are talked to at once.
const AT_ONCE: usize = 32;
/// A host that has not answered after so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// A worker that has lived so long has started.
const STARTED_SECONDS: u32 = 1;

#[derive(clap::Args)]
#[command(
    after_help = "A hosts file has a host a line, as for GNU parallel: [N/][user@]host with N slots, `:` for this machine, # comments; `N/ssh OPTIONS host` with options of ssh.\n\
                  The farm must lie at the same path everywhere, and this program, too, unless --binary says where it lies.\n\
                  Exit: 0 every host has a worker; 1 a host has none, or sbatch refused; 2 the command line or the hosts file is wrong.\n\
                  Examples: flockwork launch /mnt/share/farm --hosts nodes.txt --idle 1h\n\
                  \u{20}         flockwork launch /mnt/share/farm --slurm --submit -- --time=4:00:00 --array=0-9 --cpus-per-task=16"
)]
pub(super) struct Args {
    /// The directory of a farm (made if there is none) or of a job
    farm: PathBuf,
    /// Start a worker on each host of this file, by ssh
    #[arg(long, value_name = "FILE", required_unless_present = "slurm", conflicts_with = "slurm")]
    hosts: Option<PathBuf>,
    /// Print a batch script for sbatch, and make the folder that its words go to: its worker leaves before the time limit, and the job is requeued
    #[arg(long)]
    slurm: bool,
    /// With --slurm: give the batch script to sbatch
    #[arg(long)]
    submit: bool,
    /// Slots of each worker, whatever the hosts file says [default: those of the hosts file; else the cores]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096), value_name = "N")]
    slots: Option<u32>,
    /// This program on the other machines [default: the path it has here]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// The workers leave when no job that they can work on is unfinished
    #[arg(long)]
    drain: bool,
    /// The workers leave at this time; see `flockwork worker --help`
    #[arg(long, value_parser = parse_until, value_name = "TIME")]
    until: Option<String>,
    /// The workers leave after so long without a task
    #[arg(long, value_parser = parse_typed_idle, value_name = "TIME")]
    idle: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// With --slurm: options of sbatch
    #[arg(last = true, value_name = "SBATCH OPTIONS")]
    sbatch: Vec<String>,
}

fn parse_until(text: &str) -> Result<String, String> {
    Until::parse(text).map(|_| text.to_owned())
}

fn parse_typed_idle(text: &str) -> Result<String, String> {
    parse_idle(text).map(|_| text.to_owned())
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if !args.slurm && (args.submit || !args.sbatch.is_empty()) {
        let error = Error::new(ErrorKind::Usage, "cannot start workers by ssh with options of sbatch");
        return Err(error.advise("--submit and what stands behind -- go with --slurm, not with --hosts"));
    }
    // Read before anything is made.
    let hosts = args.hosts.as_deref().map(read_hosts).transpose()?;
    let options = options(args)?;
    let farm = std::path::absolute(&args.farm).map_err(|error| Error::io("cannot resolve", &args.farm, error))?;
    let program = program(args)?;
    let _ = farm::place(&farm)?;
    let words = farm.join(LAUNCH);
    let batch = Batch { program: &program, farm: &farm, words: &words, options: &options, slots: args.slots, sbatch: &args.sbatch };
    let script = batch.script().map_err(|why| Error::new(ErrorKind::Usage, format!("cannot write the batch script: {why}")))?;
    // Also where the script is only printed: Slurm starts nothing whose words have no folder to go to.
    std::fs::create_dir_all(&words).map_err(|error| Error::io("cannot create the folder", &words, error))?;
    match hosts {
        None if !args.submit => super::print(&script).map(|()| ExitCode::SUCCESS),
        Some(hosts) => by_ssh(&Start { program, farm, words, options, slots: args.slots }, &hosts),
        None => submit(&script),
    }
}

fn read_hosts(path: &Path) -> Result<Vec<Host>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::io("cannot read the hosts file", path, error))?;
    hosts::parse(&text).map_err(|why| {
        let error = Error::new(ErrorKind::Usage, "cannot understand the hosts file").on(path).because(on_one_line(&why).into_owned());
        error.advise("write a host a line, for example 8/ann@node7")
    })
}

/// What every worker is told.
fn options(args: &Args) -> Result<Vec<String>> {
    let mut options = trust::words(&args.trust.resolve()?);
    options.extend(args.drain.then(|| "--drain".to_owned()));
    options.extend(args.until.as_ref().map(|time| format!("--until={time}")));
    options.extend(args.idle.as_ref().map(|time| format!("--idle={time}")));
    options.push("--quiet".to_owned());
    Ok(options)
}

fn program(args: &Args) -> Result<PathBuf> {
    match &args.binary {
        Some(path) => Ok(path.clone()),
        None => std::env::current_exe().map_err(|error| Error::io("cannot find", "this program's own file", error)),
    }
}

fn submit(script: &str) -> Result<ExitCode> {
    let fail = |error: std::io::Error| {
        Error::io("cannot start", "sbatch", error).advise("is this a machine of the cluster? without --submit the script is printed")
    };
    let mut child = Command::new("sbatch").stdin(Stdio::piped()).spawn().map_err(fail)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that refuses its options need not read on: its status says so.
        let _ = stdin.write_all(script.as_bytes());
    }
    let status = child.wait().map_err(fail)?;
    if status.success() {
        return Ok(ExitCode::SUCCESS);
    }
    say!("flockwork: sbatch refused the script ({status}); `flockwork launch` without --submit prints it");
    Ok(ExitCode::from(super::FAILED))
}

/// What is started everywhere.
struct Start {
    program: PathBuf,
    farm: PathBuf,
    words: PathBuf,
    options: Vec<String>,
    slots: Option<u32>,
}

fn by_ssh(start: &Start, hosts: &[Host]) -> Result<ExitCode> {
    let mut failed = 0;
    for some in hosts.chunks(AT_ONCE) {
        let told: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|host| scope.spawn(move || start.on(host))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("panicked".to_owned()))).collect()
        });
        for (host, told) in some.iter().zip(told) {
            match told {
                Ok(pid) => super::print(&start.words_of_success(host, pid))?,
                Err(why) => {
                    failed += 1;
                    say!("flockwork: {}: no worker was started: {}", on_one_line(host.name()), for_terminal(why.trim_end()));
                }
            }
        }
    }
    say!("flockwork: {} of {} hosts have a worker; SIGTERM gives its claims back and ends it", hosts.len() - failed, hosts.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) })
}

impl Start {
    /// Starts the worker on one host; its process number, or why there is none.
    fn on(&self, host: &Host) -> Result<u32, String> {
        let script = self.script(host);
        let mut command = match &host.login {
            None => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(&script);
                command
            }
            Some(login) => {
                let mut command = Command::new("ssh");
                command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=15"]).args(&host.options).arg("--").arg(login).arg(&script);
                command
            }
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.map_err(|error| format!("cannot start ssh: {error}"))?;
        let output = wait(child)?;
        let said = String::from_utf8_lossy(&output.stdout);
        let pid = said.lines().find_map(|line| line.strip_prefix("flockwork started ")?.parse().ok());
        match pid {
            Some(pid) if output.status.success() => Ok(pid),
            _ => {
                let words = format!("{}{}", String::from_utf8_lossy(&output.stderr), said);
                let words = if words.trim().is_empty() { "it said nothing" } else { words.trim_end() };
                Err(format!("{words} ({})", output.status))
            }
        }
    }

    /// What a shell does on the host. `setsid` and `nohup` make the worker outlive the connection.
    fn script(&self, host: &Host) -> String {
        let slots = self.slots_on(host).map_or_else(String::new, |slots| format!(" --slots {slots}"));
        let options: String = self.options.iter().map(|word| format!(" {}", word_for_shell(word))).collect();
        let (program, farm, said) = (for_shell(&self.program), for_shell(&self.farm), for_shell(&self.said_by(host)));
        let told = "the same path is needed there as here";
        format!(
            "test -x {program} || {{ echo no program {program}, {told} or --binary >&2; exit 1; }}; \
             test -d {farm} || {{ echo no folder {farm}, {told} >&2; exit 1; }}; \
             setsid nohup {program} worker {farm}{slots}{options} > {said} 2>&1 < /dev/null & \
             sleep {STARTED_SECONDS}; if kill -0 $! 2> /dev/null; then echo flockwork started $!; else wait $! && ! test -s {said} && echo it left at once: there is nothing for it to do >&2; cat {said} >&2; exit 1; fi"
        )
    }

    /// What was typed counts before what a file says.
    fn slots_on(&self, host: &Host) -> Option<u32> {
        self.slots.or(host.slots)
    }

    fn said_by(&self, host: &Host) -> PathBuf {
        let name: String = host
            .login
            .as_deref()
            .unwrap_or("here")
            .chars()
            .map(|c| if c.is_alphanumeric() || "._-@".contains(c) { c } else { '_' })
            .collect();
        self.words.join(format!("{name}.txt"))
    }

    fn words_of_success(&self, host: &Host, pid: u32) -> String {
        let slots = self.slots_on(host).map_or_else(|| "a slot per core".to_owned(), |slots| plural(slots.into(), "slot"));
        let options: String = host.options.iter().map(|word| format!("{} ", word_for_shell(word))).collect();
        let stop = host.login.as_ref().map_or_else(|| format!("kill {pid}"), |login| format!("ssh {options}{login} kill {pid}"));
        let said = self.said_by(host);
        format!("{}: worker {pid} with {slots}; it writes to {}; to stop it: {stop}\n", host.name(), said.display())
    }
}

/// Waits for a command with patience.
fn wait(mut child: Child) -> Result<Output, String> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(_)) => return child.wait_with_output().map_err(|error| error.to_string()),
            Ok(None) if started.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no answer after {} s", PATIENCE.as_secs()));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(error.to_string()),
        }
    }
}
