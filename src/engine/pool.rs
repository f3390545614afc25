//! Lists of byte strings in one piece of memory: each list a chain of chunks that double, so that a short list costs 16 bytes and a long one lies together.
//!
//! ```text
//! chunk  = string... | 255 if there is room left and another chunk follows | link u32 to that
//! string = length u8 (below 254, or 254 and u16) | bytes
//! ```
//! A chunk begins at a multiple of its size: how much room it has behind a place follows from the two.

/// The smallest chunk, in bytes.
const CHUNK_BYTES: usize = 16;
/// Sizes of chunks, each twice the one before: the largest has 4 KiB.
const CLASSES: usize = 9;
/// Longest string of a list, in bytes.
pub(super) const STRING_BYTES_MAX: usize = size_of(CLASSES - 1) - LINK_BYTES - LENGTH_BYTES_MAX;
/// So many chunks of a size are made at once.
const SLAB_CHUNKS: usize = 16;
/// What a chunk keeps for its link.
const LINK_BYTES: usize = 4;
/// Most bytes of a string's length.
const LENGTH_BYTES_MAX: usize = 3;
/// A length from here on takes two bytes more.
const LONG: u8 = 254;
/// Says that the chunk's strings end.
const END: u8 = 255;
/// Of a class, in a link.
const CLASS_BITS: u32 = 4;
/// Of a place: a pool has at most 1 GiB.
const PLACE_BITS: u32 = 30;
/// Of a link.
const LINK_BITS: u32 = 32 - 2;

const _: () = assert!(CLASSES <= 1 << CLASS_BITS && LINK_BITS == PLACE_BITS - CHUNK_BYTES.ilog2() + CLASS_BITS, "a link fits");
const _: () = assert!(LINK_BITS + PLACE_BITS + CLASS_BITS <= u64::BITS, "a list fits");

/// A list: the link to its first chunk, its end, and the class of the chunk that it ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct List(u64);

impl List {
    /// Something of a list's size that is none: two numbers.
    #[inline]
    pub(super) fn placeholder(a: u32, b: u32) -> List {
        List(u64::from(a) << 32 | u64::from(b))
    }

    /// The numbers of a placeholder.
    #[inline]
    pub(super) fn numbers(self) -> (usize, usize) {
        ((self.0 >> 32) as usize, self.0 as u32 as usize)
    }

    #[inline]
    fn of(first: u32, end: usize, class: usize) -> List {
        List(u64::from(first) << (PLACE_BITS + CLASS_BITS) | (end as u64) << CLASS_BITS | class as u64)
    }

    #[inline]
    fn first(self) -> u32 {
        (self.0 >> (PLACE_BITS + CLASS_BITS)) as u32
    }

    #[inline]
    fn end(self) -> usize {
        (self.0 >> CLASS_BITS) as usize & ((1 << PLACE_BITS) - 1)
    }

    #[inline]
    fn class(self) -> usize {
        self.0 as usize & ((1 << CLASS_BITS) - 1)
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Pool {
    bytes: Vec<u8>,
    /// Per class: where its free chunks begin and end.
    slabs: [(usize, usize); CLASSES],
}

impl Pool {
    /// What it uses, in bytes.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// True if its places are used up, whatever the budget: there may be no room for so many strings more.
    pub(super) fn is_full(&self, strings: usize) -> bool {
        self.bytes.len() + (strings + 1) * 2 * SLAB_CHUNKS * size_of(CLASSES - 1) > 1 << PLACE_BITS
    }

    /// Forgets all lists.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.slabs = Default::default();
    }

    /// A list of one string, which is at most [`STRING_BYTES_MAX`] long.
    #[inline]
    pub(super) fn list(&mut self, string: &[u8]) -> List {
        let class = class_for(0, string.len());
        let start = self.chunk(class);
        let end = write(&mut self.bytes[start..], string);
        List::of(link(start, class), start + end, class)
    }

    /// Adds a string of at most [`STRING_BYTES_MAX`] bytes.
    #[inline]
    pub(super) fn push(&mut self, list: &mut List, string: &[u8]) {
        let (at, class) = (list.end(), list.class());
        let limit = limit(at, class);
        if at + length_bytes(string.len()) + string.len() > limit {
            return self.push_chunk(list, string, limit);
        }
        let end = at + write(&mut self.bytes[at..], string);
        *list = List::of(list.first(), end, class);
    }

    fn push_chunk(&mut self, list: &mut List, string: &[u8], limit: usize) {
        let class = class_for((list.class() + 1).min(CLASSES - 1), string.len());
        let start = self.chunk(class);
        if list.end() < limit {
            self.bytes[list.end()] = END;
        }
        self.bytes[limit..limit + LINK_BYTES].copy_from_slice(&link(start, class).to_le_bytes());
        let end = start + write(&mut self.bytes[start..], string);
        *list = List::of(list.first(), end, class);
    }

    /// A new chunk's place.
    #[inline]
    fn chunk(&mut self, class: usize) -> usize {
        let (at, end) = self.slabs[class];
        let at = if at < end { at } else { self.slab(class) };
        self.slabs[class].0 = at + size_of(class);
        at
    }

    #[cold]
    fn slab(&mut self, class: usize) -> usize {
        let at = self.bytes.len().next_multiple_of(size_of(class));
        let end = at + SLAB_CHUNKS * size_of(class);
        self.bytes.resize(end, 0);
        self.slabs[class] = (at, end);
        at
    }

    /// Every string of a list in its order.
    #[inline]
    pub(super) fn for_each<E>(&self, list: List, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let (mut at, mut class) = unlink(list.first());
        let end = list.end();
        loop {
            let limit = limit(at, class);
            while at != end && at < limit && self.bytes[at] != END {
                let (from, to) = self.string(at);
                each(&self.bytes[from..to])?;
                at = to;
            }
            if at == end {
                return Ok(());
            }
            let bytes = self.bytes[limit..].first_chunk().expect("a chunk ends with its link");
            (at, class) = unlink(u32::from_le_bytes(*bytes));
        }
    }

    /// Where the string at `at` begins and ends, behind its length.
    #[inline]
    fn string(&self, at: usize) -> (usize, usize) {
        match self.bytes[at] {
            LONG => (at + 3, at + 3 + usize::from(u16::from_le_bytes([self.bytes[at + 1], self.bytes[at + 2]]))),
            len => (at + 1, at + 1 + usize::from(len)),
        }
    }
}

/// A chunk's bytes.
const fn size_of(class: usize) -> usize {
    CHUNK_BYTES << class
}

/// The smallest class from `class` on with room for a string of `len` bytes.
#[inline]
fn class_for(mut class: usize, len: usize) -> usize {
    while length_bytes(len) + len + LINK_BYTES > size_of(class) {
        class += 1;
    }
    class
}

/// Where the link is of the chunk that `at` lies in, or before whose link it lies.
#[inline]
fn limit(at: usize, class: usize) -> usize {
    (at | (size_of(class) - 1)) + 1 - LINK_BYTES
}

#[inline]
fn length_bytes(len: usize) -> usize {
    if len < usize::from(LONG) { 1 } else { LENGTH_BYTES_MAX }
}

/// Writes a string at the beginning of `out`; returns how many bytes that took.
#[inline]
fn write(out: &mut [u8], string: &[u8]) -> usize {
    let len = string.len();
    let head = length_bytes(len);
    if head == 1 {
        out[0] = len as u8;
    } else {
        out[0] = LONG;
        out[1..3].copy_from_slice(&(len as u16).to_le_bytes());
    }
    if let &[byte] = string {
        // The most frequent length in a word count, and a call of memcpy less.
        out[head] = byte;
    } else {
        out[head..head + len].copy_from_slice(string);
    }
    head + len
}

#[inline]
fn link(start: usize, class: usize) -> u32 {
    ((start / CHUNK_BYTES) << CLASS_BITS | class) as u32
}

#[inline]
fn unlink(link: u32) -> (usize, usize) {
    ((link >> CLASS_BITS) as usize * CHUNK_BYTES, link as usize & ((1 << CLASS_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::Random;

    #[test]
    fn every_list_has_its_strings_in_order_whatever_their_lengths() {
        let mut random = Random(41);
        let mut pool = Pool::default();
        for round in 0..10 {
            let mut lists: Vec<(List, Vec<Vec<u8>>)> = Vec::new();
            for n in 0..30_000u64 {
                let len = *random.pick(&[0, 0, 1, 1, 1, 2, 5, 10, 11, 12, 13, 253, 254, 255, 4000, STRING_BYTES_MAX as u64]);
                let len = if len > 20 && n % 50 > 0 { len % 20 } else { len };
                let string: Vec<u8> = (0..len).map(|_| random.next() as u8 | 0x80).collect();
                match lists.len() as u64 {
                    lists_now if lists_now < 40 || random.below(40) == 0 => lists.push((pool.list(&string), vec![string])),
                    lists_now => {
                        // Some lists get most of the strings.
                        let which = random.below(lists_now).min(random.below(lists_now));
                        let (list, expected) = &mut lists[which as usize];
                        pool.push(list, &string);
                        expected.push(string);
                    }
                }
            }
            for (list, expected) in &lists {
                let mut got = Vec::new();
                let all = pool.for_each(*list, |string| {
                    got.push(string.to_vec());
                    Ok::<_, ()>(())
                });
                assert_eq!(all, Ok(()));
                assert!(got == *expected, "round {round}");
            }
            assert!(pool.bytes() > 0);
            pool.clear();
            assert_eq!(pool.bytes(), 0, "and it is empty again");
        }
    }

    #[test]
    fn a_pool_is_full_before_a_place_does_not_fit() {
        let mut pool = Pool::default();
        assert!(!pool.is_full(64));
        // The check is of a length alone; the bytes are never touched.
        pool.bytes = Vec::new();
        let (first, end, class) = (link((1 << PLACE_BITS) - CHUNK_BYTES, CLASSES - 1), (1 << PLACE_BITS) - 1, CLASSES - 1);
        let list = List::of(first, end, class);
        assert_eq!((list.first(), list.end(), list.class()), (first, end, class), "the last place fits");
        assert_eq!(unlink(first), ((1 << PLACE_BITS) - CHUNK_BYTES, CLASSES - 1));
        assert!(List::placeholder(7, u32::MAX).numbers() == (7, u32::MAX as usize));
    }
}
