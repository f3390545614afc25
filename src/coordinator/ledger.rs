//! How ended attempts ended: each file in `failed/` and `expired/` is read once, for it never moves again. A cache, no memory: a new coordinator reads
//! them anew and knows the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;

use super::plan::Ending;
use crate::data::{BadRecord, Spot};
use crate::disk::Disk;
use crate::disk::rename::is_gone;
use crate::ids::{ClaimName, Phase, TaskFile, TaskId};
use crate::job::end::END_BYTES_MAX;
use crate::job::layout::{PHASE, State};
use crate::job::record::{self, Ended, RECORD_BYTES_MAX, TaskError};
use crate::job::skip::{self, Said};
use crate::job::snapshot::Snapshot;

/// Said of errors beyond the last record that may be skipped.
const NO_MORE: &str = " (so many records of this task are skipped already that no more will be)";

/// By attempt number and file name.
type Spots = BTreeMap<(u32, String), Spot>;

/// What has been read so far.
pub struct Ledger {
    /// By file name.
    pub endings: HashMap<String, Ending>,
    /// Attempts that a retried end blamed.
    pub blamed: HashSet<String>,
    retried: HashSet<String>,
    /// By task, the records at which attempts failed; `None` where bad records are not skipped.
    spots: Option<HashMap<TaskId, Spots>>,
}

impl Ledger {
    /// An empty one. Where bad records are skipped, attempts that failed at one are told apart.
    pub fn new(skip_bad_records: bool) -> Ledger {
        let spots = skip_bad_records.then(HashMap::new);
        Ledger { endings: HashMap::new(), blamed: HashSet::new(), retried: HashSet::new(), spots }
    }

    /// Reads what `snapshot` shows and the ledger does not know yet.
    pub fn read(&mut self, disk: &dyn Disk, root: &Path, snapshot: &Snapshot) -> crate::Result<()> {
        let maps = u32::try_from(snapshot.maps.len()).unwrap_or(u32::MAX);
        let known = self.endings.len();
        for (_, view) in snapshot.blocks() {
            for claim in &view.failed {
                self.enter(disk, root, State::Failed, &TaskFile::Held(claim.clone()), maps)?;
            }
            for file in &view.expired {
                self.enter(disk, root, State::Expired, file, maps)?;
            }
        }
        for name in &snapshot.phases.retried {
            if self.retried.contains(name) {
                continue;
            }
            let path = format!("{PHASE}/{name}");
            let bytes = match disk.read(&path, END_BYTES_MAX) {
                Ok(bytes) => bytes,
                Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::InvalidData => Vec::new(),
                Err(error) => return Err(crate::Error::io("cannot read", root.join(&path), error)),
            };
            // A retried end that was damaged blames nobody: then its attempts count on, and the job fails again rather than for ever.
            if let Ok(end) = serde_json::from_slice::<crate::job::end::End>(&bytes) {
                self.blamed.extend(end.blames);
            }
            self.retried.insert(name.clone());
        }
        if self.endings.len() > known {
            self.excuse();
        }
        Ok(())
    }

    /// Attempts that failed at a record which is skipped from now on count no more. (Where no more may be skipped, that is said.)
    fn excuse(&mut self) {
        let (blamed, endings) = (&self.blamed, &mut self.endings);
        for ended in self.spots.iter().flat_map(HashMap::values) {
            let bad = skip::bad(ended.iter().filter(|((_, name), _)| !blamed.contains(name)).map(|(_, spot)| *spot));
            for ((_, name), spot) in ended {
                match endings.get_mut(name) {
                    Some(ending) if bad.contains(spot) => *ending = Ending::Skipped,
                    Some(Ending::Error(text)) if bad.len() >= skip::SKIPPED_MAX && !text.ends_with(NO_MORE) => text.push_str(NO_MORE),
                    Some(_) | None => {}
                }
            }
        }
    }

    fn enter(&mut self, disk: &dyn Disk, root: &Path, state: State, file: &TaskFile, maps: u32) -> crate::Result<()> {
        let name = file.to_string();
        if self.endings.contains_key(&name) {
            return Ok(());
        }
        let path = state.path(file);
        let bytes = match disk.read(&path, RECORD_BYTES_MAX) {
            Ok(bytes) => bytes,
            // Removed by hand, or grown beyond reason: it still was an attempt.
            Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::InvalidData => Vec::new(),
            Err(error) => return Err(crate::Error::io("cannot read", root.join(path), error)),
        };
        let attempt = file.attempt();
        // An attempt of several tasks says nothing of any one of them, and its error counts against none.
        if let (Some(spots), Said::FailedAt(spot, _), 0) = (&mut self.spots, skip::said(state, &name, &bytes), attempt.block().order()) {
            spots.entry(attempt.task).or_default().insert((attempt.number, name.clone()), spot);
        }
        self.endings.insert(name.clone(), ending(state, &name, &bytes, maps));
        Ok(())
    }
}

fn ending(state: State, name: &str, bytes: &[u8], maps: u32) -> Ending {
    match state {
        State::Failed => match record::own_error(name, bytes) {
            TaskError::App(text)
            | TaskError::Input(text)
            | TaskError::Command { why: text, .. }
            | TaskError::Record(BadRecord { why: text, .. }) => Ending::Error(text),
            TaskError::Damaged(names) => {
                let known = |name: &String| {
                    name.parse()
                        .ok()
                        .filter(|claim: &ClaimName| claim.attempt.task.phase == Phase::Map && claim.attempt.block().tasks().end <= maps)
                };
                match names.iter().map(known).collect() {
                    Some(claims) => Ending::Damaged(claims),
                    // Nothing can be retracted that would mend it: it must count, or it would be tried for ever.
                    None => Ending::Error(format!("the reduce plan names attempts that this job never had: {}", names.join(", "))),
                }
            }
        },
        State::Pending | State::Claimed | State::Done | State::Expired => match record::why_ended(name, bytes) {
            Ended::Lost | Ended::Retracted => Ending::Lost,
            Ended::GivenBack | Ended::Dropped => Ending::Free,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::coordinator::backup::Limits;
    use crate::coordinator::bundling::Bundling;
    use crate::coordinator::plan::{Action, Facts, plan};
    use crate::data::Place;
    use crate::disk::real::RealDisk;
    use crate::job::layout::DIRS;
    use crate::job::record::{Event, Line};
    use crate::job::snapshot::{Belief, Shape};

    /// A job of one task, with one error per record of `offsets`, in the order of the attempts.
    fn job(offsets: &[u64]) -> (tempfile::TempDir, RealDisk) {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = RealDisk::at(dir.path());
        DIRS.iter().for_each(|folder| disk.make_dir(folder).expect("a folder"));
        for (number, &offset) in (1..).zip(offsets) {
            let name = format!("map-00000.a{number}@n.1.x");
            let place = Place::Record { file: "f".to_owned(), offset };
            let bad = BadRecord { spot: Spot(0, offset), place, why: format!("bad {offset}") };
            let line = Line::new(&name, Event::Error(TaskError::Record(bad)));
            std::fs::write(dir.path().join("failed").join(name), line.to_bytes()).expect("written");
        }
        (dir, disk)
    }

    /// What a coordinator does next, that allows two errors and no lost lease.
    fn next(dir: &tempfile::TempDir, disk: &RealDisk, skip_bad_records: bool) -> Vec<Action> {
        let snapshot = Snapshot::take(disk, Shape { maps: 1, reduces: 1 }, Belief::Sure).expect("a look");
        let mut ledger = Ledger::new(skip_bad_records);
        ledger.read(disk, dir.path(), &snapshot).expect("readable");
        let (claims, Ledger { endings, blamed, .. }) = (BTreeSet::new(), &ledger);
        let (running, limits) = (BTreeMap::new(), Limits::default());
        let (stale, stuck, hollow) = (&claims, &claims, &claims);
        plan(
            &snapshot,
            &Facts {
                endings,
                blamed,
                stale,
                stuck,
                hollow,
                running: &running,
                limits,
                max_errors: 2,
                max_lost: 1,
                window: 9,
                bundling: Bundling::default(),
                leave_out: None,
            },
        )
    }

    #[test]
    fn errors_at_a_record_that_is_skipped_do_not_count_where_that_was_asked_for() {
        let issue = |number| vec![Action::Issue(TaskId::map(0).attempt(number))];
        for (offsets, expected) in
            [(&[5, 5][..], Some(3)), (&[5, 6], None), (&[5, 5, 6], Some(4)), (&[5, 6, 5], Some(4)), (&[5, 5, 6, 7], None)]
        {
            let (dir, disk) = job(offsets);
            match (expected, &next(&dir, &disk, true)[..]) {
                (Some(number), actions) => assert_eq!(actions, issue(number), "{offsets:?}"),
                (None, [Action::Fail { blames, error, .. }]) => {
                    assert_eq!(blames.len(), offsets.len(), "a retry forgives all: {error}");
                }
                (None, actions) => panic!("{offsets:?}: {actions:?}"),
            }
            assert!(matches!(next(&dir, &disk, false)[..], [Action::Fail { .. }]), "not asked for: {offsets:?}");
        }
    }

    #[test]
    fn a_lost_attempt_counts_no_more_once_its_record_is_skipped() {
        let (dir, disk) = job(&[5]);
        let name = "map-00000.a2@n.1.y";
        let lost = |offset| {
            let note = Line::new(name, Event::Reached(Some(Spot(0, offset)))).to_bytes();
            std::fs::write(dir.path().join("expired").join(name), note).expect("written");
        };
        lost(5);
        assert_eq!(next(&dir, &disk, true), [Action::Issue(TaskId::map(0).attempt(3))], "an error and a death at one record");
        lost(6);
        assert!(matches!(&next(&dir, &disk, true)[..], [Action::Fail { error, .. }] if error.contains("was lost once")));
    }

    #[test]
    fn beyond_the_most_records_that_are_skipped_errors_count_again_and_say_so() {
        let most = skip::SKIPPED_MAX as u64;
        let twice = |n: u64| (0..n).flat_map(|offset| [offset, offset]).collect::<Vec<_>>();
        let (dir, disk) = job(&twice(most));
        assert_eq!(next(&dir, &disk, true), [Action::Issue(TaskId::map(0).attempt(2 * most as u32 + 1))]);
        let (dir, disk) = job(&twice(most + 1));
        let actions = next(&dir, &disk, true);
        let [Action::Fail { error, blames, .. }] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(*error, format!("map-00000 failed 2 times, at last with: bad {most}{NO_MORE}"));
        assert_eq!(blames.len(), 2 * (most as usize + 1));
    }
}
