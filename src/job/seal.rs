//! The checksum of one line of a plan, in the line itself: `{"task":0,…,"crc":"1a2b3c4d"}`, taken over all that stands before it.
//!
//! Problem: a flipped digit in an offset leaves a plan that reads well and gives another result. Workaround: every line is sealed when it is written
//! and looked at when it is read, alone, for a worker reads only its own. A line without a seal is of an older flockwork, and taken as it is.

/// What stands before the checksum.
const MARK: &[u8] = b",\"crc\":\"";
/// The mark, eight digits, and the end of string and object.
const SEAL_BYTES: usize = MARK.len() + 8 + 2;

/// The JSON object `line` with its seal.
pub(super) fn sealed(mut line: Vec<u8>) -> Vec<u8> {
    if line.pop_if(|last| *last == b'}').is_some() {
        let seal = format!("{}\"}}", crc(&line));
        line.extend_from_slice(MARK);
        line.extend_from_slice(seal.as_bytes());
    }
    line
}

/// False if the line bears a seal that is not its own.
pub(super) fn is_whole(line: &[u8]) -> bool {
    let Some((body, seal)) = line.len().checked_sub(SEAL_BYTES).map(|at| line.split_at(at)) else { return true };
    match seal.strip_prefix(MARK).and_then(|seal| seal.strip_suffix(b"\"}")) {
        Some(found) => found == crc(body).as_bytes(),
        None => true,
    }
}

/// The checksum of `bytes`, as it is written.
pub(super) fn crc(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = br#"{"task":7,"split":{"from":0,"to":1000}}"#;

    #[test]
    fn every_flipped_bit_of_a_sealed_line_shows_or_the_line_says_what_it_said() {
        let line = sealed(LINE.to_owned());
        assert!(is_whole(&line) && line.starts_with(&LINE[..LINE.len() - 1]), "{}", String::from_utf8_lossy(&line));
        for bit in 0..line.len() * 8 {
            let mut flipped = line.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // What hits the mark itself leaves a field that nobody knows, or no JSON at all.
            assert!(!is_whole(&flipped) || flipped.starts_with(&LINE[..LINE.len() - 1]), "{}", String::from_utf8_lossy(&flipped));
        }
    }

    #[test]
    fn a_line_of_an_older_flockwork_is_taken_as_it_is() {
        for line in [LINE, b"{}", b"", b"nonsense"] {
            assert!(is_whole(line), "{}", String::from_utf8_lossy(line));
        }
        assert_eq!(sealed(b"no object".to_vec()), b"no object");
    }
}
