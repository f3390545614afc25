//! The combining table against the standard library's map.

use std::collections::BTreeMap;

use super::*;
use crate::engine::fixture::Random;

const PARTS: u32 = 3;

fn part(key: &[u8]) -> Result<u32, ()> {
    Ok(key.len() as u32 % PARTS)
}

/// Adds as the emitter does: short keys by batches, long ones at once. The answer is what became of the room.
fn emit(table: &mut Table<u64>, key: &[u8], memory: usize) -> Room {
    if key.len() > key::HEAD_BYTES {
        let room = table.room(memory);
        if room == Room::Enough {
            *table.add(key, 8, || 1).unwrap_or(&mut 0) += 1;
        }
        return room;
    }
    if !table.gather(key, 1) {
        return Room::Enough;
    }
    let room = table.room(memory);
    if room == Room::Enough {
        table.flush(|total, next| *total += next.unwrap_or(&0));
    }
    room
}

fn drained(table: &mut Table<u64>) -> Vec<(u32, Vec<u8>, u64)> {
    let mut all = Vec::new();
    table
        .drain_sorted(part, |partition, key, total| {
            all.push((partition, key.to_vec(), *total));
            Ok(())
        })
        .expect("nothing fails");
    all
}

#[test]
fn totals_are_those_of_a_plain_map_in_the_order_of_the_keys() {
    let mut random = Random(61);
    let mut table = Table::new(0, 1 << 24, TOTALS);
    for round in 0..5 {
        let mut expected: BTreeMap<(u32, Vec<u8>), u64> = BTreeMap::new();
        for n in 0..40_000u64 {
            let mut key = format!("{:x}", random.below(3000)).into_bytes();
            match n % 7 {
                0 => key.resize(key.len() + 20, b'!'),
                1 => key.resize(16, 0),
                2 => key.resize(random.below(20) as usize, 0),
                3 => key.lengthen(),
                _ => {}
            }
            assert_eq!(emit(&mut table, &key, 1 << 24), Room::Enough);
            *expected.entry((key.len() as u32 % PARTS, key)).or_default() += 1;
        }
        table.flush(|total, next| *total += next.unwrap_or(&0));
        assert_eq!(table.len(), expected.len());
        let expected: Vec<_> = expected.into_iter().map(|((partition, key), total)| (partition, key, total)).collect();
        assert!(drained(&mut table) == expected, "round {round}");
        assert_eq!(table.len(), 0, "and it is empty again");
    }
}

/// Makes a key longer than a slot, with the same beginning as others.
trait Lengthen {
    fn lengthen(&mut self);
}

impl Lengthen for Vec<u8> {
    fn lengthen(&mut self) {
        self.splice(0..0, *b"the same sixteen");
    }
}

#[test]
fn the_empty_key_and_trailing_zeros_are_keys_of_their_own() {
    let mut table = Table::new(0, 1 << 20, TOTALS);
    for len in [0, 1, 2, 8, 9, 16, 17, 18] {
        for _ in 0..=len {
            assert_eq!(emit(&mut table, &vec![0; len], 1 << 20), Room::Enough);
        }
    }
    table.flush(|total, next| *total += next.unwrap_or(&0));
    let mut lens: Vec<_> = drained(&mut table).into_iter().map(|(_, key, total)| (key.len(), total)).collect();
    lens.sort_unstable();
    assert_eq!(lens, [0, 1, 2, 8, 9, 16, 17, 18].map(|len| (len, len as u64 + 1)));
}

#[test]
fn a_table_of_new_keys_only_is_futile_and_one_of_many_is_full() {
    let memory = 1 << 20;
    let (mut new, mut n) = (Table::new(0, memory, TOTALS), 0u64);
    let room = loop {
        n += 1;
        match emit(&mut new, &n.to_be_bytes(), memory) {
            Room::Enough => {}
            room => break room,
        }
    };
    assert_eq!(room, Room::Futile, "after {n} keys");
    let held = new.len() as u64 + new.ungather(|_, _| Ok::<_, ()>(())).expect("nothing fails");
    assert_eq!(held, n, "nothing is lost");

    let mut many = Table::new(0, memory, TOTALS);
    let room = (0..).find_map(|n: u64| match emit(&mut many, &(n / 3).to_be_bytes(), memory) {
        Room::Enough => None,
        room => Some(room),
    });
    assert_eq!(room, Some(Room::Full));
    assert!(many.bytes() <= memory && many.bytes() > memory / 4, "{} bytes", many.bytes());
}

#[test]
fn values_on_the_heap_are_weighed() {
    let memory = 1 << 20;
    let mut table: Table<Vec<u8>> = Table::new(0, memory, TOTALS);
    let mut n = 0u32;
    while table.room(memory) == Room::Enough {
        n += 1;
        if let Some(total) = table.add(&(n % 100).to_be_bytes(), 1000, || vec![7; 1000]) {
            total[0] ^= 1;
        }
    }
    assert!((900..1100).contains(&n), "{n} values of 1000 bytes");
    assert_eq!(table.room(memory), Room::Full);
    table.weigh(value_bytes::<[u8], _>);
    assert_eq!(table.room(memory), Room::Enough, "it kept a hundred of them");
}
