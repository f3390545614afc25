//! What must hold for whatever bytes lie where files of ours should lie: each check reads any bytes through the very code that reads a job's files, and panics where a
//! promise is broken. The fuzz targets of `fuzz/` call them, and so do the tests beside this file.
//!
//! Checksums stand in a fuzzer's way: `block` asks for none, and `run` puts the right ones in unless the bytes say otherwise.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use flockwork::app::{App, AppResult, Context, Emit, JobFacts, Output, Record, Values};
use flockwork::control::Control;
use flockwork::data::{Failure, FileSum, ShuffleForm};
use flockwork::disk::real::RealDisk;
use flockwork::engine::run::{describe, read_any_block};
use flockwork::engine::{AnyApp, Budget, ReduceWork, ShuffleInput};
use flockwork::ids::{AttemptId, ClaimName, TaskFile, TaskId, WorkerName};
use flockwork::job::{end, plan, record, spec};

/// Fields before a block's payload, in bytes.
pub const HEADER_BYTES: usize = 20;
/// Both readers of a block are compared so far; a small one may say a great deal.
const COMPARED_BYTES: usize = 1 << 22;

/// Whether bytes were what they should be; only for counting, since either is right.
pub type WasGood = bool;

/// One block, by ours and by the plainest reader of the format: the same pairs, and the same opinion of where they end.
pub fn block(bytes: &[u8]) -> WasGood {
    let mut pairs = Pairs::default();
    let ours = read_any_block(bytes, &mut |key, value| pairs.push(key, value));
    let mut plain = Pairs::default();
    let whole = plain_block(bytes, &mut plain).is_some();
    assert!(pairs.all == plain.all, "the plain reader finds other pairs");
    assert!(plain.is_full() || ours.is_ok() == whole, "ours says {ours:?}, the plain reader {whole}");
    ours.is_ok()
}

/// The same with a header that fits: the length stored is the payload's, and `is_plain` makes it an unpacked block.
pub fn block_that_fits(bytes: &[u8], is_plain: bool) -> WasGood {
    let mut bytes = bytes.to_vec();
    if let Some(payload) = bytes.len().checked_sub(HEADER_BYTES) {
        bytes[..4].copy_from_slice(&(payload as u32).to_le_bytes());
        if is_plain {
            bytes.copy_within(..4, 4);
        }
    }
    block(&bytes)
}

#[derive(Default)]
struct Pairs {
    all: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

impl Pairs {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        if !self.is_full() {
            self.bytes += key.len() + value.len() + 1;
            self.all.push((key.to_vec(), value.to_vec()));
        }
    }

    fn is_full(&self) -> bool {
        self.bytes >= COMPARED_BYTES
    }
}

/// The format as it is written down, without a thought for speed.
fn plain_block(bytes: &[u8], pairs: &mut Pairs) -> Option<()> {
    let field = |n: usize| bytes.get(4 * n..4 * n + 4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]) as usize);
    let (stored, raw, records) = (field(0)?, field(1)?, field(2)?);
    let payload = bytes.get(HEADER_BYTES..)?;
    if payload.len() != stored || stored > raw || raw / 256 > stored || records == 0 || records > raw || raw > (1 << 30) + (60 << 10) {
        return None;
    }
    let unpacked = if stored == raw { payload.to_vec() } else { lz4_flex::block::decompress(payload, raw).ok()? };
    let mut rest = (unpacked.len() == raw).then_some(&unpacked[..])?;
    let mut key = Vec::new();
    for _ in 0..records {
        let lengths = take(&mut rest, 1)?[0];
        let [mut shared, mut more] = [usize::from(lengths >> 4), usize::from(lengths & 15)];
        if shared == 15 {
            shared += varint(&mut rest)?;
        }
        if more == 15 {
            more += varint(&mut rest)?;
        }
        let value = varint(&mut rest)?;
        key.truncate((shared <= key.len()).then_some(shared)?);
        key.extend_from_slice(take(&mut rest, more).filter(|_| rest.len() >= value)?);
        pairs.push(&key, take(&mut rest, value)?);
    }
    rest.is_empty().then_some(())
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    rest.split_off(..n)
}

/// Five bytes at most.
fn varint(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for place in 0..5 {
        let byte = take(rest, 1)?[0];
        number |= usize::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// A whole run file in `dir`, as `verify` reads it and as all reduces read it: the two agree, and nobody panics.
pub fn run(dir: &Path, bytes: &[u8]) -> WasGood {
    let path = dir.join("x.run");
    fs::write(&path, bytes).expect("a file can be written");
    let Ok(file) = describe(&path) else {
        // Whoever was told of such a run all the same reads it or finds damage.
        let file = FileSum { name: "x.run".to_owned(), len: bytes.len() as u64, crc32: footer_crc(bytes), sections: sections(bytes) };
        let _ = reduce_all(dir, &file, bytes);
        return false;
    };
    assert_eq!((file.len, file.crc32), (bytes.len() as u64, footer_crc(bytes)), "described by its length and its footer's CRC");
    let damaged = reduce_all(dir, &file, bytes);
    assert!(damaged.is_empty(), "verify finds it good, reduce {damaged:?} does not");
    true
}

/// Makes a run of any bytes: they say what blocks there are and what lies in them; the checksums and the index are made to fit.
pub fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let n_partitions = take(&mut rest, 1).map_or(1, |byte| u32::from(byte[0] % 3) + 1);
    let (mut out, mut footer) = (b"FLOCKRUN".to_vec(), Vec::new());
    for partition in 0..n_partitions {
        let (offset, mut records, mut crcs) = (out.len() as u64, 0u64, Vec::new());
        let n_blocks = take(&mut rest, 1).map_or(0, |byte| byte[0] % 4);
        for _ in 0..n_blocks {
            let Some(head) = take(&mut rest, 6) else { break };
            let payload_len = usize::from(u16::from_le_bytes([head[0], head[1]]) % 1024).min(rest.len());
            let payload = take(&mut rest, payload_len).unwrap_or_default();
            let raw = if head[2] == 0 { payload_len as u32 } else { u32::from(u16::from_le_bytes([head[2], head[3]])) };
            let n_records = u32::from(u16::from_le_bytes([head[4], head[5]]));
            let fields: Vec<u8> = [payload_len as u32, raw, n_records, partition].iter().flat_map(|field| field.to_le_bytes()).collect();
            let crc = crc32fast::hash(&[&fields[..], payload].concat()).to_le_bytes();
            records += u64::from(n_records);
            crcs.extend_from_slice(&crc);
            out.extend_from_slice(&[&fields[..], &crc, payload].concat());
        }
        for number in [offset, out.len() as u64 - offset, records] {
            footer.extend_from_slice(&number.to_le_bytes());
        }
        footer.extend_from_slice(&crc32fast::hash(&crcs).to_le_bytes());
    }
    footer.extend_from_slice(&[&1u32.to_le_bytes()[..], &n_partitions.to_le_bytes(), &2u32.to_le_bytes(), b"FLOCKEND"].concat());
    [out, footer].concat()
}

/// The CRC-32 of what the last bytes say is the footer.
fn footer_crc(bytes: &[u8]) -> u32 {
    bytes.len().checked_sub(footer_len(bytes)).map_or(0, |from| crc32fast::hash(&bytes[from..]))
}

fn sections(bytes: &[u8]) -> u32 {
    bytes.last_chunk::<20>().map_or(0, |tail| u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]))
}

fn footer_len(bytes: &[u8]) -> usize {
    let slices = |tail: &[u8; 20]| u32::from_le_bytes([tail[4], tail[5], tail[6], tail[7]]) as usize;
    bytes.last_chunk::<20>().map_or(0, |tail| slices(tail) * 28 + 20)
}

/// The partitions whose reduce says that the run is damaged.
fn reduce_all(dir: &Path, file: &FileSum, bytes: &[u8]) -> Vec<u32> {
    let n_slices = bytes.last_chunk::<20>().map_or(0, |tail| u32::from(tail[4]));
    let n_partitions = (n_slices / sections(bytes).max(1)).min(4);
    let damaged = |partition: &u32| {
        let made = Whole.run_reduce(&ReduceWork {
            partition: *partition,
            inputs: &[ShuffleInput { attempt: "x".to_owned(), file: file.clone() }],
            shuffle_dir: dir,
            output: dir.join("out"),
            stderr: None,
            form: ShuffleForm::Run,
            budget: Budget::new(1 << 20),
            context: &Context { job_dir: dir.to_owned(), attempt: TaskId::reduce(*partition).attempt(1), job: JobFacts::default() },
            care: None,
            control: &Control::default(),
        });
        match made {
            Ok(_) => false,
            Err(Failure::Damaged(attempts)) => attempts == ["x"],
            Err(other) => panic!("a reduce over any bytes is right or finds damage: {other:?}"),
        }
    };
    (0..n_partitions).filter(damaged).collect()
}

/// Writes down all it is given.
struct Whole;

impl App for Whole {
    type Value = [u8];

    fn map(&self, _: Record<'_>, _: &mut impl Emit<[u8]>) -> AppResult {
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut Output<'_>) -> AppResult {
        while let Some(value) = values.next() {
            out.pair(key, value);
        }
        Ok(())
    }
}

/// A name in a job's folder: what is read as one of ours is written back as it was.
pub fn name(text: &str) -> WasGood {
    fn same<T: FromStr + ToString>(text: &str) -> bool {
        text.parse::<T>().is_ok_and(|name| {
            assert_eq!(name.to_string(), text, "a name is read back as it was");
            true
        })
    }
    same::<TaskId>(text) | same::<AttemptId>(text) | same::<WorkerName>(text) | same::<ClaimName>(text) | same::<TaskFile>(text)
}

/// The small files of a job in the folder `dir`: task files, `job.json`, the plans and the end. Each is read or refused.
pub fn job_file(dir: &Path, bytes: &[u8]) -> WasGood {
    let lines = record::parse(bytes);
    for line in &lines {
        assert_eq!(record::parse(&line.to_bytes()), std::slice::from_ref(line), "a line is read back as it was");
        let _ = (record::own_result(&line.by, bytes), record::own_error(&line.by, bytes), record::why_ended(&line.by, bytes));
    }
    let spec = spec::parse(bytes, dir).is_ok_and(|spec| {
        let again = serde_json::to_vec(&spec).expect("a spec can be written");
        assert_eq!(spec::parse(&again, dir).ok(), Some(spec), "a spec is read back as it was");
        true
    });
    fs::create_dir_all(dir.join("phase")).expect("a folder can be made");
    for name in ["phase/map", "phase/reduce", "phase/end"] {
        fs::write(dir.join(name), bytes).expect("a file can be written");
    }
    let disk = RealDisk::at(dir);
    let end = end::load(&disk, dir).is_ok();
    let planned = plan::Plan::map(&disk, dir).is_ok_and(|plan| {
        let mut plan = plan.expect("it is there");
        let splits = plan.splits();
        for task in 0..4 {
            let _ = plan.split(task).inspect(|split| {
                assert!(splits.as_ref().is_ok_and(|all| all.contains(split)) || splits.is_err(), "bisection finds what is in the plan");
            });
        }
        true
    });
    let _ = plan::Plan::reduce(&disk, dir).map(|plan| plan.map(|plan| plan.for_each_counted(drop)));
    !lines.is_empty() || spec || end || planned
}
