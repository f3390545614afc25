//! When what is done to whom: drawn from a seed, pure. The same seed draws the same times and choices; whom they meet depends on the job.

use std::time::Duration;

/// How often workers are killed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// So many in all, per second, on average.
    PerSecond(f64),
    /// Each worker with this probability, per second.
    Each(f64),
}

/// Most kills in a second: more would only fill the memory with deeds that meet nobody.
const RATE_MAX: f64 = 100.0;

/// Reads `0.2/s`, `12/min`, `100/h` (kills in all) or `10%` (of the slots, every second).
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    let wrong = || format!("`{text}` is not a rate; write 0.2/s, 12/min or 100/h (kills in all), or 10% (of the slots, every second)");
    let number = |digits: &str| digits.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0).ok_or_else(wrong);
    if let Some(percent) = text.trim().strip_suffix('%') {
        let share = number(percent)? / 100.0;
        return if share <= 1.0 { Ok(Rate::Each(share)) } else { Err(wrong()) };
    }
    let (count, per) = text.split_once('/').ok_or_else(wrong)?;
    let seconds = match per.trim() {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let rate = number(count)? / seconds;
    if rate <= RATE_MAX { Ok(Rate::PerSecond(rate)) } else { Err(format!("`{text}` is too often; at most {RATE_MAX}/s")) }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Mischief {
    /// How often a worker is killed.
    pub kill_workers: Rate,
    /// How long a slot is stopped, one after the other.
    pub stop: Option<Duration>,
    /// How long a coordinator lives on average.
    pub kill_coordinator: Option<Duration>,
    /// Peace after this.
    pub lasts: Option<Duration>,
}

/// One deed. The number chooses among whoever is there, see [`pick`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Kill one slot; its supervisor starts another.
    KillSlot(u64),
    /// Kill a supervisor, and with it all its slots.
    KillSupervisor(u64),
    /// Stop a slot.
    Stop(u64),
    /// Let the stopped one go on.
    Continue,
    /// Kill a coordinator.
    KillCoordinator(u64),
}

/// The chosen of some.
pub fn pick<T>(some: &[T], choice: u64) -> Option<&T> {
    some.get(usize::try_from(choice % (some.len().max(1) as u64)).unwrap_or(0))
}

/// Of so many kills of workers one is of a whole supervisor.
const SUPERVISORS: u64 = 4;

/// The first stop comes within this, also where stops are long.
const FIRST_STOP: Duration = Duration::from_secs(2);

/// What is due, as time goes on.
#[derive(Debug)]
pub struct Schedule {
    mischief: Mischief,
    workers: Clockwork,
    coordinators: Clockwork,
    stops: Chance,
    turn: Turn,
    last: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Turn {
    StopAt(Duration),
    ContinueAt(Duration),
}

impl Schedule {
    /// The schedule of this seed.
    pub fn new(mischief: Mischief, seed: u64) -> Schedule {
        let mut stops = Chance(seed ^ 0x5707);
        let first = mischief.stop.unwrap_or_default().min(FIRST_STOP).mul_f64(stops.share());
        Schedule {
            workers: Clockwork::new(seed ^ 0x3019),
            coordinators: Clockwork::new(seed ^ 0xC00D),
            stops,
            turn: Turn::StopAt(first),
            last: Duration::ZERO,
            mischief,
        }
    }

    /// What has become due by `now`, with so many workers there.
    pub fn due(&mut self, now: Duration, workers: usize) -> Vec<Act> {
        let passed = now.saturating_sub(self.last).as_secs_f64();
        self.last = now;
        let mut acts = Vec::new();
        let peace = self.mischief.lasts.is_some_and(|lasts| now >= lasts);
        if !peace {
            let rate = match self.mischief.kill_workers {
                Rate::PerSecond(rate) => rate,
                Rate::Each(share) => share * workers as f64,
            };
            self.workers.turn(rate * passed, |chance| {
                let choice = chance.next();
                let whole = chance.next().is_multiple_of(SUPERVISORS);
                acts.push(if whole { Act::KillSupervisor(choice) } else { Act::KillSlot(choice) });
            });
            if let Some(lives) = self.mischief.kill_coordinator {
                let due = passed / lives.as_secs_f64().max(0.001);
                self.coordinators.turn(due, |chance| acts.push(Act::KillCoordinator(chance.next())));
            }
        }
        acts.extend(self.stop_or_continue(now, peace));
        acts
    }

    fn stop_or_continue(&mut self, now: Duration, peace: bool) -> Option<Act> {
        let stop = self.mischief.stop?;
        match self.turn {
            Turn::StopAt(at) if now >= at && !peace => {
                self.turn = Turn::ContinueAt(now + stop);
                Some(Act::Stop(self.stops.next()))
            }
            Turn::ContinueAt(at) if now >= at => {
                // As long a pause as a stop, on average.
                self.turn = Turn::StopAt(now + stop.mul_f64(2.0 * self.stops.share()));
                Some(Act::Continue)
            }
            Turn::StopAt(_) | Turn::ContinueAt(_) => None,
        }
    }
}

/// Something that happens now and then, without a memory: as often as the rate says, which may change all the time.
#[derive(Debug)]
struct Clockwork {
    chance: Chance,
    left: f64,
}

impl Clockwork {
    fn new(seed: u64) -> Clockwork {
        let mut chance = Chance(seed);
        let left = chance.wait();
        Clockwork { chance, left }
    }

    /// Goes on by so many expected events.
    fn turn(&mut self, expected: f64, mut happens: impl FnMut(&mut Chance)) {
        self.left -= expected;
        while self.left <= 0.0 {
            happens(&mut self.chance);
            self.left += self.chance.wait();
        }
    }
}

/// A small generator (SplitMix64).
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// How many expected events pass until one happens: 1 on average, never 0.
    fn wait(&mut self) -> f64 {
        (-(1.0 - self.share()).ln()).max(1e-6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn all(mischief: &Mischief, seed: u64, workers: usize, seconds: u32) -> Vec<(Duration, Act)> {
        let mut schedule = Schedule::new(mischief.clone(), seed);
        let times = (0..seconds * 10).map(|tenth| SECOND / 10 * tenth);
        times.flat_map(|now| schedule.due(now, workers).into_iter().map(move |act| (now, act)).collect::<Vec<_>>()).collect()
    }

    fn kills(kill_workers: Rate) -> Mischief {
        Mischief { kill_workers, stop: None, kill_coordinator: None, lasts: None }
    }

    #[test]
    fn rates_read_as_people_write_them() {
        assert_eq!(parse_rate("0.2/s"), Ok(Rate::PerSecond(0.2)));
        assert_eq!(parse_rate("12/min"), Ok(Rate::PerSecond(0.2)));
        assert_eq!(parse_rate("3600 / h"), Ok(Rate::PerSecond(1.0)));
        assert_eq!(parse_rate("10%"), Ok(Rate::Each(0.1)));
        for wrong in ["", "3", "/s", "1/fortnight", "101%", "-1/s", "nan/s"] {
            assert!(parse_rate(wrong).is_err(), "{wrong:?} is no rate");
        }
        for often in ["101/s", "1e300/s", "1e9/h"] {
            assert!(parse_rate(often).is_err_and(|error| error.contains("at most 100/s")), "{often} would be drawn for ever");
        }
    }

    #[test]
    fn the_rate_is_kept_on_average_and_some_kills_are_of_supervisors() {
        let found = all(&kills(Rate::PerSecond(0.5)), 7, 3, 4000);
        assert!((1800..2200).contains(&found.len()), "half a kill a second: {}", found.len());
        let whole = found.iter().filter(|(_, act)| matches!(act, Act::KillSupervisor(_))).count();
        assert!((400..600).contains(&whole), "a quarter of them: {whole}");
        let each = all(&kills(Rate::Each(0.1)), 7, 20, 1000).len();
        assert!((1800..2200).contains(&each), "a tenth of twenty every second: {each}");
        assert!(all(&kills(Rate::PerSecond(0.0)), 7, 3, 100).is_empty());
        assert!(all(&kills(Rate::Each(1.0)), 7, 0, 100).is_empty(), "nobody is there");
    }

    #[test]
    fn one_seed_is_one_schedule() {
        let mischief = Mischief { stop: Some(SECOND * 3), kill_coordinator: Some(SECOND * 5), ..kills(Rate::PerSecond(1.0)) };
        assert_eq!(all(&mischief, 1, 2, 100), all(&mischief, 1, 2, 100));
        assert_ne!(all(&mischief, 1, 2, 100), all(&mischief, 2, 2, 100));
    }

    #[test]
    fn one_is_stopped_at_a_time_and_always_goes_on() {
        let mischief = Mischief { stop: Some(SECOND * 3), lasts: Some(SECOND * 200), ..kills(Rate::PerSecond(0.0)) };
        let found = all(&mischief, 5, 2, 300);
        assert!(found.len() > 40, "{}", found.len());
        for pair in found.chunks(2) {
            let [(from, Act::Stop(_)), (to, Act::Continue)] = pair else { panic!("{pair:?}") };
            assert!(*to - *from >= SECOND * 3 && *to - *from < SECOND * 4, "{pair:?}");
            assert!(*from < SECOND * 200, "then there is peace");
        }
    }

    #[test]
    fn the_first_stop_comes_soon_also_where_stops_are_long() {
        for seed in 0..50 {
            let mischief = Mischief { stop: Some(SECOND * 3600), ..kills(Rate::PerSecond(0.0)) };
            assert_eq!(all(&mischief, seed, 2, 3).len(), 1, "with seed {seed}");
        }
    }

    #[test]
    fn whoever_is_there_is_picked() {
        assert_eq!(pick(&["a", "b"], 5), Some(&"b"));
        assert_eq!(pick::<u8>(&[], 5), None);
    }
}
