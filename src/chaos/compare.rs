//! Two streams of bytes, compared as they come. Pure but for reading.

use std::io::{self, Read};

/// Where two streams begin to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The byte, from 0.
    pub at: u64,
    /// The line it is in, from 1.
    pub line: u64,
}

/// The first difference; `None` if there is none and both end together. Memory: two blocks.
pub fn first_difference(left: &mut dyn Read, right: &mut dyn Read) -> io::Result<Option<Difference>> {
    const BLOCK: usize = 1 << 16;
    let (mut a, mut b) = (vec![0; BLOCK], vec![0; BLOCK]);
    let (mut at, mut line) = (0, 1);
    loop {
        let (len_a, len_b) = (fill(left, &mut a)?, fill(right, &mut b)?);
        let same = a[..len_a].iter().zip(&b[..len_b]).take_while(|(a, b)| a == b).count();
        line += a[..same].iter().filter(|&&byte| byte == b'\n').count() as u64;
        at += same as u64;
        if same < len_a.max(len_b) {
            return Ok(Some(Difference { at, line }));
        }
        if len_a == 0 {
            return Ok(None);
        }
    }
}

/// As much as there is, until the block is full.
fn fill(from: &mut dyn Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match from.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(a: &[u8], b: &[u8]) -> Option<(u64, u64)> {
        // Read in other pieces on either side.
        let (left, right) = a.split_at(a.len() / 3);
        first_difference(&mut left.chain(right), &mut &*b).expect("no errors").map(|found| (found.at, found.line))
    }

    #[test]
    fn the_first_byte_that_differs_is_told_with_its_line() {
        assert_eq!(found(b"", b""), None);
        assert_eq!(found(b"a 1\nb 2\n", b"a 1\nb 2\n"), None);
        assert_eq!(found(b"a 1\nb 2\n", b"a 1\nb 3\n"), Some((6, 2)));
        assert_eq!(found(b"a 1\n", b"a 1\nb 3\n"), Some((4, 2)), "one ends before the other");
        assert_eq!(found(b"a", b""), Some((0, 1)));
        let long = vec![b'x'; 200_000];
        let mut other = long.clone();
        assert_eq!(found(&long, &other), None);
        other[150_000] = b'y';
        assert_eq!(found(&long, &other), Some((150_000, 1)));
    }
}
