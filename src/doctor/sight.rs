//! What one machine sees of another's doings: the maker makes names and beats, the looker looks, each way in turn. About ten seconds.
//!
//! Clocks are not compared. The maker measures from its own doing to the looker's answer, and takes off half of a round in which both look in the
//! quickest way. Heartbeats are judged by the looker alone: by the longest time for which it saw a stamp unchanged, while it is beaten all the time.

use std::mem::MaybeUninit;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::inotify as kernel;

use super::facts::Sight;
use super::talk::{LOOK, Talk};
use crate::disk::{Disk, Flush, create, fresh};
use crate::error::{Error, Result};

/// Where a lane's names and beats lie.
#[derive(Debug, Clone, Copy)]
pub struct Lane {
    /// The directory of new names.
    pub news: &'static str,
    /// The directory of files that are touched.
    pub beats: &'static str,
}

/// How the looker looks for a new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A touch of the directory, then a fresh listing.
    Sure,
    /// A fresh listing.
    Plain,
    /// A plain stat of the name, which was asked for before it was there.
    Stat,
    /// An event.
    Notify,
}

impl Way {
    const ALL: [Way; 4] = [Way::Sure, Way::Plain, Way::Stat, Way::Notify];

    fn word(self) -> &'static str {
        match self {
            Way::Sure => "sure",
            Way::Plain => "plain",
            Way::Stat => "stat",
            Way::Notify => "notify",
        }
    }

    fn rounds(self) -> u32 {
        match self {
            Way::Sure | Way::Plain => 5,
            Way::Stat | Way::Notify => 1,
        }
    }

    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Way::Sure | Way::Plain => 5,
            Way::Stat => 3,
            Way::Notify => 1,
        })
    }
}

/// Times that several names are made at once.
const BURSTS: u32 = 12;
/// How many.
const BURST: u32 = 5;
/// Between two beats.
const BEAT: Duration = Duration::from_millis(200);
/// How long is beaten: longer than the least time for which an NFS client believes a stamp, 3 s.
const BEATING: Duration = Duration::from_millis(4800);
/// One file for each way of looking at it.
const BEATEN: [&str; 3] = ["forced", "plain", "open"];

/// The maker's part: what the looker sees of it.
pub fn make(talk: &Talk<'_>, lane: Lane) -> Result<Sight> {
    let mut sight = Sight::default();
    let mut back = 0.0;
    for way in Way::ALL {
        let mut lags = Vec::new();
        for round in 0..way.rounds() {
            lags.push(made_round(talk, lane, way, round)?);
        }
        let worst = lags.iter().copied().collect::<Option<Vec<f64>>>().and_then(|lags| lags.into_iter().max_by(f64::total_cmp));
        match way {
            Way::Sure => {
                // Half a round there, half a round back; the quickest, because anything may delay a round.
                back = lags.iter().flatten().copied().min_by(f64::total_cmp).unwrap_or_default() / 2.0;
                sight.sure_ms = worst.map(|lag| lag - back);
            }
            Way::Plain => sight.plain_ms = worst.map(|lag| (lag - back).max(0.0)),
            Way::Stat => sight.stat_ms = worst.map(|lag| (lag - back).max(0.0)),
            Way::Notify => sight.notified = worst.is_some(),
        }
    }
    (sight.wrong_plain, sight.wrong_sure) = make_bursts(talk, lane)?;
    sight.bursts = BURSTS;
    [sight.beat_forced_ms, sight.beat_plain_ms, sight.beat_open_ms] = beat(talk, lane)?;
    Ok(sight)
}

/// The looker's part.
pub fn look(talk: &Talk<'_>, lane: Lane) -> Result<()> {
    for way in Way::ALL {
        for round in 0..way.rounds() {
            look_round(talk, lane, way, round)?;
        }
    }
    look_at_bursts(talk, lane)?;
    watch_beats(talk, lane)
}

fn made_round(talk: &Talk<'_>, lane: Lane, way: Way, round: u32) -> Result<Option<f64>> {
    let word = way.word();
    let () = talk.hear(&format!("{word}-{round}-ready"))?;
    std::thread::sleep(Duration::from_millis(30));
    make_name(talk, lane, &format!("{word}-{round}"))?;
    let begun = Instant::now();
    let seen: bool = talk.hear(&format!("{word}-{round}-seen"))?;
    Ok(seen.then(|| begun.elapsed().as_secs_f64() * 1e3))
}

fn make_name(talk: &Talk<'_>, lane: Lane, name: &str) -> Result<()> {
    let path = format!("{}/{name}", lane.news);
    create::write_whole(talk.disk, &path, b"", Flush::OnNetwork).map_err(|error| on(talk, "cannot write", &path, error))
}

fn look_round(talk: &Talk<'_>, lane: Lane, way: Way, round: u32) -> Result<()> {
    let word = way.word();
    let name = format!("{word}-{round}");
    let dir = talk.disk.root().join(lane.news);
    // Now it is known not to be there, and this machine may go on knowing that.
    let _ = dir.join(&name).symlink_metadata();
    let events = (way == Way::Notify).then(|| watch(&dir)).flatten();
    talk.say(&format!("{word}-{round}-ready"), &())?;
    let begun = Instant::now();
    let mut seen = false;
    while !seen && begun.elapsed() < way.limit() {
        seen = match way {
            Way::Sure => has(fresh::list_surely(talk.disk, lane.news), &name),
            Way::Plain => has(talk.disk.list(lane.news), &name),
            Way::Stat => dir.join(&name).symlink_metadata().is_ok(),
            Way::Notify => events.as_ref().is_some_and(told),
        };
        std::thread::sleep(LOOK);
    }
    talk.say(&format!("{word}-{round}-seen"), &seen)
}

fn has(listed: std::io::Result<Vec<crate::disk::Entry>>, name: &str) -> bool {
    listed.is_ok_and(|entries| entries.iter().any(|entry| entry.name == name))
}

/// The operating system's events of names that appear in `dir`.
fn watch(dir: &Path) -> Option<rustix::fd::OwnedFd> {
    let events = kernel::init(kernel::CreateFlags::NONBLOCK | kernel::CreateFlags::CLOEXEC).ok()?;
    kernel::add_watch(&events, dir, kernel::WatchFlags::CREATE | kernel::WatchFlags::MOVED_TO).ok()?;
    Some(events)
}

/// True if there was an event.
fn told(events: &rustix::fd::OwnedFd) -> bool {
    let mut room = [MaybeUninit::uninit(); 4096];
    kernel::Reader::new(events, &mut room).next().is_ok()
}

fn make_bursts(talk: &Talk<'_>, lane: Lane) -> Result<(u32, u32)> {
    // All that the rounds before made is there.
    let mut names: usize = Way::ALL.iter().map(|way| way.rounds() as usize).sum();
    for burst in 0..BURSTS {
        let () = talk.hear(&format!("burst-{burst}-ready"))?;
        for n in 0..BURST {
            make_name(talk, lane, &format!("burst-{burst}-{n}"))?;
            names += 1;
        }
        talk.say(&format!("burst-{burst}-made"), &names)?;
    }
    talk.hear("bursts-seen")
}

fn look_at_bursts(talk: &Talk<'_>, lane: Lane) -> Result<()> {
    let count = |listed: std::io::Result<Vec<crate::disk::Entry>>| {
        listed.map(|entries| entries.len()).map_err(|error| on(talk, "cannot list", lane.news, error))
    };
    let (mut wrong_plain, mut wrong_sure) = (0_u32, 0_u32);
    for burst in 0..BURSTS {
        talk.say(&format!("burst-{burst}-ready"), &())?;
        let begun = Instant::now();
        let names: usize = loop {
            count(talk.disk.list(lane.news))?;
            // A listing every now and then between those that are measured.
            if let Some(names) = talk.try_hear(&format!("burst-{burst}-made"))? {
                break names;
            }
            if begun.elapsed() > Duration::from_secs(10) {
                break talk.hear(&format!("burst-{burst}-made"))?;
            }
        };
        count(talk.disk.list(lane.news))?;
        std::thread::sleep(Duration::from_millis(30));
        wrong_plain += u32::from(count(talk.disk.list(lane.news))? != names);
        wrong_sure += u32::from(count(fresh::list_surely(talk.disk, lane.news))? != names);
    }
    talk.say("bursts-seen", &(wrong_plain, wrong_sure))
}

fn beat(talk: &Talk<'_>, lane: Lane) -> Result<[f64; 3]> {
    let path = |name: &str| format!("{}/{name}", lane.beats);
    for name in BEATEN {
        create::write_whole(talk.disk, &path(name), b"", Flush::OnNetwork).map_err(|error| on(talk, "cannot write", lane.beats, error))?;
    }
    talk.say("beat-made", &())?;
    let () = talk.hear("beat-ready")?;
    let begun = Instant::now();
    // A little longer than is looked, so that the last beat is no silence.
    while begun.elapsed() < BEATING + BEAT * 3 {
        for name in BEATEN {
            talk.disk.touch(&path(name)).map_err(|error| on(talk, "cannot touch", lane.beats, error))?;
        }
        std::thread::sleep(BEAT);
    }
    talk.hear("beat-seen")
}

fn watch_beats(talk: &Talk<'_>, lane: Lane) -> Result<()> {
    let () = talk.hear("beat-made")?;
    let path = |name: &str| format!("{}/{name}", lane.beats);
    let full = |name: &str| talk.disk.root().join(path(name));
    let fail = |error| on(talk, "cannot look at", lane.beats, error);
    let stamp = |name: &str| match name {
        "forced" => Ok(talk.disk.look(&path(name))?.stamp),
        "plain" => full(name).symlink_metadata().map(|meta| nanoseconds(&meta)),
        _ => std::fs::File::open(full(name)).and_then(|file| file.metadata()).map(|meta| nanoseconds(&meta)),
    };
    let mut silences = BEATEN.map(|_| Silence::default());
    talk.say("beat-ready", &())?;
    let begun = Instant::now();
    while begun.elapsed() < BEATING {
        for (name, silence) in BEATEN.iter().zip(&mut silences) {
            let stamp = stamp(name).map_err(fail)?;
            silence.note(stamp, begun.elapsed());
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    let late = silences.map(|silence| silence.longest.saturating_sub(BEAT).as_secs_f64() * 1e3);
    talk.say("beat-seen", &late)
}

/// The longest time for which a stamp was seen unchanged.
#[derive(Debug, Default)]
struct Silence {
    seen: Option<(i128, Duration)>,
    longest: Duration,
}

impl Silence {
    fn note(&mut self, stamp: i128, now: Duration) {
        match self.seen {
            Some((last, since)) if last == stamp => self.longest = self.longest.max(now.saturating_sub(since)),
            Some((_, since)) => {
                self.longest = self.longest.max(now.saturating_sub(since));
                self.seen = Some((stamp, now));
            }
            None => self.seen = Some((stamp, now)),
        }
    }
}

fn nanoseconds(meta: &std::fs::Metadata) -> i128 {
    use std::os::unix::fs::MetadataExt;
    i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec())
}

fn on(talk: &Talk<'_>, attempted: &'static str, path: &str, error: std::io::Error) -> Error {
    Error::io(attempted, talk.disk.root().join(path), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_lasts_from_the_first_sight_of_a_stamp_to_the_next_stamp() {
        let ms = Duration::from_millis;
        let mut silence = Silence::default();
        for (stamp, now) in [(1, 0), (1, 200), (2, 230), (2, 400), (3, 3400), (3, 3500)] {
            silence.note(stamp, ms(now));
        }
        assert_eq!(silence.longest, ms(3170), "from 230 to 3400");
        silence.note(3, ms(9000));
        assert_eq!(silence.longest, ms(5600), "a silence that lasts counts");
    }
}
