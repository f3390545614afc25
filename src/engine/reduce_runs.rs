//! The reduce side of runs: one partition's slices of all inputs -> merged, streaming -> groups.
//!
//! Contract: memory is bounded by the buffers of the runs merged at once, whatever the number of values of a key. More inputs than may be open at once are
//! merged in further passes, neighbours with neighbours, so that values stay in (map task, emission) order. Every pair that is handed on has passed its
//! block's checksum. Damage may so be found when output has begun: that is dropped by the caller, and *all* inputs are looked through, so that one round of map
//! tasks mends them. What an app says is believed only where all inputs verify.

use super::budget;
use super::key::Head;
use super::merge::{Broken, Merge};
use super::run::{RunFile, RunWriter, SECTIONS_MAX, Stream, Trouble};
use super::spill::{Spill, combine_into};
use super::{ReduceWork, ShuffleInput};
use crate::app::{App, ValueSource};
use crate::control::{Cancelled, Control};
use crate::data::Failure;

/// Where a stream's pairs come from.
enum Source {
    /// A section of the input of this index.
    Input { input: usize, section: u32 },
    /// Inputs merged before.
    Spill(Spill),
}

/// All inputs as one merge.
pub(super) struct Inputs {
    merge: Merge<Stream>,
    sources: Vec<Source>,
    /// Merges before this one.
    pub(super) passes: u64,
    /// Length of the inputs' slices.
    pub(super) bytes: u64,
    bad_blocks: u64,
}

/// Why there are no more pairs.
pub(super) enum Stop {
    /// As it is.
    Failure(Failure),
    /// This input is damaged; others may be.
    Damaged(usize),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

impl Inputs {
    /// Opens them all, after further passes if they are too many.
    pub(super) fn open<A: App>(app: &A, work: &ReduceWork<'_>) -> Result<Inputs, Stop> {
        let sections = |(input, of): (usize, &ShuffleInput)| {
            (0..of.file.sections.clamp(1, SECTIONS_MAX)).map(move |section| Source::Input { input, section })
        };
        let mut sources: Vec<Source> = work.inputs.iter().enumerate().flat_map(sections).collect();
        let (mut passes, mut bad_blocks, mut bytes) = (0, 0, 0);
        while sources.len() > work.budget.fan_in {
            let groups = budget::groups(sources.len(), work.budget.fan_in);
            let mut rest = sources.into_iter();
            sources = Vec::with_capacity(groups.len());
            for group in groups {
                let mut group: Vec<Source> = rest.by_ref().take(group.len()).collect();
                if group.len() > 1 {
                    let (merged, bad) = merge_before(app, work, &group, &mut bytes)?;
                    bad_blocks += bad;
                    group = merged.into_iter().map(Source::Spill).collect();
                }
                sources.append(&mut group);
            }
            passes += 1;
        }
        let streams = open_all(work, &sources, &mut bytes)?;
        let merge = Merge::new(streams).map_err(|broken| stop(&sources, broken))?;
        Ok(Inputs { merge, sources, passes, bytes, bad_blocks })
    }

    /// Blocks that were wrong in a first read.
    pub(super) fn bad_blocks(&self) -> u64 {
        self.bad_blocks + self.merge.streams().iter().map(Stream::bad_blocks).sum::<u64>()
    }

    /// Copies the next key into `key`; false at the end.
    pub(super) fn next_key(&self, key: &mut Vec<u8>) -> bool {
        let Some(pair) = self.merge.head() else { return false };
        key.clear();
        key.extend_from_slice(pair.key());
        true
    }

    /// The values of the next key, which is `key`.
    pub(super) fn group<'a>(&'a mut self, key: &'a [u8], control: &'a Control) -> MergedGroup<'a> {
        let place = if self.merge.head().is_some() { Place::Before } else { Place::Behind };
        MergedGroup { inputs: self, key, head: Head::of(key), control, place, n_pairs: 0, stop: None }
    }
}

/// The values of one key, straight out of the merge.
pub(super) struct MergedGroup<'a> {
    inputs: &'a mut Inputs,
    key: &'a [u8],
    head: Head,
    control: &'a Control,
    place: Place,
    /// Values seen.
    pub(super) n_pairs: u64,
    stop: Option<Stop>,
}

/// Where among a key's values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    At,
    Behind,
}

impl MergedGroup<'_> {
    /// Goes to the next value, if there is one.
    #[inline]
    fn advance(&mut self) -> bool {
        match self.place {
            Place::Before => self.place = Place::At,
            Place::At => {
                if let Err(stop) = self.step() {
                    self.stop = Some(stop);
                    self.place = Place::Behind;
                } else if !self.inputs.merge.is_at(self.head, self.key) {
                    self.place = Place::Behind;
                }
            }
            Place::Behind => {}
        }
        let more = self.place == Place::At;
        self.n_pairs += u64::from(more);
        more
    }

    #[inline]
    fn step(&mut self) -> Result<(), Stop> {
        self.control.step().map_err(|Cancelled| Failure::Cancelled)?;
        self.inputs.merge.advance().map_err(|broken| stop(&self.inputs.sources, broken))
    }

    /// Passes over the values that the app did not ask for; says why they ended early, if they did.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        while self.advance() {}
        self.stop.take().map_or(Ok(()), Err)
    }

    /// Why the values ended early.
    pub(super) fn take_stop(&mut self) -> Option<Stop> {
        self.stop.take()
    }
}

impl ValueSource for MergedGroup<'_> {
    #[inline]
    fn next_value(&mut self) -> Option<&[u8]> {
        if self.advance() { self.inputs.merge.head().map(Stream::value) } else { None }
    }
}

fn stop(sources: &[Source], broken: Broken<Trouble>) -> Stop {
    match (&sources[broken.stream], broken.error) {
        (Source::Input { input, .. }, Trouble::Damaged) => Stop::Damaged(*input),
        (Source::Input { .. }, Trouble::Disk(error)) => Failure::Disk(error).into(),
        (Source::Spill(spill), trouble) => spill.spoilt(trouble).into(),
    }
}

/// Opens them all, and adds to `bytes` what the inputs among them hold.
fn open_all(work: &ReduceWork<'_>, sources: &[Source], bytes: &mut u64) -> Result<Vec<Stream>, Stop> {
    let mut streams = Vec::with_capacity(sources.len());
    let mut last: Option<(usize, RunFile)> = None;
    for (stream, source) in sources.iter().enumerate() {
        let opened = match source {
            Source::Input { input, section } => {
                // The sections of an input stand side by side, and share one open file.
                if last.as_ref().is_none_or(|(opened, _)| opened != input) {
                    let run = RunFile::open(work.shuffle_dir, &work.inputs[*input].file);
                    last = Some((*input, run.map_err(|error| stop(sources, Broken { stream, error }))?));
                }
                last.as_ref().map_or(Err(Trouble::Damaged), |(_, run)| run.stream(*section, work.partition))
            }
            Source::Spill(spill) => spill.open()?.stream(0, 0),
        };
        let opened = opened.map_err(|error| stop(sources, Broken { stream, error }))?;
        *bytes += if matches!(source, Source::Input { .. }) { opened.bytes() } else { 0 };
        streams.push(opened);
    }
    Ok(streams)
}

/// Merges neighbours into a run of one partition.
fn merge_before<A: App>(app: &A, work: &ReduceWork<'_>, group: &[Source], bytes: &mut u64) -> Result<(Vec<Spill>, u64), Stop> {
    let streams = open_all(work, group, bytes)?;
    let mut run = RunWriter::create(work.shuffle_dir, 1)?;
    let mut damaged = None;
    let spoilt = |broken: Broken<Trouble>| stop(group, broken);
    let bad_blocks = combine_into(app, streams, 0, &mut run, work.control, &mut |broken| match spoilt(broken) {
        Stop::Failure(failure) => failure,
        Stop::Damaged(input) => {
            damaged = Some(input);
            Failure::Damaged(Vec::new())
        }
    });
    match (bad_blocks, damaged) {
        (_, Some(input)) => Err(Stop::Damaged(input)),
        (Err(failure), None) => Err(failure.into()),
        (Ok(bad_blocks), None) => Ok((Spill::all_of(run)?, bad_blocks)),
    }
}

/// The attempts whose slice is damaged, each looked at from a fresh open; those of `known` inputs in any case.
pub(super) fn damaged(work: &ReduceWork<'_>, known: Option<usize>) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    for (n, input) in work.inputs.iter().enumerate() {
        let is_damaged = known == Some(n) || !is_whole(work, input)?;
        if is_damaged && !names.contains(&input.attempt) {
            names.push(input.attempt.clone());
        }
    }
    Ok(names)
}

fn is_whole(work: &ReduceWork<'_>, input: &ShuffleInput) -> Result<bool, Failure> {
    let check = || {
        let run = RunFile::open(work.shuffle_dir, &input.file)?;
        for section in 0..input.file.sections {
            let mut stream = run.stream(section, work.partition)?;
            while stream.check_block()? {
                if work.control.step().is_err() {
                    return Ok(None);
                }
            }
        }
        Ok(Some(true))
    };
    match check() {
        Ok(whole) => whole.ok_or(Failure::Cancelled),
        Err(Trouble::Damaged) => Ok(false),
        Err(Trouble::Disk(error)) => Err(Failure::Disk(error)),
    }
}
