//! The data plane's parts, each beside a plain loop that does the same with nothing around it: `cargo bench`. What counts are the ratios, for both run in turn in one
//! process; the nanoseconds are of this machine and this moment. A name as argument (`cargo bench -- emit`) runs only what contains it.
//!
//! Whole jobs beside other programs: `benches/compare.sh`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use flockwork::app::{Context, JobFacts, Options};
use flockwork::control::Control;
use flockwork::data::{Made, ShuffleForm, Split};
use flockwork::engine::input::resolve;
use flockwork::engine::run::read_any_block;
use flockwork::engine::split::{SplitRule, plan_splits, whole_files};
use flockwork::engine::{AnyApp, Budget, MapWork, ReduceWork, ShuffleInput};
use flockwork::ids::TaskId;
use flockwork::partition::by_hash;

#[path = "../apps/mod.rs"]
#[allow(dead_code, reason = "the apps' own tests are not run here")]
mod apps;

/// Text and records of about this size each.
const CORPUS_BYTES: usize = 32 << 20;
const ROUNDS: usize = 5;
const PARTITIONS: u32 = 10;

fn main() {
    // Cargo adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let place = tempfile::tempdir().expect("a temporary directory");
    let work = Work::lay_out(place.path());
    println!("{:<34}{:>10}{:>12}{:>12}{:>8}", "what", "items", "ours ns", "plain ns", "ratio");
    for bench in BENCHES.iter().filter(|bench| is_wanted(bench.name)) {
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        let mut items = 0;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            items = (bench.ours)(&work);
            ours.push(start.elapsed());
            let start = Instant::now();
            black_box((bench.plain)(&work));
            plain.push(start.elapsed());
        }
        ours.sort_unstable();
        plain.sort_unstable();
        let each = |times: &[std::time::Duration]| times[ROUNDS / 2].as_secs_f64() * 1e9 / items as f64;
        let (ours, plain) = (each(&ours), each(&plain));
        println!("{:<34}{items:>10}{ours:>12.2}{plain:>12.2}{:>8.2}", bench.name, ours / plain);
    }
}

/// Two ways to do one thing; both return how many items they went through.
struct Bench {
    name: &'static str,
    ours: fn(&Work) -> u64,
    plain: fn(&Work) -> u64,
}

const BENCHES: &[Bench] = &[
    Bench { name: "read: lines", ours: |work| work.map("noop", &[], &work.text).counters["records in"], plain: count_lines },
    Bench { name: "read: blocks, searched", ours: |work| work.map("grep", RARE, &work.text).counters["records in"], plain: search_lines },
    Bench { name: "words: by masks of 64 bytes", ours: count_words, plain: count_letter_runs },
    Bench { name: "emit: combined (wc)", ours: |work| work.map("wc", &[], &work.text).counters["pairs out"], plain: hash_words },
    Bench {
        name: "emit: each pair (sort's map)",
        ours: |work| work.map("sort", &[], &work.records).counters["pairs out"],
        plain: sort_lines,
    },
    Bench {
        name: "spill: the same at 8 MiB",
        ours: |work| work.map_in(8 << 20, "sort", &work.records).counters["pairs out"],
        plain: sort_lines,
    },
    Bench { name: "pack: of what is sorted", ours: |work| work.map("sort", &[], &work.in_order).counters["pairs out"], plain: pack_lines },
    Bench { name: "unpack: combined", ours: |work| work.unpack(&work.counted), plain: |work| work.unpack_plainly(&work.counted) },
    Bench { name: "unpack: each pair", ours: |work| work.unpack(&work.sorted), plain: |work| work.unpack_plainly(&work.sorted) },
    Bench {
        name: "merge: combined (wc's reduce)",
        ours: |work| work.reduce("wc", &work.counted),
        plain: |work| work.unpack_plainly(&work.counted),
    },
    Bench {
        name: "merge: each pair (sort's reduce)",
        ours: |work| work.reduce("sort", &work.sorted),
        plain: |work| work.unpack_plainly(&work.sorted),
    },
    Bench { name: "copy: the same bytes, twice", ours: copy, plain: copy },
];

/// A pattern that is not there.
const RARE: &[(&str, &str)] = &[("pattern", "zyzzyva")];

/// The corpora, and what maps made of them for the reduces.
struct Work {
    dir: PathBuf,
    text: PathBuf,
    records: PathBuf,
    /// The records, sorted.
    in_order: PathBuf,
    counted: Vec<Made>,
    sorted: Vec<Made>,
}

impl Work {
    fn lay_out(dir: &Path) -> Work {
        let (text, records, in_order) = (dir.join("text"), dir.join("records"), dir.join("in_order"));
        fs::write(&text, some_text()).expect("written");
        let bytes = some_records();
        fs::write(&records, &bytes).expect("written");
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
        lines.sort_unstable();
        fs::write(&in_order, lines.concat()).expect("written");
        fs::create_dir(dir.join("shuffle")).expect("created");
        let mut work = Work { dir: dir.to_owned(), text, records, in_order, counted: Vec::new(), sorted: Vec::new() };
        work.counted = work.map_all("wc", &work.text);
        work.sorted = work.map_all("sort", &work.records);
        work
    }

    fn splits(&self, app: &dyn AnyApp, file: &Path, bytes: u64) -> Vec<Split> {
        let typed = file.to_str().expect("UTF-8").to_owned();
        plan_splits(&resolve(&[typed], &self.dir).expect("there"), app.unit(), &SplitRule { bytes, lines: None }).expect("planned")
    }

    fn map_split(&self, memory: u64, app: &dyn AnyApp, file: &Path, split: &Split, name: &str) -> Made {
        let files = resolve(&[file.to_str().expect("UTF-8").to_owned()], &self.dir).expect("there");
        let ranges = app.sample_ranges(&whole_files(&files), Path::new("/"), PARTITIONS).expect("readable");
        let made = app.run_map(&MapWork {
            split,
            base: &self.dir,
            shuffle_dir: &self.dir.join("shuffle"),
            name,
            partitions: PARTITIONS,
            ranges: ranges.as_ref(),
            output: None,
            stderr: None,
            form: ShuffleForm::Run,
            budget: Budget::new(memory),
            sync: false,
            context: &self.context(TaskId::map(0)),
            control: &Control::default(),
            care: None,
        });
        made.expect("mapped")
    }

    /// One map task over a whole file.
    fn map(&self, app: &str, options: &[(&str, &str)], file: &Path) -> Made {
        let app = make(app, options);
        self.map_split(256 << 20, &*app, file, &self.splits(&*app, file, u64::MAX)[0], "again")
    }

    /// The same with so little memory that it has to spill.
    fn map_in(&self, memory: u64, app: &str, file: &Path) -> Made {
        let app = make(app, &[]);
        let made = self.map_split(memory, &*app, file, &self.splits(&*app, file, u64::MAX)[0], "again");
        assert!(made.counters["spills"] > 1, "it has spilled");
        made
    }

    /// Eight map tasks over a file.
    fn map_all(&self, app: &str, file: &Path) -> Vec<Made> {
        let app_value = make(app, &[]);
        let splits = self.splits(&*app_value, file, (CORPUS_BYTES / 8) as u64 + 1);
        splits.iter().enumerate().map(|(n, split)| self.map_split(256 << 20, &*app_value, file, split, &format!("{app}-{n}"))).collect()
    }

    /// All reduce tasks.
    fn reduce(&self, app: &str, maps: &[Made]) -> u64 {
        let app = make(app, &[]);
        let mut n_pairs = 0;
        for partition in 0..PARTITIONS {
            let input = |made: &Made| ShuffleInput { attempt: "map".into(), file: made.files[0].clone() };
            let made = app.run_reduce(&ReduceWork {
                partition,
                inputs: &maps.iter().map(input).collect::<Vec<_>>(),
                shuffle_dir: &self.dir.join("shuffle"),
                output: self.dir.join("out"),
                stderr: None,
                form: ShuffleForm::Run,
                budget: Budget::new(256 << 20),
                context: &self.context(TaskId::reduce(partition)),
                control: &Control::default(),
                care: None,
            });
            n_pairs += made.expect("reduced").counters["pairs in"];
        }
        n_pairs
    }

    /// Calls `each` with every block of these shuffle files; see `engine::run` for what is in one.
    fn for_each_block(&self, maps: &[Made], mut each: impl FnMut(&[u8])) {
        for file in maps.iter().flat_map(|made| &made.files) {
            let run = fs::read(self.dir.join("shuffle").join(&file.name)).expect("there");
            let (mut at, end) = (8, run.len() - 20 - 28 * field(&run[run.len() - 20..], 1));
            while at < end {
                let len = 20 + field(&run[at..], 0);
                each(&run[at..at + len]);
                at += len;
            }
        }
    }

    /// Reads what a reduce has to read, block by block, and all pairs in it.
    fn unpack(&self, maps: &[Made]) -> u64 {
        let mut n = 0;
        self.for_each_block(maps, |block| {
            let each = &mut |key: &[u8], value: &[u8]| {
                black_box((key, value));
                n += 1;
            };
            read_any_block(block, each).expect("whole");
        });
        n
    }

    /// Only reads and decompresses it.
    fn unpack_plainly(&self, maps: &[Made]) -> u64 {
        let (mut n, mut raw) = (0, vec![0; 1 << 17]);
        self.for_each_block(maps, |block| {
            n += if field(block, 0) < field(block, 1) {
                lz4_flex::block::decompress_into(&block[20..], &mut raw).expect("whole")
            } else {
                raw[..block.len() - 20].copy_from_slice(&block[20..]);
                block.len() - 20
            } as u64;
            black_box(&mut raw);
        });
        n
    }

    fn context(&self, task: TaskId) -> Context {
        Context { job_dir: self.dir.clone(), attempt: task.attempt(1), job: JobFacts::default() }
    }
}

fn make(name: &str, options: &[(&str, &str)]) -> Box<dyn AnyApp> {
    let entry = apps::ALL.iter().find(|entry| entry.name == name).expect("a built-in app");
    let options = options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    (entry.make)(&Options(options)).expect("these options will do")
}

/// Calls `each` with blocks that end at a line's end.
fn for_each_block(path: &Path, mut each: impl FnMut(&[u8])) {
    let mut file = File::open(path).expect("there");
    let mut block = vec![0; 1 << 20];
    let mut kept = 0;
    loop {
        let got = file.read(&mut block[kept..]).expect("readable");
        let end = if got == 0 { kept } else { memchr::memrchr(b'\n', &block[..kept + got]).map_or(0, |newline| newline + 1) };
        each(&block[..end]);
        if got == 0 {
            return;
        }
        block.copy_within(end..kept + got, 0);
        kept = kept + got - end;
    }
}

fn count_lines(work: &Work) -> u64 {
    let mut n = 0;
    for_each_block(&work.text, |block| memchr::memchr_iter(b'\n', block).for_each(|newline| n += 1 + black_box(newline as u64 & 1)));
    n
}

fn search_lines(work: &Work) -> u64 {
    let mut n = 0;
    for_each_block(&work.text, |block| n += memchr::memmem::find_iter(block, RARE[0].1).count() as u64);
    n
}

fn count_words(work: &Work) -> u64 {
    let mut n = 0;
    for_each_block(&work.text, |block| apps::words::for_each_word(block, |word| n += black_box(word).len().min(1) as u64));
    n
}

fn count_letter_runs(work: &Work) -> u64 {
    let mut n = 0;
    for_each_block(&work.text, |block| {
        let runs = block.split(|byte| !byte.is_ascii_alphabetic()).filter(|run| !run.is_empty());
        runs.for_each(|run| n += black_box(run).len().min(1) as u64);
    });
    n
}

fn hash_words(work: &Work) -> u64 {
    let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
    for_each_block(&work.text, |block| {
        for word in block.split(|byte| !byte.is_ascii_alphabetic()).filter(|run| !run.is_empty()) {
            match counts.get_mut(word) {
                Some(n) => *n += 1,
                None => _ = counts.insert(word.to_vec(), 1),
            }
        }
    });
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by(|(a, _), (b, _)| (by_hash(a, PARTITIONS), a).cmp(&(by_hash(b, PARTITIONS), b)));
    counts.len() as u64
}

/// Compresses the lines, cut as blocks are, and writes them.
fn pack_lines(work: &Work) -> u64 {
    let bytes = fs::read(&work.in_order).expect("there");
    let packed: Vec<Vec<u8>> = bytes.chunks(60 << 10).map(lz4_flex::block::compress).collect();
    fs::write(work.dir.join("plain"), packed.concat()).expect("written");
    packed.len() as u64
}

/// The machine's own pace, per byte of the records: what a ratio of 1.00 looks like, and by how much it wavers.
fn copy(work: &Work) -> u64 {
    let bytes = fs::read(&work.records).expect("there");
    black_box(bytes.clone()).len() as u64
}

fn field(block: &[u8], n: usize) -> usize {
    u32::from_le_bytes(*block[4 * n..].first_chunk().expect("a header")) as usize
}

fn sort_lines(work: &Work) -> u64 {
    let bytes = fs::read(&work.records).expect("there");
    let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    lines.sort_unstable();
    fs::write(work.dir.join("plain"), lines.join(&b'\n')).expect("written");
    lines.len() as u64
}

/// A linear congruential generator (Knuth's MMIX): the same corpora everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Lines of some ten words; half of the words from a few hundred, the others from half a million.
fn some_text() -> Vec<u8> {
    let mut random = Random(1);
    let mut text = Vec::with_capacity(CORPUS_BYTES + 100);
    while text.len() < CORPUS_BYTES {
        for n in (0..10).rev() {
            let mut word = if random.below(2) == 0 { random.below(300) } else { random.below(500_000) };
            loop {
                text.push(b'a' + (word % 26) as u8);
                word /= 26;
                if word == 0 {
                    break;
                }
            }
            text.push(if n == 0 { b'\n' } else { b' ' });
        }
    }
    text
}

/// Records of 100 bytes with ten random ones first.
fn some_records() -> Vec<u8> {
    let mut random = Random(2);
    let mut records = Vec::with_capacity(CORPUS_BYTES + 100);
    while records.len() < CORPUS_BYTES {
        records.extend((0..10).map(|_| b' ' + random.below(95) as u8));
        records.extend_from_slice(&[b'.'; 89]);
        records.push(b'\n');
    }
    records
}
