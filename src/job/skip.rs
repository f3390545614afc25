//! Bad records (`--skip-bad-records`): which records of a task are skipped, and where an attempt is, so that this is known also when its process dies.
//!
//! The rule: a record at which [`ENOUGH`] attempts failed is bad. An attempt that reports an error names its record; one that was lost, or that got stuck, is
//! taken to have failed where its note says that it was. The note is one line of the claim's own file, written over in place before each call of the app, once an earlier attempt has
//! ended without naming its record (the write costs about a microsecond): the file moves to `expired/` with it, and who writes it dies without a word. It is wiped when the app is done, and a worker that
//! outlives its claim gives it back, which outvotes the note: so only deaths in mid-record count.
//!
//! Limit: a death from outside counts as well. A process that dies of SIGKILL may have been killed by somebody, or by the kernel because the record took all memory, and
//! who might tell the two apart (its supervisor) often dies with it; so nobody asks. Signals that ask a worker to leave give the claim back and count nothing.
//!
//! Everything is read from files in `failed/` and `expired/`, which do not move any more; worker and coordinator come to the same answer by this one rule.
//! Attempts that a retried end blamed say nothing, so that a job goes on with a mended app. A listing that is late only costs an attempt more.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;

use super::end::{END_BYTES_MAX, End};
use super::layout::{self, PHASE, State};
use super::record::{self, Ended, Event, Line, RECORD_BYTES_MAX, TaskError};
use crate::data::Spot;
use crate::disk::rename::is_gone;
use crate::disk::{Disk, Slate, fresh};
use crate::error::{Error, Result};
use crate::ids::{Block, ClaimName, TaskFile, TaskId};

/// Attempts that must have failed at a record before it is skipped.
pub const ENOUGH: usize = 2;
/// Most records of one task that are skipped; whatever fails beyond them counts as it always does.
pub const SKIPPED_MAX: usize = 100;
/// Longest reason listed with a skipped record, in characters.
const WHY_CHARS_MAX: usize = 400;

/// What an ended attempt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Nothing about the app: it was given back, dropped, retracted, or its input was at fault.
    Nothing,
    /// It failed, nobody knows at which record.
    Failed,
    /// It failed at this one, for this reason.
    FailedAt(Spot, String),
}

/// What the file of an attempt in `failed/` or `expired/` says.
pub fn said(state: State, name: &str, bytes: &[u8]) -> Said {
    let noted = |why: &str| record::own_spot(name, bytes).map_or(Said::Failed, |spot| Said::FailedAt(spot, why.to_owned()));
    match state {
        State::Failed => match record::own_error(name, bytes) {
            TaskError::Record(bad) => Said::FailedAt(bad.spot, bad.why),
            TaskError::App(text) => noted(&text),
            TaskError::Input(_) | TaskError::Damaged(_) | TaskError::Command { .. } => Said::Nothing,
        },
        State::Expired => match record::why_ended(name, bytes) {
            // A result: it was retracted, and whoever did so has not said it yet. A word of its own: it lives.
            Ended::Lost if record::own_result(name, bytes).is_none() && record::own_ending(name, bytes).is_none() => {
                noted("the process that worked on it died")
            }
            Ended::Lost | Ended::GivenBack | Ended::Dropped | Ended::Retracted => Said::Nothing,
        },
        State::Pending | State::Claimed | State::Done => Said::Nothing,
    }
}

/// The bad records of a task, of those at which its attempts failed, in the order of the attempts.
pub fn bad(spots: impl IntoIterator<Item = Spot>) -> BTreeSet<Spot> {
    let (mut times, mut bad) = (HashMap::new(), BTreeSet::new());
    for spot in spots {
        let times: &mut usize = times.entry(spot).or_default();
        *times += 1;
        if *times == ENOUGH && bad.len() < SKIPPED_MAX {
            bad.insert(spot);
        }
    }
    bad
}

/// What a worker learns from the earlier attempts of a task that failed by the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The bad records, each with the last reason given.
    pub bad: BTreeMap<Spot, String>,
    /// One of the attempts ended without naming its record: the next one notes where it is.
    pub silent: bool,
}

/// Reads what there is of a task in `failed/` and `expired/`; `None` where no attempt of it failed by the app.
pub fn past(disk: &dyn Disk, root: &Path, task: TaskId) -> Result<Option<Past>> {
    let fail = |error| Error::io("cannot look for earlier attempts of this task in", root, error);
    let blamed = blamed(disk).map_err(fail)?;
    let (mut silent, mut ended) = (false, BTreeMap::new());
    for state in [State::Failed, State::Expired] {
        let listed = fresh::list_surely(disk, state.dir()).map_err(fail)?;
        for entry in listed.into_iter().filter(|entry| entry.is_file && !blamed.contains(&entry.name)) {
            let Ok(file) = entry.name.parse::<TaskFile>() else { continue };
            if file.attempt().block() != Block::one(task) {
                continue;
            }
            let bytes = read(disk, &state.path(&file), RECORD_BYTES_MAX).map_err(fail)?;
            match said(state, &entry.name, &bytes) {
                Said::Nothing => {}
                Said::Failed => silent = true,
                Said::FailedAt(spot, why) => {
                    silent |= record::own_spot(&entry.name, &bytes).is_some();
                    ended.insert((file.attempt().number, entry.name), (spot, why));
                }
            }
        }
    }
    let bad = bad(ended.values().map(|(spot, _)| *spot));
    let any = silent || !ended.is_empty();
    let reasons = ended.into_values().filter(|(spot, _)| bad.contains(spot));
    Ok(any.then(|| Past { bad: reasons.map(|(spot, why)| (spot, why.chars().take(WHY_CHARS_MAX).collect())).collect(), silent }))
}

/// The attempts that retried ends blamed.
fn blamed(disk: &dyn Disk) -> io::Result<HashSet<String>> {
    let mut blamed = HashSet::new();
    for entry in fresh::list_surely(disk, PHASE)?.iter().filter(|entry| entry.is_file && entry.name.starts_with("failed.")) {
        let bytes = read(disk, &format!("{PHASE}/{}", entry.name), END_BYTES_MAX)?;
        blamed.extend(serde_json::from_slice::<End>(&bytes).map(|end| end.blames).unwrap_or_default());
    }
    Ok(blamed)
}

/// A file of evidence; one that was removed by hand, or has grown beyond reason, says nothing.
fn read(disk: &dyn Disk, path: &str, limit: u64) -> io::Result<Vec<u8>> {
    match disk.read(path, limit) {
        Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::InvalidData => Ok(Vec::new()),
        other => other,
    }
}

/// Where an attempt is, in its claim's file.
pub struct Note {
    slate: Box<dyn Slate>,
    /// Where in the slate the spot stands.
    at: usize,
}

/// `[18446744073709551615,18446744073709551615]`; JSON allows spaces before a number, so every spot fits.
const SPOT_BYTES: usize = 43;

impl Note {
    /// Adds the line to the claim's file. By path: what is not `claimed/` any more is not written to.
    pub fn begin(disk: &dyn Disk, claim: &ClaimName) -> io::Result<Note> {
        let line = Line::new(claim, Event::Reached(None)).to_bytes();
        let at = line.len() - "null}}\n".len();
        let wide = [&line[..at], text(None).as_bytes(), b"}}\n"].concat();
        // Whatever stands before it, torn or not: it is a line of its own.
        let slate = disk.slate(&layout::held(State::Claimed, claim), &[b"\n", &wide[..]].concat())?;
        Ok(Note { slate, at: at + 1 })
    }

    /// The attempt is here now. One write in place, no flush: what this process has written outlives it.
    pub fn write(&mut self, spot: Option<Spot>) -> io::Result<()> {
        self.slate.write(text(spot).as_bytes(), self.at)
    }
}

fn text(spot: Option<Spot>) -> String {
    match spot {
        Some(Spot(a, b)) => format!("[{a:>20},{b:>20}]"),
        None => format!("{:<SPOT_BYTES$}", "null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{BadRecord, Made, Place};
    use crate::disk::real::RealDisk;

    const NAME: &str = "map-00001.a2@n.1.x";

    fn line(event: Event) -> Vec<u8> {
        Line::new(NAME, event).to_bytes()
    }

    fn name() -> ClaimName {
        NAME.parse().expect("a claim's name")
    }

    /// A job's folders with one claim in them.
    fn job() -> (tempfile::TempDir, RealDisk) {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = RealDisk::at(dir.path());
        layout::DIRS.iter().for_each(|folder| disk.make_dir(folder).expect("a folder"));
        (dir, disk)
    }

    fn write(dir: &tempfile::TempDir, path: &str, bytes: &[u8]) {
        std::fs::write(dir.path().join(path), bytes).expect("written");
    }

    #[test]
    fn a_record_is_bad_once_two_attempts_failed_at_it_and_only_a_hundred_are() {
        let spots = |numbers: &[u64]| numbers.iter().map(|n| Spot(0, *n)).collect::<Vec<_>>();
        assert_eq!(bad(spots(&[1, 2, 3])), BTreeSet::new());
        assert_eq!(bad(spots(&[1, 2, 1, 3, 1])), BTreeSet::from([Spot(0, 1)]));
        let many: Vec<u64> = (0..150).flat_map(|n| [n, n]).collect();
        assert_eq!(bad(spots(&many)), (0..SKIPPED_MAX as u64).map(|n| Spot(0, n)).collect(), "the first ones");
    }

    #[test]
    fn the_note_is_one_line_that_is_right_after_every_write() {
        let (dir, disk) = job();
        // Just before the end of a page: half a note must not be possible there.
        for before in [b"{\"torn".to_vec(), vec![b'x'; 4000], vec![b'x'; 4096], Vec::new()] {
            write(&dir, &format!("claimed/{NAME}"), &before);
            let mut note = Note::begin(&disk, &name()).expect("begun");
            let bytes = || std::fs::read(dir.path().join("claimed").join(NAME)).expect("there");
            let len = bytes().len();
            assert_eq!(record::own_spot(NAME, &bytes()), None, "nowhere so far");
            for spot in [Spot(0, 0), Spot(u64::MAX, u64::MAX), Spot(3, 12_345)] {
                note.write(Some(spot)).expect("written");
                assert_eq!(record::own_spot(NAME, &bytes()), Some(spot));
            }
            let start = bytes().len() - record_len(&bytes());
            assert_eq!(start / 4096, (bytes().len() - 1) / 4096, "the line lies in one page");
            disk.open(&format!("claimed/{NAME}")).and_then(|mut hold| hold.append(&line(Event::Ended(Ended::GivenBack)))).expect("said");
            note.write(None).expect("wiped");
            assert_eq!(record::own_spot(NAME, &bytes()), None);
            assert!(bytes().starts_with(&before) && bytes().len() > len, "nothing else was touched");
            assert_eq!(record::why_ended(NAME, &bytes()), Ended::GivenBack, "what was said behind it stays");
        }
        assert!(is_gone(&Note::begin(&disk, &"map-00001.a3@n.1.x".parse().expect("a name")).err().expect("no such claim")));
    }

    /// The length of the last line, its newline included.
    fn record_len(bytes: &[u8]) -> usize {
        bytes.strip_suffix(b"\n").and_then(|rest| rest.rsplit(|&b| b == b'\n').next()).map_or(0, |line| line.len() + 1)
    }

    #[test]
    fn a_file_says_where_its_attempt_failed_only_if_it_did() {
        let at = |n| line(Event::Reached(Some(Spot(0, n))));
        let place = Place::Record { file: "x".to_owned(), offset: 7 };
        let named = line(Event::Error(TaskError::Record(BadRecord { spot: Spot(0, 7), place, why: "bad".to_owned() })));
        let error = |error| line(Event::Error(error));
        let ended = |ended| Line::new("boss", Event::Ended(ended)).to_bytes();
        let result = line(Event::Result { made: Made::default(), elapsed_ms: 1 });
        let died = || Said::FailedAt(Spot(0, 5), "the process that worked on it died".to_owned());
        for (state, bytes, expected) in [
            (State::Failed, [at(5), named].concat(), Said::FailedAt(Spot(0, 7), "bad".to_owned())),
            (State::Failed, [at(5), error(TaskError::App("stuck".to_owned()))].concat(), Said::FailedAt(Spot(0, 5), "stuck".to_owned())),
            (State::Failed, error(TaskError::App("somewhere".to_owned())), Said::Failed),
            (State::Failed, [at(5), error(TaskError::Input("gone".to_owned()))].concat(), Said::Nothing),
            (State::Expired, [at(5), ended(Ended::Lost)].concat(), died()),
            (State::Expired, at(5), died()),
            (State::Expired, ended(Ended::Lost), Said::Failed),
            (State::Expired, [at(5), ended(Ended::Lost), line(Event::Ended(Ended::GivenBack))].concat(), Said::Nothing),
            (State::Expired, [at(5), ended(Ended::Dropped)].concat(), Said::Nothing),
            (State::Expired, [at(5), result].concat(), Said::Nothing),
            (State::Expired, Line::new("map-00001.a2@n.1.other", Event::Reached(Some(Spot(0, 5)))).to_bytes(), Said::Failed),
        ] {
            assert_eq!(said(state, NAME, &bytes), expected, "{state:?} {}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn a_worker_learns_from_the_ended_attempts_of_its_task_that_no_retry_forgave() {
        let (dir, disk) = job();
        let task = TaskId::map(1);
        let learned = || past(&disk, dir.path(), task).expect("readable");
        assert_eq!(learned(), None, "no care for a task that never failed");
        let lost = |name: &str, n| {
            let note = Line::new(name, Event::Reached(Some(Spot(2, n)))).to_bytes();
            write(&dir, &format!("expired/{name}"), &note);
        };
        lost("map-00002.a1@n.1.x", 9);
        lost("map-00002.a2@n.1.y", 9);
        assert_eq!(learned(), None, "another task's");
        write(&dir, "failed/map-00001.a1@n.1.x", b"");
        let nothing = Some(Past { bad: BTreeMap::new(), silent: true });
        assert_eq!(learned(), nothing, "care, and nothing known to be bad");
        lost("map-00001.a2@n.1.x", 5);
        lost("map-00001.a3@n.1.y", 6);
        lost("map-00001.a4@n.1.z", 5);
        assert_eq!(learned().expect("care").bad.into_keys().collect::<Vec<_>>(), [Spot(2, 5)]);
        let forgiven = r#"{"outcome":"failed","at":"","by":"","error":null,"blames":["map-00001.a2@n.1.x","failed"],"outputs":[],
            "counters":{},"attempts":{"done":0,"failed":0,"expired":0},"busy_ms":0}"#;
        write(&dir, "phase/failed.1", forgiven.as_bytes());
        assert_eq!(learned(), nothing);
    }

    #[test]
    fn who_names_its_record_needs_no_note() {
        let (dir, disk) = job();
        let place = Place::Record { file: "x".to_owned(), offset: 7 };
        let error = Event::Error(TaskError::Record(BadRecord { spot: Spot(0, 7), place, why: "long ".repeat(1000) }));
        for (name, silent) in [("map-00001.a1@n.1.x", false), ("map-00001.a2@n.1.x", true)] {
            let note = Line::new(name, Event::Reached(silent.then_some(Spot(0, 7)))).to_bytes();
            write(&dir, &format!("failed/{name}"), &[note, Line::new(name, error.clone()).to_bytes()].concat());
            let past = past(&disk, dir.path(), TaskId::map(1)).expect("readable").expect("care");
            assert_eq!(past.silent, silent, "an attempt that was cut off in its record did not name it");
            assert!(past.bad.values().all(|why| why.chars().count() == WHY_CHARS_MAX), "a reason is cut");
        }
    }
}
