//! What two machines can prove together: who the other is, races, a lock, and what each sees of the other.
//!
//! The first doctor makes the folder and writes the findings; the peer answers. Each waits for the other while that shows a sign of life;
//! every wait has an end, after which the findings say that the other was lost.

use std::path::Path;
use std::time::{Duration, Instant};

use super::alone::task_name;
use super::facts::{Locks, Mount, Pair, Peer, Race, Sight};
use super::folder::{self, ALIVE_PEER, Beating};
use super::sight::{self, Lane};
use super::talk::{Side, Talk};
use crate::disk::real::RealDisk;
use crate::disk::{Created, Disk, Flush, Lock, Moved, create, rename};
use crate::error::{Error, ErrorKind, Result};
use crate::here;
use crate::units::for_shell;

/// How long the other may show no sign of life while one waits for its next word.
const PATIENCE: Duration = Duration::from_secs(20);
/// Names raced for by rename.
const RENAMES: usize = 200;
/// Names raced for by link.
const LINKS: usize = 60;

const OUT: Lane = Lane { news: "news-out", beats: "beat-out" };
const BACK: Lane = Lane { news: "news-back", beats: "beat-back" };

/// Who this process is, to the other.
pub fn introduction(mount: &Mount, offset_ms: f64) -> Peer {
    Peer { host: here::host(), boot: here::boot(), version: env!("CARGO_PKG_VERSION").to_owned(), mount: mount.clone(), offset_ms }
}

/// The peer that has come to this folder, if one does within `limit`.
pub fn await_peer(disk: &RealDisk, limit: Duration) -> Result<Option<Peer>> {
    let talk = Talk::new(disk, "talk-main", Side::First, PATIENCE);
    let begun = Instant::now();
    loop {
        if let Some(peer) = talk.try_hear("hello")? {
            return Ok(Some(peer));
        }
        if begun.elapsed() >= limit {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The first doctor's part, once a peer has come.
pub fn lead(disk: &RealDisk, peer: Peer) -> Result<Pair> {
    let talk = Talk::new(disk, "talk-main", Side::First, PATIENCE);
    talk.say("welcome", &())?;
    let (there, here) = lanes(disk, Side::First)?;
    let fail = |error| Error::io("cannot write in", disk.root(), error);
    for n in 0..RENAMES {
        create::write_whole(disk, &format!("pair/{}", task_name(n)), b"", Flush::OnNetwork).map_err(fail)?;
    }
    let rename = race(&talk, "rename", RENAMES, |n| rename_one(disk, n, Side::First))?;
    let draft = disk.draft("link", b"first", Flush::OnNetwork).map_err(fail)?;
    let link = race(&talk, "link", LINKS, |n| link_one(disk, &draft, n))?;
    let locks = hold_lock(&talk, disk)?;
    talk.say("goodbye", &())?;
    let () = talk.hear("goodbye")?;
    let same_machine = peer.boot.is_some() && peer.boot == here::boot() && peer.host == here::host();
    Ok(Pair { peer, same_machine, rename, link, locks, here: here.unwrap_or_default(), there: there.unwrap_or_default() })
}

/// The peer's part.
pub fn answer(disk: &RealDisk) -> Result<()> {
    let talk = Talk::new(disk, "talk-main", Side::Peer, PATIENCE);
    let fail = |error| Error::io("cannot write in", disk.root(), error);
    let _beating = Beating::begin(disk, ALIVE_PEER).map_err(fail)?;
    let _ = lanes(disk, Side::Peer)?;
    let mine = race(&talk, "rename", RENAMES, |n| rename_one(disk, n, Side::Peer))?;
    drop(mine);
    let draft = disk.draft("link", b"peer", Flush::OnNetwork).map_err(fail)?;
    let _ = race(&talk, "link", LINKS, |n| link_one(disk, &draft, n))?;
    try_lock(&talk, disk)?;
    let () = talk.hear("goodbye")?;
    talk.say("goodbye", &())
}

/// Both directions at once. What the other sees of this side; and, for the first, what this side sees of the other, as the other measured it.
fn lanes(disk: &RealDisk, side: Side) -> Result<(Option<Sight>, Option<Sight>)> {
    let (makes, looks) = match side {
        Side::First => (("talk-out", OUT), ("talk-back", BACK)),
        Side::Peer => (("talk-back", BACK), ("talk-out", OUT)),
    };
    let talk = |dir| Talk::new(disk, dir, side, PATIENCE);
    let (made, looked) = std::thread::scope(|scope| {
        let looker = scope.spawn(move || sight::look(&talk(looks.0), looks.1));
        let made = sight::make(&talk(makes.0), makes.1);
        (made, looker.join())
    });
    looked.unwrap_or_else(|_| Err(Error::new(ErrorKind::Failed, "the looking thread panicked")))?;
    let made = made?;
    let talk = talk("talk-main");
    match side {
        Side::Peer => {
            talk.say("sight", &made)?;
            Ok((Some(made), None))
        }
        Side::First => Ok((Some(made), Some(talk.hear("sight")?))),
    }
}

/// Both sides try every name, each in an order of its own.
fn race(talk: &Talk<'_>, word: &str, names: usize, try_one: impl Fn(usize) -> std::io::Result<bool>) -> Result<Race> {
    let mut order: Vec<usize> = (0..names).collect();
    order.sort_by_cached_key(|_| here::chance());
    talk.say(&format!("{word}-ready"), &())?;
    let () = talk.hear(&format!("{word}-ready"))?;
    let won: Result<Vec<usize>, std::io::Error> =
        order.into_iter().filter_map(|n| try_one(n).map(|won| won.then_some(n)).transpose()).collect();
    let won = won.map_err(|error| error.to_string());
    talk.say(&format!("{word}-won"), &won)?;
    let others: Result<Vec<usize>, String> = talk.hear(&format!("{word}-won"))?;
    Ok(match (won, others) {
        (Ok(ours), Ok(theirs)) => Race::of(names, ours.into_iter().chain(theirs)),
        (Err(error), _) | (_, Err(error)) => Race::refused(error),
    })
}

fn rename_one(disk: &RealDisk, n: usize, side: Side) -> std::io::Result<bool> {
    let name = task_name(n);
    let to = format!("won/{name}@{}.{}.pair", side.letter(), std::process::id());
    Ok(rename::rename(disk, &format!("pair/{name}"), &to)? == Moved::Here)
}

fn link_one(disk: &RealDisk, draft: &str, n: usize) -> std::io::Result<bool> {
    Ok(create::link_once(disk, draft, &format!("link/pair-{n}"))? == Created::Now)
}

/// Holds a lock while the other tries, then lets it go.
fn hold_lock(talk: &Talk<'_>, disk: &RealDisk) -> Result<Locks> {
    let fail = |error| Error::io("cannot open a file in", disk.root(), error);
    create::write_whole(disk, "pair/lock", b"", Flush::OnNetwork).map_err(fail)?;
    let hold = disk.open("pair/lock").map_err(fail)?;
    let held = hold.try_lock();
    talk.say("lock-held", &())?;
    let tried: Tried = talk.hear("lock-tried")?;
    drop(hold);
    talk.say("lock-free", &())?;
    let granted: Tried = talk.hear("lock-granted")?;
    Ok(match (held, tried, granted) {
        (Lock::Taken, Tried::Refused, Tried::Taken) => Locks::Exclude,
        (Lock::Taken, Tried::Refused, _) => Locks::Stuck,
        (Lock::Taken, Tried::Taken, _) => Locks::DoNotExclude,
        _ => Locks::Missing,
    })
}

fn try_lock(talk: &Talk<'_>, disk: &RealDisk) -> Result<()> {
    let () = talk.hear("lock-held")?;
    let fail = |error| Error::io("cannot open a file in", disk.root(), error);
    disk.refresh("pair").map_err(fail)?;
    let hold = disk.open("pair/lock").map_err(fail)?;
    let tried = Tried::from(hold.try_lock());
    talk.say("lock-tried", &tried)?;
    let () = talk.hear("lock-free")?;
    let begun = Instant::now();
    let mut granted = hold.try_lock();
    while granted == Lock::Refused && begun.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(20));
        granted = hold.try_lock();
    }
    talk.say("lock-granted", &Tried::from(granted))
}

/// [`Lock`], to be told to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Tried {
    Taken,
    Refused,
    Broken,
}

impl From<Lock> for Tried {
    fn from(lock: Lock) -> Tried {
        match lock {
            Lock::Taken => Tried::Taken,
            Lock::Refused => Tried::Refused,
            Lock::Broken => Tried::Broken,
        }
    }
}

/// Finds a doctor at work in `dir` and introduces itself; gives its folder, once it is welcome there. A folder counts as alive once its
/// stamp was seen to change.
pub fn find(dir: &Path, me: &Peer, limit: Duration) -> Result<RealDisk> {
    search(dir, me, limit, PATIENCE)
}

/// A doctor's folder that was seen.
struct Seen {
    name: String,
    stamp: i128,
    hello: Hello,
}

/// Who has said hello in a doctor's folder. The first talks with one: there is one `hello`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hello {
    Nobody,
    Me,
    Another,
}

fn search(dir: &Path, me: &Peer, limit: Duration, patience: Duration) -> Result<RealDisk> {
    let begun = Instant::now();
    let mut seen: Vec<Seen> = Vec::new();
    loop {
        for name in folder::listed(dir).map_err(|error| Error::io("cannot list", dir, error))? {
            let Some(stamp) = folder::stamp(dir, &name) else { continue };
            match seen.iter_mut().find(|known| known.name == name) {
                None => seen.push(Seen { name, stamp, hello: Hello::Nobody }),
                Some(known) if known.stamp != stamp => {
                    let disk = RealDisk::at(dir.join(&name));
                    if known.hello != Hello::Me {
                        known.hello = greet(&disk, me)?;
                    }
                    if known.hello == Hello::Me && is_welcomed(&disk, patience)? {
                        return Ok(disk);
                    }
                    // Only what lives from now on counts: it may have fallen silent meanwhile, and may go on.
                    known.stamp = folder::stamp(dir, &name).unwrap_or(stamp);
                }
                Some(_) => {}
            }
        }
        if begun.elapsed() >= limit {
            return Err(nobody_welcomes(dir, &seen, limit));
        }
        std::thread::sleep(Duration::from_millis(150));
    }
}

/// Says hello, unless somebody has.
fn greet(disk: &RealDisk, me: &Peer) -> Result<Hello> {
    let bytes = serde_json::to_vec(me).expect("string keys only");
    // By link, for a second peer must not replace the first; a mount without links has a first doctor that says so and waits for nobody.
    match create::create_once(disk, "talk-main/hello.peer", &bytes) {
        Ok(Created::Now) => Ok(Hello::Me),
        Ok(Created::Before) => Ok(Hello::Another),
        Err(_) if disk.refresh(".").is_err() => Ok(Hello::Nobody),
        Err(error) => Err(Error::io("cannot answer in", disk.root(), error)),
    }
}

/// Waits until the first has heard the hello; false where it ended before, or has fallen silent.
fn is_welcomed(disk: &RealDisk, patience: Duration) -> Result<bool> {
    // Looks rarely, for the first is still measuring: that may take it minutes.
    match Talk::new(disk, "talk-main", Side::Peer, patience).wait_for::<()>("welcome", Duration::from_millis(100)) {
        Ok(heard) => Ok(heard.is_some()),
        // It had ended before it heard.
        Err(_) if disk.refresh(".").is_err() => Ok(false),
        Err(error) => Err(error),
    }
}

fn nobody_welcomes(dir: &Path, seen: &[Seen], limit: Duration) -> Error {
    let there = |hello: Hello| seen.iter().find(|known| known.hello == hello && folder::stamp(dir, &known.name).is_some());
    if let Some(silent) = there(Hello::Me) {
        let error = Error::new(ErrorKind::Failed, "waited in vain for an answer in").on(dir.join(&silent.name));
        return error.because("no more came from its doctor").advise("it was ended, or its machine hangs; run both again");
    }
    if let Some(taken) = there(Hello::Another) {
        let error = Error::new(ErrorKind::Failed, "cannot answer the doctor in").on(dir.join(&taken.name));
        return error.because("another one has answered it").advise("wait for the end of those two, or end them; then run both again");
    }
    let error = Error::new(ErrorKind::Failed, format!("waited {} s for a doctor on another machine in", limit.as_secs())).on(dir);
    let other = format!("start `flockwork doctor {}` there while this waits", for_shell(dir));
    error.advise(format!("{other}; if one runs, the two machines do not see the same folder (compare `ls -a`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_whose_doctor_is_dead_is_not_answered() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let left = dir.path().join(format!("{}node7.1.x", folder::PREFIX));
        std::fs::create_dir(&left).expect("made");
        std::fs::write(left.join(folder::ALIVE), b"").expect("written");
        let me = introduction(&Mount::default(), 0.0);
        let error = find(dir.path(), &me, Duration::from_millis(700)).expect_err("nobody is there");
        assert!(error.to_string().contains("start `flockwork doctor"), "{error}");
        assert_eq!(std::fs::read_dir(&left).expect("listed").count(), 1, "nothing is written there");
    }

    /// A first doctor on its own machine: its folder and, for as long as the second is held, its sign of life.
    fn first(dir: &Path) -> (RealDisk, Beating) {
        let path = dir.join(format!("{}node7.1.x", folder::PREFIX));
        std::fs::create_dir_all(path.join("talk-main")).expect("made");
        let disk = RealDisk::at(path);
        let beating = Beating::begin(&disk, folder::ALIVE).expect("it beats");
        (disk, beating)
    }

    fn hears_hello(disk: &RealDisk) {
        await_peer(disk, Duration::from_secs(60)).expect("listed").expect("it was greeted");
    }

    fn welcomes(disk: &RealDisk) {
        Talk::new(disk, "talk-main", Side::First, PATIENCE).say("welcome", &()).expect("said");
    }

    #[test]
    fn a_first_doctor_that_needs_long_alone_is_waited_for_beyond_limit_and_patience() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (disk, _beating) = first(dir.path());
        let patience = Duration::from_secs(2);
        let found = std::thread::scope(|scope| {
            scope.spawn(|| {
                hears_hello(&disk);
                std::thread::sleep(patience * 3);
                welcomes(&disk);
            });
            search(dir.path(), &introduction(&Mount::default(), 0.0), Duration::from_secs(5), patience).expect("welcome in the end")
        });
        assert_eq!(found.root(), disk.root());
    }

    #[test]
    fn a_first_doctor_that_fell_silent_after_the_hello_is_welcome_when_it_goes_on() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (disk, beating) = first(dir.path());
        let patience = Duration::from_secs(1);
        let found = std::thread::scope(|scope| {
            scope.spawn(|| {
                hears_hello(&disk);
                drop(beating);
                std::thread::sleep(patience * 3);
                let _beating = Beating::begin(&disk, folder::ALIVE).expect("it goes on");
                std::thread::sleep(patience);
                welcomes(&disk);
            });
            search(dir.path(), &introduction(&Mount::default(), 0.0), Duration::from_secs(20), patience).expect("welcome in the end")
        });
        assert_eq!(found.root(), disk.root());
    }

    #[test]
    fn a_first_doctor_that_is_killed_after_the_hello_is_told_from_one_that_was_never_there() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (disk, beating) = first(dir.path());
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                hears_hello(&disk);
                drop(beating);
            });
            let me = introduction(&Mount::default(), 0.0);
            search(dir.path(), &me, Duration::from_secs(5), Duration::from_secs(1)).expect_err("it is dead").to_string()
        });
        assert!(error.contains("node7.1.x: no more came from its doctor; it was ended"), "{error}");
    }

    #[test]
    fn a_doctor_that_another_answers_is_left_to_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (disk, _beating) = first(dir.path());
        create::write_whole(&disk, "talk-main/hello.peer", b"{}", Flush::OnNetwork).expect("written");
        let me = introduction(&Mount::default(), 0.0);
        let error = search(dir.path(), &me, Duration::from_secs(4), PATIENCE).expect_err("it has its peer").to_string();
        assert!(error.contains("node7.1.x: another one has answered it; wait for the end"), "{error}");
        assert_eq!(disk.read("talk-main/hello.peer", 9).expect("read"), b"{}", "it is not replaced");
    }
}
