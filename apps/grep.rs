//! `grep`: the lines that match a pattern, each as `path:line-number:text`, in the order of the input. Options: `pattern=RE` (the syntax of the `regex` crate, on bytes; write
//! `(?i)` before it to ignore case); `count=true` prints only `path:count` for each file with a match.
//!
//! Cost: one search over many lines at a time, and one pair per match. A map task does not know how many lines come before its piece, so it sends along
//! how many lines it has read, and reduce adds them up: the values of one key (a file) arrive in the order of the input. One reduce writes all of a file.

use flockwork::app::{App, AppResult, Emit, Options, Output, Partitioning, Record, Unit, Values};
use regex::bytes::{Regex, RegexBuilder};

/// Lines that match.
pub struct Grep {
    /// For one line alone: what counts as a match.
    line: Regex,
    /// For many lines at once, where the pattern means the same there.
    block: Option<Regex>,
    /// `$` stands before a newline, and not before a carriage return.
    has_dollar: bool,
    show: Show,
}

enum Show {
    Lines,
    Counts,
}

impl Grep {
    /// From `-o pattern=RE` and `-o count=true|false`.
    pub fn of(options: &Options) -> Result<Grep, String> {
        let pattern = options.require("pattern")?;
        let regex = |multi_line| {
            RegexBuilder::new(pattern).multi_line(multi_line).build().map_err(|error| format!("the option `pattern`: {error}"))
        };
        let show = match options.get("count") {
            None | Some("false") => Show::Lines,
            Some("true") => Show::Counts,
            Some(other) => return Err(format!("the option `count` is true or false, not `{other}`")),
        };
        let block = if means_the_same_in_a_block(pattern) { Some(regex(true)?) } else { None };
        Ok(Grep { line: regex(false)?, block, has_dollar: pattern.contains('$'), show })
    }

    /// Calls `each` with every line of `block` that matches: where it begins, and its text.
    fn for_each_match(&self, block: &[u8], mut each: impl FnMut(usize, &[u8])) {
        let in_block = self.block.as_ref().filter(|_| !(self.has_dollar && memchr::memchr(b'\r', block).is_some()));
        let Some(in_block) = in_block else {
            self.check_lines(block, 0, block.len(), &mut each);
            return;
        };
        let mut at = 0;
        while let Some(found) = in_block.find_at(block, at) {
            let from = memchr::memrchr(b'\n', &block[at..found.start()]).map_or(at, |newline| at + newline + 1);
            if from == block.len() {
                break;
            }
            let to = line_end(block, from);
            let text = text_of(&block[from..to]);
            if found.end() <= from + text.len() {
                each(from, text);
                at = to;
            } else {
                // It runs over a line's end, so it says nothing of these lines alone; going on behind it keeps the time in proportion to the block.
                at = self.check_lines(block, from, found.end(), &mut each);
            }
            if at >= block.len() {
                break;
            }
        }
    }

    /// Looks at each line by itself that begins in `from..to`, at least one; returns where the next one begins.
    fn check_lines(&self, block: &[u8], mut from: usize, to: usize, each: &mut impl FnMut(usize, &[u8])) -> usize {
        loop {
            let end = line_end(block, from);
            let text = text_of(&block[from..end]);
            if self.line.is_match(text) {
                each(from, text);
            }
            from = end;
            if from >= to.min(block.len()) {
                return from;
            }
        }
    }
}

/// True if a line matches alone exactly where it matches among others, `^` and `$` meaning the ends of lines. When in doubt, no.
fn means_the_same_in_a_block(pattern: &str) -> bool {
    let plain = pattern.strip_prefix("(?i)").unwrap_or(pattern);
    let groups = plain.match_indices("(?").all(|(at, _)| plain[at + 2..].starts_with([':', 'P', '<']));
    groups && !plain.contains("\\A") && !plain.contains("\\z")
}

/// Where the line after the one at `from` begins.
fn line_end(block: &[u8], from: usize) -> usize {
    memchr::memchr(b'\n', &block[from..]).map_or(block.len(), |newline| from + newline + 1)
}

fn text_of(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn lines_in(block: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', block).count() as u64
}

impl App for Grep {
    /// `=path` before the first of a block; `N:text`, N lines into the block; `+N` behind a block of N lines; `#N` for N matches in a block.
    type Value = [u8];

    fn unit(&self) -> Unit {
        Unit::Blocks
    }

    fn partitioning(&self) -> Partitioning {
        Partitioning::Range
    }

    fn map(&self, record: Record<'_>, out: &mut impl Emit<[u8]>) -> AppResult {
        let (block, key) = (record.bytes, format!("{:010}", record.file_number));
        let (mut n_matches, mut n_lines, mut counted) = (0, 0, 0);
        let mut value = Vec::new();
        self.for_each_match(block, |from, text| {
            if n_matches == 0 {
                out.emit(key.as_bytes(), format!("={}", record.file).as_bytes());
            }
            n_matches += 1;
            if let Show::Lines = self.show {
                n_lines += lines_in(&block[counted..from]);
                counted = from;
                value.clear();
                value.extend_from_slice(format!("{n_lines}:").as_bytes());
                value.extend_from_slice(text);
                out.emit(key.as_bytes(), &value);
            }
        });
        match self.show {
            Show::Lines => out.emit(key.as_bytes(), format!("+{}", n_lines + lines_in(&block[counted..])).as_bytes()),
            Show::Counts if n_matches > 0 => out.emit(key.as_bytes(), format!("#{n_matches}").as_bytes()),
            Show::Counts => {}
        }
        Ok(())
    }

    fn reduce(&self, _: &[u8], values: &mut Values<'_, [u8]>, out: &mut Output<'_>) -> AppResult {
        let (mut path, mut n_before, mut n_matches) = (Vec::new(), 0, 0);
        while let Some(value) = values.next() {
            match value {
                [b'=', name @ ..] => path = name.to_vec(),
                [b'+', n @ ..] => n_before += number(n)?,
                [b'#', n @ ..] => n_matches += number(n)?,
                _ => {
                    let colon = memchr::memchr(b':', value).ok_or("a value without a colon")?;
                    let n = n_before + number(&value[..colon])? + 1;
                    out.write(&path);
                    out.write(format!(":{n}:").as_bytes());
                    out.write(&value[colon + 1..]);
                    out.write(b"\n");
                }
            }
        }
        if n_matches > 0 {
            out.write(&path);
            out.write(format!(":{n_matches}\n").as_bytes());
        }
        Ok(())
    }
}

fn number(digits: &[u8]) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    Ok(std::str::from_utf8(digits)?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grep(pattern: &str) -> Grep {
        Grep::of(&Options([("pattern".to_owned(), pattern.to_owned())].into())).expect("a pattern")
    }

    #[test]
    fn a_block_is_searched_as_its_lines_are() {
        let block = b"foo\n\nbar foo\r\nfo\no\xff\n  foobar \nfoo";
        for pattern in [
            "foo",
            "^foo",
            "foo$",
            "^foo$",
            "^$",
            "$",
            "^",
            "",
            "o\\s*f",
            "[^a]o",
            "\\bfoo\\b",
            "(?i)FOO",
            "\\Afoo",
            "foo\\z",
            "o\no",
            "a|z",
            ".",
            "fo.",
            "(?s)o.",
            "[^z]+r",
            "(?:f)o+",
            "\\r",
            "(?x) f o",
            "x*",
            "\\s$",
            "(?-u:\\xff)",
            "o$|\\Aba",
        ] {
            let grep = grep(pattern);
            let mut found = Vec::new();
            grep.for_each_match(block, |from, text| found.push((from, text.to_vec())));
            let mut expected = Vec::new();
            let mut at = 0;
            for line in block.split_inclusive(|&byte| byte == b'\n') {
                if grep.line.is_match(text_of(line)) {
                    expected.push((at, text_of(line).to_vec()));
                }
                at += line.len();
            }
            assert_eq!(found, expected, "{pattern:?}");
        }
    }

    #[test]
    fn a_pattern_that_runs_over_lines_takes_time_in_proportion_to_the_block() {
        let block = ["x\n".repeat(100_000), "b\n".into()].concat().into_bytes();
        let mut n = 0;
        grep("[^a]+b").for_each_match(&block, |_, _| n += 1);
        assert_eq!(n, 0, "no line has a b behind something");
    }

    #[test]
    fn what_is_wrong_with_the_options_is_said() {
        let of = |pairs: &[(&str, &str)]| {
            Grep::of(&Options(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())).err().expect("wrong")
        };
        assert!(of(&[]).starts_with("the option `pattern` is missing"));
        assert!(of(&[("pattern", "a(")]).contains("unclosed group"));
        assert_eq!(of(&[("pattern", "a"), ("count", "yes")]), "the option `count` is true or false, not `yes`");
    }
}
