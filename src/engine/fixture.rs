//! What the engine's tests share: reproducible random numbers, input files, and a whole job run by hand.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use super::input::{InputFile, resolve};
use super::{AnyApp, Budget, Care, MapWork, ReduceWork, ShuffleInput};
use crate::app::{Context, JobFacts};
use crate::control::Control;
use crate::data::{Counters, Failure, FileSum, Made, Piece, ShuffleForm, Split};
use crate::ids::TaskId;
use crate::partition::RangeTable;

/// Marsaglia's xorshift64: the same numbers on every machine. The seed is not 0.
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

/// Writes a file and describes it as an input called by its bare name.
pub(super) fn input_file(dir: &Path, name: &str, bytes: &[u8]) -> InputFile {
    let path = dir.join(name);
    fs::write(&path, bytes).expect("written");
    let typed = path.to_str().expect("UTF-8").to_owned();
    let file = resolve(&[typed], dir).expect("it is there").remove(0);
    InputFile { name: name.to_owned(), ..file }
}

/// A part of a file, its path absolute.
pub(super) fn piece_of(file: &InputFile, from: u64, to: u64) -> Piece {
    let path = file.path.to_str().expect("UTF-8").to_owned();
    Piece { name: file.name.clone(), path, file: 0, from, to, len: file.len, mtime_ns: file.mtime_ns }
}

/// The file that has a partition's pairs.
pub(super) fn file_of(made: &Made, partition: u32) -> FileSum {
    made.files.get(partition as usize).unwrap_or(&made.files[0]).clone()
}

/// A job's directories and settings.
pub(super) struct Bench<'a> {
    pub app: &'a dyn AnyApp,
    pub dir: &'a Path,
    pub partitions: u32,
    pub ranges: Option<RangeTable>,
    pub form: ShuffleForm,
    pub budget: Budget,
    pub control: &'a Control,
    pub care: Option<&'a Care>,
}

impl Bench<'_> {
    /// Runs one map task; its attempt is called `map-N`.
    pub(super) fn map(&self, number: u32, split: &Split) -> Result<Made, Failure> {
        let context = Context { job_dir: self.dir.to_owned(), attempt: TaskId::map(number).attempt(1), job: JobFacts::default() };
        let name = format!("map-{number}");
        let shuffle_dir = self.dir.join("shuffle");
        fs::create_dir_all(&shuffle_dir).expect("created");
        self.app.run_map(&MapWork {
            split,
            base: self.dir,
            shuffle_dir: &shuffle_dir,
            name: &name,
            partitions: self.partitions,
            ranges: self.ranges.as_ref(),
            output: None,
            stderr: None,
            form: self.form,
            budget: self.budget,
            sync: number.is_multiple_of(2),
            context: &context,
            control: self.control,
            care: self.care,
        })
    }

    /// Runs one reduce task over what the maps made.
    pub(super) fn reduce(&self, partition: u32, maps: &[Made]) -> Result<Made, Failure> {
        let context = Context { job_dir: self.dir.to_owned(), attempt: TaskId::reduce(partition).attempt(1), job: JobFacts::default() };
        let input = |(n, made): (usize, &Made)| ShuffleInput { attempt: format!("map-{n}"), file: file_of(made, partition) };
        let inputs: Vec<_> = maps.iter().enumerate().filter(|(_, made)| !made.files.is_empty()).map(input).collect();
        self.app.run_reduce(&ReduceWork {
            partition,
            inputs: &inputs,
            shuffle_dir: &self.dir.join("shuffle"),
            output: self.dir.join(format!("out-{partition}")),
            stderr: None,
            form: self.form,
            budget: self.budget,
            context: &context,
            control: self.control,
            care: self.care,
        })
    }

    /// Runs all of it: the outputs one behind the other, and the sum of the counters.
    pub(super) fn run(&self, splits: &[Split]) -> Result<(Vec<u8>, Counters), Failure> {
        let maps: Vec<Made> = splits.iter().zip(0..).map(|(split, n)| self.map(n, split)).collect::<Result<_, _>>()?;
        let (mut all, mut counters) = (Vec::new(), Counters::new());
        let mut made: Vec<Made> = Vec::new();
        for partition in 0..self.partitions {
            made.push(self.reduce(partition, &maps)?);
            all.extend(fs::read(self.dir.join(format!("out-{partition}"))).expect("the output"));
        }
        for (name, n) in maps.iter().chain(&made).flat_map(|made| &made.counters) {
            *counters.entry(name.clone()).or_default() += n;
        }
        Ok((all, counters))
    }

    /// The oracle's answer over whole files.
    pub(super) fn oracle(&self, files: &[InputFile]) -> Result<(Vec<u8>, Counters), Failure> {
        let whole: Vec<_> = files.iter().map(|file| Split { pieces: vec![piece_of(file, 0, file.len)] }).collect();
        let mut out = Cursor::new(Vec::new());
        let counters = self.app.run_sequential(&whole, self.partitions, &mut out)?;
        Ok((out.into_inner(), counters))
    }
}

/// One gzip member.
pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(content).expect("writing to memory");
    packed.finish().expect("writing to memory")
}

/// One Zstandard frame, with a checksum.
pub(super) fn zstd(content: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
}
