//! Sizes as `64MiB`, times as `10s`, wall-clock stamps as RFC 3339: how people write and read them.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

/// Reads a size in bytes: `4096`, `64KiB`, `64MiB`, `1GiB`, `2TiB`, also `64M`, `64MB` (powers of 1000 with `B`).
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(format!("`{text}` is not a size; write for example 64MiB or 4096")),
    };
    let bytes = number.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0).map(|n| n * factor as f64);
    match bytes {
        Some(bytes) if bytes <= u64::MAX as f64 => Ok(bytes as u64),
        _ => Err(format!("`{text}` is not a size; write for example 64MiB or 4096")),
    }
}

/// Reads a time: `10s`, `500ms`, `2m`, `1h`, `1d`; a bare number is seconds.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let seconds = match unit {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("`{text}` is not a time; write for example 10s, 500ms or 2m")),
    };
    let value = number.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0 && *n * seconds < 1e10);
    value.map(|n| Duration::from_secs_f64(n * seconds)).ok_or_else(|| format!("`{text}` is not a time; write for example 10s, 500ms or 2m"))
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

/// Writes a size for people: `512 B`, `1.5 MiB`.
pub fn show_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Writes a time for people: `0.24 s`, `12 s`, `3m 05s`, `2h 07m`.
pub fn show_time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=9 => format!("{:.2} s", time.as_secs_f64()),
        10..=59 => format!("{seconds} s"),
        60..=3599 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1 task`, `2 tasks`.
pub fn plural(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// The text, or its first so many characters and an ellipsis.
pub fn cut(text: &str, chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

/// The wall clock as RFC 3339 in UTC, for files and logs that people read. Nothing decides by it.
pub fn stamp_utc() -> String {
    in_ms(jiff::Timestamp::now())
}

/// With three digits always: lines that begin with stamps are sorted by them.
fn in_ms(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The wall clock in milliseconds since 1970. Nothing decides by it.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A stamp of [`stamp_utc`] in milliseconds since 1970; `None` if it is none.
pub fn parse_stamp(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
}

/// Milliseconds since 1970 as RFC 3339 in UTC.
pub fn show_ms(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| "an unknown time".to_owned(), in_ms)
}

/// The wall clock as `20261122-182137` in UTC, for the default name of a job directory.
pub fn stamp_compact() -> String {
    jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string()
}

/// A file's modification time (nanoseconds since 1970, by the server's clock) as RFC 3339 in UTC.
pub fn show_stamp(nanoseconds: i128) -> String {
    jiff::Timestamp::from_nanosecond(nanoseconds)
        .and_then(|at| at.round(jiff::Unit::Second))
        .map_or_else(|_| "an unknown time".to_owned(), |at| at.to_string())
}

/// Text from a job's directory as it may go to a terminal: whatever steers one (control characters, and marks that turn the direction of writing) is
/// spelled out as `\u{1b}`. Line ends and tabs stay.
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    spelled_out(text, |c| steers(c) && !['\n', '\t'].contains(&c), |c| format!("\\u{{{:x}}}", u32::from(c)))
}

/// The same for what must stay on one line: names, paths, causes.
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    spelled_out(text, steers, |c| format!("\\u{{{:x}}}", u32::from(c)))
}

/// JSON with nothing in it that steers a terminal: such characters can stand in its strings only, where they have another spelling.
pub fn json_for_terminal(json: &str) -> Cow<'_, str> {
    spelled_out(json, |c| steers(c) && c != '\n', |c| format!("\\u{:04x}", u32::from(c)))
}

/// A path as one types it in a shell: quoted where it must be.
pub fn for_shell(path: &Path) -> String {
    let text = path.to_string_lossy();
    // What begins with a dash would be taken for an option.
    if text.starts_with('-') { word_for_shell(&format!("./{text}")) } else { word_for_shell(&text) }
}

/// A word of a command, an option too, as one types it in a shell: quoted where it must be.
pub fn word_for_shell(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=@%:,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn spelled_out(text: &str, which: impl Fn(char) -> bool, how: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(&which) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if which(c) { how(c) } else { c.to_string() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("64MiB", 64 << 20), ("64 MiB", 64 << 20), ("1g", 1 << 30), ("1.5k", 1536), ("2MB", 2_000_000)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "64XB", "1e400", "nan"] {
            assert!(parse_size(text).is_err(), "{text:?} is no size");
        }
    }

    #[test]
    fn times_read_as_people_write_them() {
        for (text, ms) in [("10s", 10_000), ("10", 10_000), ("500ms", 500), ("2m", 120_000), ("1.5h", 5_400_000)] {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1s", "10 parsecs", "1e300s"] {
            assert!(parse_time(text).is_err(), "{text:?} is no time");
        }
    }

    #[test]
    fn a_path_in_a_suggested_command_is_one_word_of_the_shells() {
        for (path, typed) in [
            ("/mnt/share/count-2", "/mnt/share/count-2"),
            ("zählung", "zählung"),
            ("my job", "'my job'"),
            ("it's", r"'it'\''s'"),
            ("$(id)", "'$(id)'"),
            ("~ann", "'~ann'"),
            ("-x", "./-x"),
            ("", "''"),
        ] {
            assert_eq!(for_shell(Path::new(path)), typed);
            let echoed = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {typed}")).output().expect("a shell");
            assert_eq!(String::from_utf8_lossy(&echoed.stdout), if path == "-x" { "./-x" } else { path }, "what the shell makes of it");
        }
    }

    #[test]
    fn nothing_from_a_directory_steers_the_terminal() {
        let text = "a\x1b[2J\tb\nc\u{9b}31m\u{202e}d\x7f\r";
        assert_eq!(for_terminal(text), "a\\u{1b}[2J\tb\nc\\u{9b}31m\\u{202e}d\\u{7f}\\u{d}");
        assert_eq!(on_one_line(text), "a\\u{1b}[2J\\u{9}b\\u{a}c\\u{9b}31m\\u{202e}d\\u{7f}\\u{d}");
        let json = serde_json::to_string(text).expect("written");
        let safe = json_for_terminal(&json);
        assert!(!safe.chars().any(steers) && safe.contains("\\u202e"), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).expect("read"), text, "the same text for scripts");
        assert!(matches!(for_terminal("plain é 日本"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(["", "é日", "é日本", "é日本x"].map(|text| cut(text, 3)), ["", "é日", "é日本", "é日本…"]);
        assert!(matches!(cut("abc", 3), Cow::Borrowed(_)));
    }

    #[test]
    fn sizes_and_times_print_short() {
        assert_eq!((show_size(512).as_str(), show_size(3 << 19).as_str()), ("512 B", "1.5 MiB"));
        let times = [(240, "0.24 s"), (12_000, "12 s"), (185_000, "3m 05s"), (7_620_000, "2h 07m")];
        for (ms, text) in times {
            assert_eq!(show_time(Duration::from_millis(ms)), text);
        }
    }
}
