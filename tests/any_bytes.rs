//! Files of ours with anything in them: tens of thousands of garbled blocks, runs, names and job files, read by the code that reads a job's. The same checks fuzzed
//! without end: `fuzz/README.md`.

#[path = "any_bytes/checks.rs"]
pub mod checks;

use flockwork::data::Made;
use flockwork::engine::run::describe;

use flockwork::job::record::{Event, Line};

use super::common::Farm;

/// Knuth's generator; the same tests every time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    /// Up to three changes: bytes set, copied from elsewhere, cut out or put in.
    fn garble(&mut self, bytes: &mut Vec<u8>, keep: usize) {
        for _ in 0..self.below(4) {
            let at = keep + self.below((bytes.len() - keep).max(1));
            let len = (self.below(8) + 1).min(bytes.len().saturating_sub(at));
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] = [0, 0x0f, 0x7f, 0x80, 0xf0, 0xff][self.below(6)],
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 => drop(bytes.drain(at..at + len)),
                3 => bytes.extend_from_within(at..at + len),
                _ => bytes.insert(at.min(bytes.len()), self.below(256) as u8),
            }
        }
    }
}

/// The run that word count makes of some text, and its blocks.
fn a_run(farm: &Farm) -> (Vec<u8>, Vec<Vec<u8>>) {
    let words = (0..3000).map(|n| format!("{} {} ", "abcdefghij".repeat(n % 4), ["the", "quick", "brown"][n % 3]));
    farm.write("text", words.collect::<String>());
    farm.start(&["run", "wc", "text", "-r", "3", "-o", "combine=false", "--job", "job"]).ends_with(0);
    let name = farm.names("job/shuffle").into_iter().find(|name| name.ends_with(".run")).expect("a shuffle file");
    let run = farm.read(&format!("job/shuffle/{name}"));
    let (mut at, mut blocks) = (8, Vec::new());
    while at < run.len() - 20 - 3 * 28 {
        let stored = u32::from_le_bytes(*run[at..].first_chunk().expect("a header")) as usize;
        blocks.push(run[at..at + checks::HEADER_BYTES + stored].to_vec());
        at += checks::HEADER_BYTES + stored;
    }
    (run, blocks)
}

#[test]
fn garbled_blocks_are_read_as_the_plainest_reader_reads_them() {
    let farm = Farm::new();
    let mut seeds = a_run(&farm).1;
    assert!(seeds.iter().all(|block| checks::block(block)), "the blocks of a real run are good");
    // By hand, so that most of a block is lengths: keys of all kinds of neighbourhood, and none.
    let entries: &[&[u8]] =
        &[b"\x03\x01abcv", b"\x21\x00d", b"\x30\x02vv", b"\x0f\x00\x01aaaaaaaaaaaaaaa", b"\xf0\x00\x80\x00", b"\x00\x00"];
    let header = |records: usize| [&[0; 8][..], &(records as u32).to_le_bytes(), &[0; 8]].concat();
    seeds.push([header(3), entries[..3].concat()].concat());
    seeds.push([header(6), entries.concat()].concat());
    seeds.retain(|block| block.len() < 4000);
    assert!(seeds.len() > 3, "small blocks, packed and plain");
    let mut random = Random(53);
    let (mut n_good, n) = (0, 30_000);
    for _ in 0..n {
        let mut block = seeds[random.below(seeds.len())].clone();
        random.garble(&mut block, 4);
        let is_plain = random.below(2) == 0;
        n_good += u32::from(checks::block_that_fits(&block, is_plain));
    }
    assert!((n / 100..n * 99 / 100).contains(&n_good), "some are good and some are not: {n_good}");
}

#[test]
fn garbled_runs_are_right_or_damaged_for_verify_and_reduce_alike() {
    let farm = Farm::new();
    let (run, _) = a_run(&farm);
    let mut random = Random(59);
    assert!(checks::run(&farm.path("."), &run), "the real one is good");
    let mut n_good = 0;
    for _ in 0..200 {
        let mut bytes = run.clone();
        let from_end = random.below(200);
        let keep = bytes.len() - from_end.min(bytes.len());
        random.garble(&mut bytes, keep);
        n_good += u32::from(checks::run(&farm.path("."), &bytes));
    }
    assert!((1..200).contains(&n_good), "those that nothing was done to are good: {n_good}");
    // Of any entries, checksums and index right: one partition or more, blocks with two entries, sorted or not.
    let seed = b"\x02\x01\x08\x00\x00\x00\x02\x00\x01\x01av\x01\x01bw\x01\x04\x00\x00\x00\x01\x00\x01\x01zz\x00";
    n_good = 0;
    for _ in 0..400 {
        let mut bytes = seed.to_vec();
        random.garble(&mut bytes, 0);
        n_good += u32::from(checks::run(&farm.path("."), &checks::sealed(&bytes)));
    }
    assert!((50..390).contains(&n_good), "some are good and some are not: {n_good}");
}

#[test]
fn a_sealed_run_is_described_as_any_other() {
    let farm = Farm::new();
    let bytes = checks::sealed(b"\x00\x01\x07\x00\x00\x00\x01\x00\x01\x04abcde");
    farm.write("y.run", &bytes);
    describe(&farm.path("y.run")).expect("the checks make whole runs");
    let payload = bytes.len() - 20 - 28 - 1;
    farm.write("y.run", [&bytes[..payload], b"E", &bytes[payload + 1..]].concat());
    let _ = describe(&farm.path("y.run")).expect_err("and a changed byte shows");
}

#[test]
fn garbled_names_are_foreign_or_read_back_as_they_were() {
    let names = ["map-00042", "reduce-00001.a12", "node7.lan.4121.k3f", "map-00042.a1@node7.4121.k3f", "map-4294967295.a1@h.0.0"];
    let mut random = Random(61);
    let mut n_good = 0;
    for _ in 0..30_000 {
        let mut bytes = names[random.below(names.len())].as_bytes().to_vec();
        random.garble(&mut bytes, 0);
        n_good += u32::from(checks::name(&String::from_utf8_lossy(&bytes)));
    }
    assert!((3000..29_000).contains(&n_good), "some are good and some are not: {n_good}");
}

#[test]
fn garbled_job_files_are_read_or_refused() {
    let farm = Farm::new();
    let (_, _) = a_run(&farm);
    let seeds = ["job/job.json", "job/phase/map", "job/phase/reduce", "job/phase/end"].map(|name| farm.read(name));
    let lines = Line::new("map-00001.a1@n.1.x", Event::Result { made: Made::default(), elapsed_ms: 7 }).to_bytes();
    let seeds = [&seeds[..], &[lines]].concat();
    let mut random = Random(67);
    let mut n_good = 0;
    for _ in 0..1500 {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        random.garble(&mut bytes, 0);
        n_good += u32::from(checks::job_file(&farm.path("garbled"), &bytes));
    }
    assert!((300..1450).contains(&n_good), "some are good and some are not: {n_good}");
}
