//! HTML in small pieces. Everything that comes from a job's files goes through [`text`]: it is data, never markup.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use crate::units::{for_terminal, show_time};

/// Text as it may stand anywhere in HTML, in attributes too. What steers a reader's eyes (control characters, marks that turn the direction of writing) is spelled out.
pub(crate) fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in for_terminal(raw).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A cell of a table.
pub(super) enum Cell {
    /// Words, escaped.
    Text(String),
    /// A name of ours: may be long and is set as code, escaped.
    Code(String),
    /// A number as shown, and as it is sorted by.
    Number(String, f64),
    /// A number with a bar of this share of the widest.
    Bar(String, f64, f64),
    /// Nothing is known.
    Unknown,
}

impl Cell {
    pub(super) fn count(n: u64) -> Cell {
        Cell::Number(grouped(n), n as f64)
    }

    pub(super) fn maybe(n: Option<u64>, show: impl Fn(u64) -> String) -> Cell {
        n.map_or(Cell::Unknown, |n| Cell::Number(show(n), n as f64))
    }

    fn write(&self, out: &mut String) {
        let _ = match self {
            // Only long ones may be broken anywhere: short ones keep their column narrow.
            Cell::Text(words) if words.len() > 24 => write!(out, "<td class=\"t\">{}</td>", text(words)),
            Cell::Text(words) => write!(out, "<td>{}</td>", text(words)),
            Cell::Code(name) => write!(out, "<td><code>{}</code></td>", text(name)),
            Cell::Number(shown, value) => write!(out, "<td class=\"n\" data-v=\"{value}\">{}</td>", text(shown)),
            Cell::Bar(shown, value, share) => {
                let percent = (share.clamp(0.0, 1.0) * 100.0).round();
                write!(out, "<td class=\"n b\" data-v=\"{value}\">{}<i><i style=\"width:{percent}%\"></i></i></td>", text(shown))
            }
            Cell::Unknown => write!(out, "<td class=\"n\" data-v=\"-1\">–</td>"),
        };
    }
}

/// A table with these heads (the numeric ones begin with `#`), which can be sorted where scripts run.
pub(super) fn table(out: &mut String, label: &str, heads: &[&str], rows: &[Vec<Cell>]) {
    let _ = write!(out, "<div class=\"wide\"><table aria-label=\"{}\"><thead><tr>", text(label));
    for head in heads {
        let (class, words) = head.strip_prefix('#').map_or(("", *head), |words| (" class=\"n\"", words));
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", text(words));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        row.iter().for_each(|cell| cell.write(out));
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

/// A number in groups of three: `1 234 567`, with spaces that do not break.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A time for people: milliseconds below a second, which most small tasks take.
pub(super) fn time(ms: u64) -> String {
    match ms {
        0 => "<1 ms".to_owned(),
        1..1000 => format!("{ms} ms"),
        _ => show_time(Duration::from_millis(ms)),
    }
}

/// `1 task`, `2 tasks`.
pub(super) fn several(n: usize, one: &str) -> Cow<'static, str> {
    Cow::Owned(if n == 1 { format!("1 {one}") } else { format!("{} {one}s", grouped(n as u64)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_job_is_markup() {
        assert_eq!(text("<script>alert('x')</script> & \"q\""), "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;q&quot;");
        assert_eq!(text("a\u{1b}[31m\u{202e}b"), "a\\u{1b}[31m\\u{202e}b");
        let mut out = String::new();
        table(&mut out, "\"><b>", &["<i>", "#n"], &[vec![Cell::Text("</td>".to_owned()), Cell::Code("<s>".to_owned())]]);
        assert!(!out.contains("<b>") && !out.contains("<i>") && !out.contains("<s>") && out.matches("</td>").count() == 2, "{out}");
    }

    #[test]
    fn large_numbers_are_read_in_threes() {
        assert_eq!(
            ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"],
            [0, 999, 1000, 1_234_567].map(grouped).each_ref().map(String::as_str)
        );
    }
}
