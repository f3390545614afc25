//! Blocks: what goes in comes out, and nothing that comes in can do harm.

use super::*;
use crate::engine::fixture::Random;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn pack(pairs: &Pairs) -> Vec<u8> {
    let (mut packer, mut out) = (Packer::new(), Vec::new());
    pairs.iter().for_each(|(key, value)| packer.push(key, value));
    let (_, records) = packer.pack(3, &mut out);
    assert!(records as usize == pairs.len() && packer.is_empty());
    out
}

fn unpack(block: &[u8]) -> Result<Pairs, BadBlock> {
    let header = Header::read(block.first_chunk().ok_or(BadBlock)?)?;
    let mut entries = Entries::default();
    entries.open(header, block)?;
    let mut pairs = Vec::new();
    while entries.advance()? {
        pairs.push((entries.key().to_vec(), entries.value().to_vec()));
    }
    Ok(pairs)
}

fn some_pairs(random: &mut Random) -> Pairs {
    let mut bytes = |lens: &[usize]| -> Vec<u8> {
        let byte = *random.pick(b"ab\x00\xff");
        let len = *random.pick(lens);
        (0..len).map(|n| if n + 2 > len { *random.pick(b"ab\x00\xff") } else { byte }).collect()
    };
    let mut pairs: Pairs = (0..40).map(|_| (bytes(&[0, 1, 2, 7, 14, 15, 16, 17, 300]), bytes(&[0, 1, 127, 128, 2000]))).collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs
}

#[test]
fn pairs_come_back_as_they_were() {
    let mut random = Random(41);
    for _ in 0..50 {
        let pairs = some_pairs(&mut random);
        assert!(unpack(&pack(&pairs)) == Ok(pairs.clone()), "{pairs:?}");
    }
}

#[test]
fn what_packs_well_is_stored_packed_and_what_does_not_as_it_is() {
    let plain: Pairs = (0..100).map(|n| (format!("key {n:05}").into_bytes(), b"the same value again".to_vec())).collect();
    let block = pack(&plain);
    let header = Header::read(block.first_chunk().expect("long enough")).expect("a header");
    assert!(header.stored < header.raw / 3, "{header:?}");
    let mut random = Random(43);
    let noise: Pairs =
        (0..100u32).map(|n| (n.to_be_bytes().to_vec(), (0..8).flat_map(|_| random.next().to_le_bytes()).collect())).collect();
    let block = pack(&noise);
    let header = Header::read(block.first_chunk().expect("long enough")).expect("a header");
    assert_eq!((header.stored, header.records, header.partition), (header.raw, 100, 3));
}

#[test]
fn every_flipped_bit_is_found() {
    let pairs: Pairs = (0..30).map(|n| (format!("key {n:05}").into_bytes(), vec![b'v'; n])).collect();
    let block = pack(&pairs);
    for at in 0..block.len() {
        for bit in 0..8 {
            let mut flipped = block.clone();
            flipped[at] ^= 1 << bit;
            assert_eq!(unpack(&flipped), Err(BadBlock), "bit {bit} of byte {at}");
        }
        assert_eq!(unpack(&block[..at]), Err(BadBlock), "cut off at {at}");
    }
}

#[test]
fn any_bytes_are_read_without_harm() {
    let mut random = Random(47);
    let mut good = 0;
    for _ in 0..1000 {
        let mut block = pack(&some_pairs(&mut random)[..3].to_vec());
        block.truncate(400);
        let payload = block.len() - HEADER_BYTES;
        block[..4].copy_from_slice(&(payload as u32).to_le_bytes());
        if random.below(2) == 0 {
            block[4..8].copy_from_slice(&(payload as u32).to_le_bytes());
        }
        for _ in 0..random.below(4) {
            let at = random.below(block.len() as u64) as usize;
            block[at] = random.next() as u8;
        }
        let mut bytes = 0;
        good += u32::from(read_any_block(&block, &mut |key, value| bytes += key.len() + value.len()).is_ok());
        assert!(bytes < 1 << 24, "a small block says little");
    }
    assert!(good > 0, "some are still good");
    assert_eq!(read_any_block(b"", &mut |_, _| ()), Err(BadBlock));
}
