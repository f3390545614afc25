//! Runs, written and read back, damaged in every way there is.

use std::fs;
use std::path::Path;

use super::*;
use crate::engine::draft::Flush;
use crate::engine::fixture::Random;
use crate::engine::run::RunWriter;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn write(dir: &Path, sections: &[&[Pairs]]) -> FileSum {
    let mut run = RunWriter::create(dir, sections[0].len() as u32).expect("created");
    for (section, partitions) in sections.iter().enumerate() {
        if section > 0 {
            run.next_section().expect("written");
        }
        for (partition, pairs) in (0..).zip(*partitions) {
            for (key, value) in pairs {
                run.push(partition, key, value).expect("written");
            }
        }
    }
    let (file, records) = run.finish(&dir.join("x.run"), Flush::ToCache).expect("finished");
    assert_eq!(records as usize, sections.iter().copied().flatten().map(Vec::len).sum::<usize>());
    assert_eq!(file.sections as usize, sections.len());
    file
}

fn read(dir: &Path, file: &FileSum, section: u32, partition: u32) -> Result<Pairs, Trouble> {
    let mut stream = RunFile::open(dir, file)?.stream(section, partition)?;
    let mut pairs = Vec::new();
    while stream.advance()? {
        pairs.push((stream.key().to_vec(), stream.value().to_vec()));
    }
    assert_eq!(stream.bad_blocks(), 0, "nothing was read twice");
    Ok(pairs)
}

fn small() -> Vec<Pairs> {
    let pairs = |n: usize| (0..n).map(|at| (format!("key{at:03}").into_bytes(), vec![b'x'; at % 5])).collect();
    vec![pairs(0), pairs(30), pairs(0), pairs(7), pairs(0)]
}

/// Of a second section.
fn smaller() -> Vec<Pairs> {
    let mut pairs = small();
    pairs.rotate_left(1);
    pairs[0].truncate(3);
    pairs
}

#[test]
fn every_partition_comes_back_also_large_and_empty_ones() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut random = Random(53);
    let mut partitions = small();
    // Longer than a block and than a read, and single pairs longer than both.
    partitions.push((0..60_000u32).map(|n| (n.to_be_bytes().to_vec(), random.next().to_le_bytes().to_vec())).collect());
    partitions.push(vec![(vec![1; 300_000], vec![2; 5]), (vec![1; 300_001], vec![]), (b"z".to_vec(), vec![3; 1_000_000])]);
    partitions.extend((0..200).map(|_| Pairs::new()));
    let mut others = partitions.clone();
    others.reverse();
    let sections = [&partitions[..], &others[..]];
    let file = write(dir.path(), &sections);
    for (section, partitions) in (0..).zip(sections) {
        for (partition, pairs) in (0..).zip(partitions) {
            assert!(read(dir.path(), &file, section, partition).expect("whole") == *pairs, "partition {partition} of section {section}");
        }
    }
    assert!(matches!(read(dir.path(), &file, 1, partitions.len() as u32), Err(Trouble::Damaged)), "there is no such partition");
    let lie = FileSum { sections: 1, ..file.clone() };
    assert!(matches!(read(dir.path(), &lie, 0, 0), Err(Trouble::Damaged)), "a section must not be forgotten");
    assert_eq!(describe(&dir.path().join("x.run")).expect("whole"), file);
    let none = write(dir.path(), &[&[]]);
    assert_eq!(describe(&dir.path().join("x.run")).expect("whole"), none, "a run has one partition at least");
}

#[test]
fn a_flipped_bit_anywhere_is_found_by_whoever_reads_there_and_by_verify() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let sections = [small(), smaller()];
    let file = write(dir.path(), &sections.each_ref().map(Vec::as_slice));
    let path = dir.path().join("x.run");
    let whole = fs::read(&path).expect("there");
    let slices = RunFile::open(dir.path(), &file).expect("whole").slices;
    let footer_at = whole.len() - footer::write(&slices, 2).len();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).expect("written");
        for (n, slice) in slices.iter().enumerate() {
            let (section, partition) = (n / 5, n % 5);
            let mine = at >= footer_at || (slice.offset..slice.offset + slice.bytes).contains(&(at as u64));
            match read(dir.path(), &file, section as u32, partition as u32) {
                Err(Trouble::Damaged) => assert!(mine, "byte {at} is none of slice {n}'s"),
                Ok(pairs) => assert!(!mine && pairs == sections[section][partition], "byte {at} is of slice {n}"),
                Err(Trouble::Disk(error)) => panic!("byte {at}: {error}"),
            }
        }
        assert!(describe(&path).map_or(true, |found| found != file), "byte {at}: verify finds it");
    }
}

#[test]
fn a_truncation_at_any_length_and_a_missing_file_are_damage() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = write(dir.path(), &[&small()]);
    let path = dir.path().join("x.run");
    let whole = fs::read(&path).expect("there");
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).expect("written");
        for partition in 0..5 {
            assert!(matches!(read(dir.path(), &file, 0, partition), Err(Trouble::Damaged)), "cut off at {len}");
        }
        assert!(describe(&path).is_err(), "cut off at {len}");
    }
    fs::write(&path, [&whole[..], b"x"].concat()).expect("written");
    assert!(matches!(read(dir.path(), &file, 0, 1), Err(Trouble::Damaged)), "longer than described");
    fs::remove_file(&path).expect("removed");
    assert!(matches!(read(dir.path(), &file, 0, 1), Err(Trouble::Damaged)), "missing");
    assert!(matches!(RunFile::own(&path, &[]), Err(Trouble::Damaged)), "missing");
    std::os::unix::fs::symlink("/dev/zero", &path).expect("linked");
    assert!(read(dir.path(), &file, 0, 1).is_err(), "a link in its place is not followed");
}

#[test]
fn a_block_that_is_right_in_a_second_read_is_counted_and_used() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let partitions: Vec<Pairs> = vec![(0..60_000u32).map(|n| (n.to_be_bytes().to_vec(), n.to_le_bytes().to_vec())).collect()];
    let file = write(dir.path(), &[&partitions]);
    let path = dir.path().join("x.run");
    let mut bytes = fs::read(&path).expect("there");
    let mut stream = RunFile::open(dir.path(), &file).expect("whole").stream(0, 0).expect("there");
    // The open file is a bad one, the one under the name a good one: what a stale cache looks like.
    let at = bytes.len() / 2;
    let good = bytes[at];
    bytes[at] ^= 0x40;
    fs::write(&path, &bytes).expect("damaged");
    bytes[at] = good;
    let other = dir.path().join("other");
    fs::write(&other, &bytes).expect("written");
    fs::remove_file(&path).expect("removed");
    fs::copy(&other, &path).expect("copied");
    let mut n = 0;
    while stream.advance().expect("mended") {
        n += 1;
    }
    assert_eq!((n, stream.bad_blocks()), (60_000, 1));
}

#[test]
fn an_index_that_points_behind_the_file_is_damage_and_a_disk_that_refuses_is_none() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = write(dir.path(), &[&small()]);
    let path = dir.path().join("x.run");
    let whole = fs::read(&path).expect("there");
    let slices = RunFile::open(dir.path(), &file).expect("whole").slices;
    for offset in [whole.len() as u64, u64::MAX / 2 + 1, u64::MAX] {
        let mut wrong = slices.clone();
        wrong[1].offset = offset;
        let footer = footer::write(&wrong, 1);
        let bytes = [&whole[..whole.len() - footer.len()], &footer].concat();
        fs::write(&path, &bytes).expect("written");
        let file = FileSum { crc32: sum::crc32(&footer), ..file.clone() };
        assert!(matches!(read(dir.path(), &file, 0, 1), Err(Trouble::Damaged)), "offset {offset}");
        // The same index by hand: what the operating system refuses ends the stream, once.
        let mut stream = RunFile::own(&path, &wrong).expect("open").stream(0, 1);
        if let Ok(stream) = &mut stream {
            assert!(stream.advance().is_err(), "offset {offset}");
        }
    }
}
