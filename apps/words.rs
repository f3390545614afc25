//! Words as the lab counts them: maximal runs of letters, a letter being Unicode's general category L (Go's `unicode.IsLetter`).
//!
//! Rust's `is_alphabetic` is wider (it has circled letters and some marks). Bytes that are not UTF-8 separate words, one by one, as in Go. Words are
//! not folded: `The` and `the` are two.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Calls `each` with every word of `text`, in order. Quickest where nearly all of the text is ASCII and it is long.
#[inline]
pub fn for_each_word<'a>(text: &'a [u8], mut each: impl FnMut(&'a [u8])) {
    let mut at = 0;
    while at < text.len() {
        at = ascii_words(text, at, &mut each);
        at = any_words(text, at, (at + CHUNK).min(text.len()), &mut each);
    }
}

/// Bytes looked at at once: as many as a mask has bits.
const CHUNK: usize = 64;

/// The words from `from` on, as far as whole chunks of ASCII go. Returns where to go on: never inside of a word.
#[inline]
fn ascii_words<'a>(text: &'a [u8], from: usize, each: &mut impl FnMut(&'a [u8])) -> usize {
    // Where the word begins that we are in; meaningless between words.
    let mut start = from;
    let mut in_word = 0;
    let mut at = from;
    while let Some(mask) = text[at..].first_chunk().and_then(letters) {
        // A bit is set where a word begins or ends; they take turns.
        let mut edges = mask ^ (mask << 1 | in_word);
        let mut ends = in_word == 1;
        in_word = mask >> 63;
        while edges != 0 {
            let edge = at + edges.trailing_zeros() as usize;
            edges &= edges - 1;
            if ends {
                each(&text[start..edge]);
            }
            start = edge;
            ends = !ends;
        }
        at += CHUNK;
    }
    if in_word == 1 { start } else { at }
}

/// Which bytes are letters, the first in the lowest bit; `None` if not all are ASCII.
#[inline(always)]
fn letters(chunk: &[u8; CHUNK]) -> Option<u64> {
    if chunk.iter().fold(0, |all, &byte| all | byte) >= 0x80 {
        return None;
    }
    // One byte per letter, 0 or 1: this is what the compiler turns into vector instructions.
    let flags: [u8; CHUNK] = std::array::from_fn(|n| u8::from((chunk[n] | 0x20).wrapping_sub(b'a') < 26));
    let mut mask = 0;
    for (n, flags) in flags.as_chunks::<8>().0.iter().enumerate() {
        // The product's top byte has the lowest bit of each of the eight bytes, in order.
        let bits = u64::from_le_bytes(*flags).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= bits << (8 * n);
    }
    Some(mask)
}

/// The words from `from` to `upto` or a little further, whatever the bytes. Returns where to go on: never inside of a word.
fn any_words<'a>(text: &'a [u8], from: usize, upto: usize, each: &mut impl FnMut(&'a [u8])) -> usize {
    let mut at = from;
    while at < upto {
        let start = at;
        while at < text.len() {
            match letter_at(&text[at..]) {
                Ok(width) => at += width,
                Err(_) => break,
            }
        }
        if at > start {
            each(&text[start..at]);
        }
        while at < upto {
            match letter_at(&text[at..]) {
                Ok(_) => break,
                Err(width) => at += width,
            }
        }
    }
    at
}

/// The width of the letter at the beginning of `text` (not empty), or of what is there instead.
#[inline(always)]
fn letter_at(text: &[u8]) -> Result<usize, usize> {
    match text[0] {
        byte if byte.is_ascii_alphabetic() => Ok(1),
        0..0x80 => Err(1),
        _ => wide_letter_at(text),
    }
}

fn wide_letter_at(text: &[u8]) -> Result<usize, usize> {
    let width = match text[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Err(1),
    };
    match text.get(..width).and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(|text| text.chars().next()) {
        Some(c) if c.general_category_group() == GeneralCategoryGroup::Letter => Ok(width),
        Some(_) => Err(width),
        None => Err(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        for_each_word(text, |word| all.push(String::from_utf8(word.to_vec()).expect("letters are UTF-8")));
        all
    }

    #[test]
    fn words_are_maximal_runs_of_letters() {
        assert_eq!(words(b" The  cat's 2nd e-mail."), ["The", "cat", "s", "nd", "e", "mail"]);
        assert_eq!(words(b""), [""; 0]);
        assert_eq!(words(b" .1\n"), [""; 0]);
        assert_eq!(words("é ß straße 漢字、かな".as_bytes()), ["é", "ß", "straße", "漢字", "かな"]);
    }

    #[test]
    fn what_only_looks_like_a_letter_separates() {
        assert_eq!(words("e\u{301}t\u{e9}".as_bytes()), ["e", "t\u{e9}"], "a combining mark is of category M");
        assert_eq!(words("a\u{24b6}b".as_bytes()), ["a", "b"], "a circled letter is of category S");
        assert_eq!(words("a٣b".as_bytes()), ["a", "b"], "a digit of any script is of category N");
        assert_eq!(words("a\u{fffd}b".as_bytes()), ["a", "b"], "the replacement character is of category S");
    }

    #[test]
    fn bytes_that_are_not_utf8_separate() {
        assert_eq!(words(b"a\xffb\xc3"), ["a", "b"], "a lone byte, and a sequence cut off by the end");
        assert_eq!(words(b"a\xc3b\xe2\x82c"), ["a", "b", "c"], "sequences cut off by a letter, which counts");
        assert_eq!(words(b"a\xed\xa0\x80b\xc0\xafc"), ["a", "b", "c"], "surrogates and overlong forms");
    }

    #[test]
    fn long_texts_have_the_words_that_their_parts_have() {
        let mut seed = 9u64;
        let mut below = |n: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % n
        };
        for round in 0..300 {
            // From all ASCII to hardly any, with long words and long gaps.
            let parts =
                ["a", "Zq", " ", "\n", "[", "`", "{", "@", "longerthanalineoflettersthatisnotendedforawhile", "        ", "é", "٣", "漢"];
            let n_kinds = if round % 3 == 0 { parts.len() as u64 } else { 10 };
            let text: String = (0..below(120)).map(|_| parts[below(n_kinds) as usize]).collect();
            let mut plain = Vec::new();
            any_words(text.as_bytes(), 0, text.len(), &mut |word| plain.push(String::from_utf8(word.to_vec()).expect("UTF-8")));
            assert_eq!(words(text.as_bytes()), plain, "{text:?}");
        }
    }

    #[test]
    fn every_byte_in_every_place_of_a_chunk_is_told_right() {
        for byte in 0..=255u8 {
            for at in 0..CHUNK {
                let mut chunk = [b'.'; CHUNK];
                chunk[at] = byte;
                let expected = byte.is_ascii().then(|| u64::from(byte.is_ascii_alphabetic()) << at);
                assert_eq!(letters(&chunk), expected, "{byte} at {at}");
            }
        }
    }
}
