//! Every [`App`] as an [`AnyApp`]: the one place where the types of keys and values end.

use std::io::Write;
use std::path::Path;

use super::{AnyApp, MapWork, ReduceWork, map, reduce, sample, sequential};
use crate::app::{App, Unit};
use crate::data::{Counters, Failure, Made, Piece, Split};
use crate::partition::RangeTable;

impl<A: App> AnyApp for A {
    fn unit(&self) -> Unit {
        App::unit(self)
    }

    fn least_output(&self, input_bytes: u64) -> u64 {
        App::least_output(self, input_bytes)
    }

    fn sample_ranges(&self, files: &[Piece], base: &Path, partitions: u32) -> Result<Option<RangeTable>, Failure> {
        sample::ranges(self, files, base, partitions)
    }

    fn run_map(&self, work: &MapWork<'_>) -> Result<Made, Failure> {
        map::run(self, work)
    }

    fn run_reduce(&self, work: &ReduceWork<'_>) -> Result<Made, Failure> {
        reduce::run(self, work)
    }

    fn run_sequential(&self, files: &[Split], partitions: u32, out: &mut dyn Write) -> Result<Counters, Failure> {
        sequential::run(self, files, partitions, out)
    }
}
