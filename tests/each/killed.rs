//! kill -9 all through a job of commands: of workers, of a single slot, of the coordinator, of all at once. What each task wrote is there exactly once.
//!
//! A few hundred tasks in the gate. A hundred thousand, on a machine that has some minutes for it:
//! `FLOCKWORK_FARM_TASKS=100000 cargo test --release --test tests each::killed -- --nocapture`

use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;

use crate::common::{Farm, Program};

/// Who is killed, in turn.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Slot,
    Worker,
    Coordinator,
    All,
}

const VICTIMS: [Victim; 4] = [Victim::Slot, Victim::Worker, Victim::Coordinator, Victim::All];

/// The programs at work, started anew when they were killed.
struct Crew<'a> {
    farm: &'a Farm,
    coordinator: Rc<Program>,
    worker: Rc<Program>,
}

impl Crew<'_> {
    fn start(farm: &Farm) -> Crew<'_> {
        Crew { farm, coordinator: farm.start(&["coordinator", "job"]), worker: farm.start(&["worker", "job", "--slots", "2"]) }
    }

    fn lose(&mut self, victim: Victim) {
        if let Victim::Slot = victim
            && let Some(worker) = self.farm.names("job/workers").first()
        {
            self.farm.signal_slot(worker, Signal::KILL);
        }
        if let Victim::Worker | Victim::All = victim {
            self.worker.kill_alone();
        }
        if let Victim::Coordinator | Victim::All = victim {
            self.coordinator.kill_alone();
            self.coordinator = self.farm.start(&["coordinator", "job"]);
        }
        if let Victim::Worker | Victim::All = victim {
            self.worker = self.farm.start(&["worker", "job", "--slots", "2"]);
        }
    }
}

/// Waits until so many tasks are done, or the job has ended.
fn wait_for_done(farm: &Farm, n: usize) {
    // Counting costs as much as there are tasks.
    let pause = Duration::from_micros(n as u64 * 2);
    farm.wait_for(&format!("{n} tasks are done"), || {
        std::thread::sleep(pause);
        (farm.names("job/done").len() >= n || farm.has("job/phase/end")).then_some(())
    });
}

#[test]
fn whoever_is_killed_all_through_a_job_each_tasks_output_is_there_once() {
    let tasks: usize = std::env::var("FLOCKWORK_FARM_TASKS").map_or(400, |text| text.parse().expect("FLOCKWORK_FARM_TASKS is a number"));
    let farm = Farm::new();
    let items: String = (1..=tasks).map(|n| format!("{n}\n")).collect();
    farm.write("items", &items);
    // So patient that a task that is often killed by chance fails nobody's job.
    let options = ["--lease", "1s", "--max-lost", "1000", "-a", "items"];
    farm.ok(
        &[&["each", "--submit", "--job", "job"], &options[..], &["--", "sh", "-c", "echo \"$1\"; echo \"$1\" >&2", "sh", "{}"]].concat()
    );
    let mut crew = Crew::start(&farm);
    let deaths = (tasks / 50).clamp(8, 60);
    for (death, victim) in (1..deaths).zip(VICTIMS.into_iter().cycle()) {
        wait_for_done(&farm, tasks * death / deaths);
        crew.lose(victim);
    }
    wait_for_done(&farm, tasks);
    crew.coordinator.ends_with(0);
    crew.worker.ends_with(0);
    farm.is_settled("job");
    let said = farm.ok(&["cat", "job"]);
    farm.same_bytes(&said.stdout(), items.as_bytes(), "stdout of all tasks, in order");
    farm.same_bytes(said.stderr().as_bytes(), items.as_bytes(), "stderr of all tasks, in order");
    assert_eq!(farm.names("job/done").len(), tasks, "no task counts twice");
    farm.ok(&["verify", "job"]);
    let lost = farm.names("job/expired").len();
    assert!(lost > 0, "{deaths} deaths, and none met a task");
    println!("{tasks} tasks, {deaths} deaths, {lost} attempts lost on the way");
}
