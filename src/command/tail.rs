//! The last of what was said, in bounded memory.

/// Kept at most, in bytes.
const KEPT_BYTES: usize = 4096;

/// The end of a stream.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: Vec<u8>,
    cut: bool,
}

impl Tail {
    /// Adds what comes next.
    pub fn push(&mut self, block: &[u8]) {
        let new = &block[block.len().saturating_sub(KEPT_BYTES)..];
        self.cut |= new.len() < block.len();
        self.bytes.extend_from_slice(new);
        if self.bytes.len() > 2 * KEPT_BYTES {
            self.bytes.drain(..self.bytes.len() - KEPT_BYTES);
            self.cut = true;
        }
    }

    /// True if more was said than is kept.
    pub fn is_cut(&self) -> bool {
        self.cut || self.bytes.len() > KEPT_BYTES
    }

    /// The last lines, whole ones where there is a whole one; empty if nothing was said.
    pub fn text(&self) -> String {
        let from = self.bytes.len().saturating_sub(KEPT_BYTES);
        let mut kept = &self.bytes[from..];
        let cut = self.is_cut();
        if cut && let Some(newline) = kept.iter().position(|&byte| byte == b'\n').filter(|at| at + 1 < kept.len()) {
            kept = &kept[newline + 1..];
        }
        let text = String::from_utf8_lossy(kept);
        let text = text.trim_end();
        if cut { format!("[...]\n{text}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_lines_are_kept_however_they_came() {
        let all: String = (0..5000).map(|n| format!("line {n}\n")).collect();
        for size in [1, 7, 4096, 20_000, all.len()] {
            let mut tail = Tail::default();
            for block in all.as_bytes().chunks(size) {
                tail.push(block);
                assert!(tail.bytes.len() <= 2 * KEPT_BYTES, "bounded");
            }
            let text = tail.text();
            assert!(text.starts_with("[...]\nline ") && text.ends_with("\nline 4999"), "{size}: {text}");
            assert!((3000..=KEPT_BYTES + 6).contains(&text.len()), "{size}: {}", text.len());
        }
        let mut short = Tail::default();
        assert_eq!(short.text(), "");
        short.push(b"oh\nno\n");
        assert_eq!(short.text(), "oh\nno");
        assert!(!short.is_cut());
    }
}
