//! `term-vector`: the most frequent words of each host, one line `host word:count,word:count,...` per host, the most frequent first, equally frequent ones in order. Input: a
//! document per line, `host<TAB>text`; in the place of the host a URL may stand, whose host counts. Option: `top=N` words per host (10 unless said otherwise). Lines without a tab
//! are counted and passed over.
//!
//! Cost: one pair per document; a reduce holds the distinct words of one host.

use std::collections::{BTreeMap, HashMap};

use flockwork::app::{App, AppResult, Emit, Options, Output, Record, Values};

use super::words::for_each_word;

/// Sums up what hosts write about.
pub struct TermVector {
    top: usize,
}

impl TermVector {
    /// From `-o top=N`.
    pub fn of(options: &Options) -> Result<TermVector, String> {
        Ok(TermVector { top: options.number("top", 10)? })
    }
}

impl App for TermVector {
    /// `word count word count ...`: what one document says.
    type Value = [u8];

    fn map(&self, record: Record<'_>, out: &mut impl Emit<[u8]>) -> AppResult {
        let Some(tab) = memchr::memchr(b'\t', record.bytes) else {
            out.count("lines without a tab", 1);
            return Ok(());
        };
        let mut counts: BTreeMap<&[u8], u64> = BTreeMap::new();
        for_each_word(&record.bytes[tab + 1..], |word| *counts.entry(word).or_default() += 1);
        let mut vector = Vec::new();
        for (word, n) in counts {
            vector.extend_from_slice(word);
            vector.extend_from_slice(format!(" {n} ").as_bytes());
        }
        out.emit(host_of(&record.bytes[..tab]), &vector);
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut Output<'_>) -> AppResult {
        let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
        while let Some(vector) = values.next() {
            let mut fields = vector.split(|&byte| byte == b' ');
            while let (Some(word), Some(n)) = (fields.next(), fields.next()) {
                let n: u64 = std::str::from_utf8(n)?.parse()?;
                match counts.get_mut(word) {
                    Some(sum) => *sum += n,
                    None => _ = counts.insert(word.to_vec(), n),
                }
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
        out.write(key);
        let mut before: &[u8] = b" ";
        for (word, n) in counts.iter().take(self.top) {
            out.write(before);
            out.write(word);
            out.write(format!(":{n}").as_bytes());
            before = b",";
        }
        out.write(b"\n");
        Ok(())
    }
}

/// The host of a URL, or what stands in its place.
fn host_of(url: &[u8]) -> &[u8] {
    let after = url.windows(3).position(|part| part == b"://").map_or(url, |at| &url[at + 3..]);
    after.split(|byte| matches!(byte, b'/' | b'?' | b'#')).next().unwrap_or(after)
}
