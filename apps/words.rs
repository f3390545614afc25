//! Words as the lab counts them: maximal runs of letters, a letter being Unicode's general category L (Go's `unicode.IsLetter`).
//!
//! Rust's `is_alphabetic` is wider (it has circled letters and some marks). Bytes that are not UTF-8 separate words, one by one, as in Go. Words are
//! not folded: `The` and `the` are two.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Calls `each` with every word of `text`, in order.
#[inline]
pub fn for_each_word<'a>(text: &'a [u8], mut each: impl FnMut(&'a [u8])) {
    let mut at = 0;
    while at < text.len() {
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
        while at < text.len() {
            match letter_at(&text[at..]) {
                Ok(_) => break,
                Err(width) => at += width,
            }
        }
    }
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
    use super::for_each_word;

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
}
