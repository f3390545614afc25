//! The coordinator stopped at every single disk call while another takes over, and resumed with its old decisions: it does no harm.
//!
//! A first run counts its calls. Then, for every k, it stops in the middle of its k-th call (a thread of its own hangs there), another leads the job to
//! its end or for a while, and the old one goes on from that very call. One worker is slow, so that backups are among what was decided.
//! The other takes over at once, so that the old decisions are still young enough to be carried out, or after three leases, as by silence.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use flockwork::disk::sim::run::{SimDisk, Weather};
use flockwork::disk::sim::turns::{Chance, Ending, Turn, take_turns};
use flockwork::job::spec::{Bundle, Spec};

use super::bench::{self, Boss, Size};
use super::puppet::{Puppet, Said};
use super::sleeper::{Habits, Sleeper, Vice};

const SIZE: Size = Size { maps: 3, reduces: 2 };
const STEPS_MAX: usize = 3_000;

/// The old coordinator, on a thread of its own.
struct Old {
    puppet: Puppet,
    calls: Arc<AtomicU64>,
}

impl Old {
    fn start(disk: &Arc<SimDisk>, spec: &Spec, stop: Stop) -> Old {
        let (mut puppet, go, tell) = Puppet::new(disk);
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        puppet.hang("old", stop.stays, move |_| Some(counted.fetch_add(1, Relaxed) + 1) == stop.at);
        let (client, spec) = (disk.client("old"), spec.clone());
        std::thread::spawn(move || {
            let mut boss = None;
            while go.recv().is_ok() {
                let boss =
                    boss.get_or_insert_with(|| Boss::start(&client, &spec, SIZE.maps, &bench::name("boss", 1)).that_saw(stop.bundle));
                if tell.send(Said::Turn(boss.step())).is_err() {
                    return;
                }
            }
        });
        Old { puppet, calls }
    }
}

/// When the old one stops, and what happens meanwhile.
#[derive(Debug, Clone, Copy)]
struct Stop {
    at: Option<u64>,
    stays: Duration,
    /// The other takes over after so long.
    taken_over_after: Duration,
    seed: u64,
    /// Map tasks in one file, at most: the old one makes blocks of so many, the other of one task each.
    bundle: u32,
}

/// A third of the attempts take long, the others no time.
fn at_times_slow(chance: &mut Chance) -> Duration {
    if chance.below(3) == 0 { Duration::from_secs(15) } else { Duration::ZERO }
}

/// The other coordinator: begins when the old one has been stopped for so long.
struct New {
    disk: Arc<SimDisk>,
    spec: Spec,
    after: Duration,
    boss: Option<Boss>,
}

impl New {
    fn step(&mut self, stopped: Option<Duration>) -> Turn {
        let boss = match (&mut self.boss, stopped) {
            (Some(boss), _) => boss,
            (None, Some(since)) if self.disk.now() >= since + self.after => {
                let client = self.disk.client("new");
                self.boss.insert(Boss::start(&client, &self.spec, SIZE.maps, &bench::name("boss", 2)).that_saw(1))
            }
            (None, None) if bench::end(&self.disk.state()).is_some() => return Turn::Done,
            (None, _) => return Turn::Wait(Duration::from_millis(500)),
        };
        boss.step()
    }
}

/// What a run came to.
#[derive(Debug, Default)]
struct Seen {
    /// The calls of the old coordinator.
    calls: u64,
    /// The job had ended when the old one went on.
    ended_before: bool,
    /// Files in `expired/`.
    expired: usize,
}

/// Runs the job to its end and judges it, when the old one goes on and when all have ended.
fn run(stop: Stop, weather: Weather) -> Seen {
    let (disk, mut spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    spec.ask.bundle = Bundle::AtMost(stop.bundle);
    disk.weather(stop.seed, weather);
    let old = RefCell::new(Old::start(&disk, &spec, stop));
    let sleeper = |number, takes| {
        let habits = Habits { naps: 0, takes, vice: Vice::None, ..Habits::STEADY };
        Sleeper::start(&disk, &spec, number, stop.seed, habits)
    };
    let (mut quick, mut slow) = (sleeper(1, |_| Duration::ZERO), sleeper(2, at_times_slow));
    let mut new = New { disk: Arc::clone(&disk), spec: spec.clone(), after: stop.taken_over_after, boss: None };
    let (about, mut ended_before) = (format!("{stop:?}"), false);
    let mut actors: [Box<dyn FnMut() -> Turn + '_>; 4] = [
        Box::new(|| quick.step()),
        Box::new(|| slow.step()),
        Box::new(|| {
            let before = old.borrow().puppet.stopped.map(|_| disk.state());
            let turn = old.borrow_mut().puppet.step();
            let before = before.filter(|before| old.borrow().puppet.stopped.is_none() && bench::end(before).is_some());
            if let Some(before) = before {
                ended_before = true;
                bench::assert_ended(&before, SIZE, &format!("{about}, before it goes on"));
            }
            turn
        }),
        Box::new(|| new.step(old.borrow().puppet.stopped)),
    ];
    let ending = take_turns(&disk, stop.seed, STEPS_MAX, &mut actors);
    drop(actors);
    disk.heal();
    let state = disk.state();
    assert_eq!(ending, Ending::AllEnded, "{about}: it must end\n{}", bench::tree(&state));
    bench::assert_finished(&state, SIZE, &about);
    Seen { calls: old.borrow().calls.load(Relaxed), ended_before, expired: state.children("expired").len() }
}

const AT_ONCE: Duration = Duration::ZERO;
const BY_SILENCE: Duration = Duration::from_secs(30);
const FOR_EVER: Duration = Duration::from_secs(300);
const LOSSES: Weather = Weather { lost_replies_per_mille: 150, stale_per_mille: 50, ..Weather::CALM };

/// Stops it at every call of every seed's run.
fn at_every_call(seeds: Range<u64>, taken_over_after: Duration, stays: Duration, weather: Weather) -> (u64, u64) {
    in_blocks_of(1, seeds, taken_over_after, stays, weather)
}

/// The same where so many map tasks share a file.
fn in_blocks_of(bundle: u32, seeds: Range<u64>, taken_over_after: Duration, stays: Duration, weather: Weather) -> (u64, u64) {
    let (mut runs, mut ended_before, mut expired) = (0, 0, 0);
    for seed in seeds {
        let never = Stop { at: None, stays, taken_over_after, seed, bundle };
        let calls = run(never, weather).calls;
        assert!(calls > 100, "{calls} calls");
        for k in 1..=calls {
            let seen = run(Stop { at: Some(k), ..never }, weather);
            runs += 1;
            ended_before += u64::from(seen.ended_before);
            expired += seen.expired;
        }
    }
    assert!(expired > 0, "some attempt was dropped, or taken back");
    println!("{runs} stops, in {ended_before} of them the job had ended before the old one went on");
    (runs, ended_before)
}

#[test]
fn a_coordinator_stopped_at_any_disk_call_and_resumed_after_the_end_does_no_harm() {
    let (runs, ended) = at_every_call(0..6, AT_ONCE, FOR_EVER, Weather::default());
    assert!(ended > runs / 2, "{ended} of {runs}");
}

#[test]
fn resumed_while_the_other_leads_it_does_no_harm_with_what_it_had_decided() {
    for stays in [1, 3, 6].map(Duration::from_secs) {
        at_every_call(0..2, AT_ONCE, stays, Weather::default());
    }
}

#[test]
fn scenario_06_a_coordinator_relieved_by_silence_and_resumed_does_no_harm() {
    at_every_call(0..2, BY_SILENCE, BY_SILENCE + Duration::from_secs(2), Weather::default());
    at_every_call(2..4, BY_SILENCE, FOR_EVER, Weather::default());
}

#[test]
fn one_that_makes_blocks_resumed_behind_one_that_makes_none_does_no_harm() {
    for stays in [Duration::from_secs(3), FOR_EVER] {
        in_blocks_of(2, 0..2, AT_ONCE, stays, Weather::default());
        in_blocks_of(2, 2..3, AT_ONCE, stays, LOSSES);
    }
    in_blocks_of(2, 3..4, BY_SILENCE, BY_SILENCE + Duration::from_secs(2), Weather::default());
}

#[test]
fn nor_does_it_where_replies_are_lost_and_listings_stale() {
    at_every_call(0..2, AT_ONCE, Duration::from_secs(3), LOSSES);
    at_every_call(2..4, AT_ONCE, FOR_EVER, LOSSES);
}
